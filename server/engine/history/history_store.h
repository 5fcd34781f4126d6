// What the daemon remembers over restarts: artefacts' records, runs, operations.
#ifndef QTIPD_SERVER_ENGINE_HISTORY_HISTORY_STORE_H_
#define QTIPD_SERVER_ENGINE_HISTORY_HISTORY_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/profile/profile_types.h"
#include "server/engine/types.h"

namespace qtipd {

struct FormatTotal {
  std::string format;
  int64_t count = 0;
  uint64_t bytes = 0;  // packed, once per name
};

// A client's deduplication key with the operation that it started.
struct RequestKey {
  std::string request_id;
  std::string spec_sha256;
  UnixMillis create_time = 0;
};

struct KnownRequest {
  std::string spec_sha256;
  std::string operation_id;
};

// Thread-safe. A write that returned OK is on disk. Errors of every method beside those named:
// Internal/HISTORY_FAILED with the database's words; ResourceExhausted/DISK_FULL.
class HistoryStore {
 public:
  virtual ~HistoryStore() = default;

  // Artefacts, listed by name. `loaded_on` is not stored.
  // Errors: AlreadyExists/ARTIFACT_EXISTS.
  virtual absl::Status InsertArtifact(const ArtifactRecord& record) = 0;
  // Errors: NotFound/ARTIFACT_NOT_FOUND with near names.
  virtual absl::StatusOr<ArtifactRecord> GetArtifact(const std::string& name) = 0;
  virtual absl::StatusOr<Page<ArtifactRecord>> ListArtifacts(const PageRequest& page) = 0;
  virtual absl::Status DeleteArtifact(const std::string& name) = 0;
  // How many names the file `sha256` has.
  virtual absl::StatusOr<int64_t> CountArtifactsOfFile(const std::string& sha256) = 0;
  virtual absl::StatusOr<std::vector<FormatTotal>> ArtifactTotals() = 0;

  // A model's record, in place of one of that name, and its artefacts: all of them or none.
  // Errors: AlreadyExists/ARTIFACT_EXISTS.
  virtual absl::Status InsertModel(const ModelRecord& model,
                                   const std::vector<ArtifactRecord>& artifacts) = 0;
  virtual absl::StatusOr<std::optional<ModelRecord>> GetModel(const std::string& name) = 0;
  // The artefacts whose names begin with `name` and a slash, by name.
  virtual absl::StatusOr<std::vector<ArtifactRecord>> ArtifactsOfModel(const std::string& name) = 0;
  // Removes the record and those artefacts.
  virtual absl::Status DeleteModel(const std::string& name) = 0;

  // Hessians, listed by name. Errors: AlreadyExists/HESSIAN_EXISTS.
  virtual absl::Status InsertHessian(const HessianRecord& record) = 0;
  // In place of the one of that name. Errors: NotFound/HESSIAN_NOT_FOUND, here and below.
  virtual absl::Status UpdateHessian(const HessianRecord& record) = 0;
  virtual absl::StatusOr<HessianRecord> GetHessian(const std::string& name) = 0;
  virtual absl::StatusOr<Page<HessianRecord>> ListHessians(const PageRequest& page) = 0;
  virtual absl::Status DeleteHessian(const std::string& name) = 0;
  virtual absl::StatusOr<int64_t> CountHessiansOfFile(const std::string& sha256) = 0;

  // Runs, newest first; lists leave the samples out. InsertRun chooses and returns the id.
  virtual absl::StatusOr<std::string> InsertRun(const RunRecord& run) = 0;
  virtual absl::StatusOr<RunRecord> GetRun(const std::string& id) = 0;  // NotFound/RUN_NOT_FOUND
  virtual absl::StatusOr<Page<RunRecord>> ListRuns(const PageRequest& page) = 0;

  // Profiles, newest first; lists leave metrics, instructions and notes out. InsertProfile chooses
  // and returns the id.
  virtual absl::StatusOr<std::string> InsertProfile(const ProfileRecord& profile) = 0;
  // Errors: NotFound/PROFILE_NOT_FOUND.
  virtual absl::StatusOr<ProfileRecord> GetProfile(const std::string& id) = 0;
  virtual absl::StatusOr<Page<ProfileRecord>> ListProfiles(const PageRequest& page) = 0;

  // Operations, newest first. InsertOperation chooses and returns the id, and stores `key` with it
  // where its request_id is not empty.
  virtual absl::StatusOr<std::string> InsertOperation(const OperationRecord& operation,
                                                      const RequestKey& key) = 0;
  virtual absl::Status UpdateOperation(const OperationRecord& operation) = 0;
  // Errors: NotFound/OPERATION_NOT_FOUND.
  virtual absl::StatusOr<OperationRecord> GetOperation(const std::string& id) = 0;
  virtual absl::StatusOr<Page<OperationRecord>> ListOperations(const PageRequest& page) = 0;
  virtual absl::Status DeleteOperation(const std::string& id) = 0;
  // Those that have not ended.
  virtual absl::StatusOr<std::vector<OperationRecord>> UnfinishedOperations() = 0;
  // The operation started with `request_id` since `not_before`.
  virtual absl::StatusOr<std::optional<KnownRequest>> FindRequest(const std::string& request_id,
                                                                  UnixMillis not_before) = 0;
  // Forgets request ids older than `not_before` and all but the newest `keep` ended operations.
  virtual absl::Status Prune(UnixMillis not_before, int64_t keep) = 0;
};

// Opens or creates the SQLite database `path` (WAL, synchronous=FULL) and migrates it.
// Errors: FailedPrecondition/HISTORY_TOO_NEW if a later version wrote it; Internal/HISTORY_FAILED.
absl::StatusOr<std::unique_ptr<HistoryStore>> OpenSqliteHistory(const std::string& path);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HISTORY_HISTORY_STORE_H_
