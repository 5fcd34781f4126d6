// HistoryStore over one SQLite connection; its methods are in one file a kind of record.
#ifndef QTIPD_SERVER_ENGINE_HISTORY_SQLITE_HISTORY_H_
#define QTIPD_SERVER_ENGINE_HISTORY_SQLITE_HISTORY_H_

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/history/history_store.h"
#include "server/engine/history/sqlite.h"

namespace qtipd {

// Made by OpenSqliteHistory. Every method takes the lock; what is private needs it held.
class SqliteHistory final : public HistoryStore {
 public:
  explicit SqliteHistory(std::unique_ptr<SqliteDatabase> database)
      : database_(std::move(database)) {}

  // Brings the schema up to date. Errors: FailedPrecondition/HISTORY_TOO_NEW.
  absl::Status Migrate();

  // sqlite_artifacts.cc
  absl::Status InsertArtifact(const ArtifactRecord& record) override;
  absl::StatusOr<ArtifactRecord> GetArtifact(const std::string& name) override;
  absl::StatusOr<Page<ArtifactRecord>> ListArtifacts(const PageRequest& page) override;
  absl::Status DeleteArtifact(const std::string& name) override;
  absl::StatusOr<int64_t> CountArtifactsOfFile(const std::string& sha256) override;
  absl::StatusOr<std::vector<FormatTotal>> ArtifactTotals() override;

  absl::Status InsertModel(const ModelRecord& model,
                           const std::vector<ArtifactRecord>& artifacts) override;
  absl::StatusOr<std::optional<ModelRecord>> GetModel(const std::string& name) override;
  absl::StatusOr<std::vector<ArtifactRecord>> ArtifactsOfModel(const std::string& name) override;
  absl::Status DeleteModel(const std::string& name) override;

  absl::Status InsertHessian(const HessianRecord& record) override;
  absl::Status UpdateHessian(const HessianRecord& record) override;
  absl::StatusOr<HessianRecord> GetHessian(const std::string& name) override;
  absl::StatusOr<Page<HessianRecord>> ListHessians(const PageRequest& page) override;
  absl::Status DeleteHessian(const std::string& name) override;
  absl::StatusOr<int64_t> CountHessiansOfFile(const std::string& sha256) override;

  // sqlite_runs.cc
  absl::StatusOr<std::string> InsertRun(const RunRecord& run) override;
  absl::StatusOr<RunRecord> GetRun(const std::string& id) override;
  absl::StatusOr<Page<RunRecord>> ListRuns(const PageRequest& page) override;

  absl::StatusOr<std::string> InsertProfile(const ProfileRecord& profile) override;
  absl::StatusOr<ProfileRecord> GetProfile(const std::string& id) override;
  absl::StatusOr<Page<ProfileRecord>> ListProfiles(const PageRequest& page) override;

  // sqlite_operations.cc
  absl::StatusOr<std::string> InsertOperation(const OperationRecord& operation,
                                              const RequestKey& key) override;
  absl::Status UpdateOperation(const OperationRecord& operation) override;
  absl::StatusOr<OperationRecord> GetOperation(const std::string& id) override;
  absl::StatusOr<Page<OperationRecord>> ListOperations(const PageRequest& page) override;
  absl::Status DeleteOperation(const std::string& id) override;
  absl::StatusOr<std::vector<OperationRecord>> UnfinishedOperations() override;
  absl::StatusOr<std::optional<KnownRequest>> FindRequest(const std::string& request_id,
                                                          UnixMillis not_before) override;
  absl::Status Prune(UnixMillis not_before, int64_t keep) override;

 private:
  absl::Status AddArtifact(const ArtifactRecord& record);
  absl::Status NoSuchArtifact(const std::string& name);
  absl::Status NoSuchHessian(const std::string& name);
  absl::Status NoSuch(const char* select_names, const std::string& reason, const std::string& what,
                      const std::string& name);
  absl::Status InsertResult(int64_t run_id, int64_t position, const BenchmarkResult& result);
  absl::StatusOr<RunRecord> ReadRun(int64_t id, const std::string& json, bool with_samples);
  static absl::StatusOr<ProfileRecord> ReadProfile(const SqliteStatement& row);
  static absl::StatusOr<OperationRecord> ReadOperation(const SqliteStatement& row);
  static absl::StatusOr<std::vector<OperationRecord>> ReadOperations(SqliteStatement& query);

  std::mutex mutex_;  // guards database_
  std::unique_ptr<SqliteDatabase> database_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HISTORY_SQLITE_HISTORY_H_
