#include <algorithm>
#include <charconv>
#include <cstring>
#include <mutex>
#include <utility>

#include "history_schema.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/history/history_store.h"
#include "server/engine/history/model_json.h"
#include "server/engine/history/name_taken.h"
#include "server/engine/history/profile_json.h"
#include "server/engine/history/record_json.h"
#include "server/engine/history/sqlite.h"

namespace qtipd {
namespace {

// Migrations in order; the database's user_version counts those applied.
constexpr const char* kMigrations[] = {kHistorySchema, kHistorySampleClocks, kHistoryProfiles,
                                       kHistoryModels};
constexpr int64_t kVersion = std::size(kMigrations);

constexpr int kDefaultPageSize = 100;
constexpr int kMaxPageSize = 1000;

// Names below a model: from its name and a slash to the character after that, in byte order.
constexpr char kSlash[] = "/";
constexpr char kAfterSlash[] = "0";
static_assert(kSlash[0] + 1 == kAfterSlash[0]);

// One row more than the page is asked for, to know whether there is a next one.
absl::StatusOr<int64_t> RowsWanted(const PageRequest& page) {
  if (page.page_size < 0) {
    return InvalidField("PAGE_SIZE_INVALID", "page_size", std::to_string(page.page_size),
                        "0 to 1000");
  }
  const int size = page.page_size == 0 ? kDefaultPageSize : page.page_size;
  return std::min(size, kMaxPageSize) + 1;
}

std::optional<int64_t> ParseId(const std::string& text) {
  int64_t id = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, id);
  if (result.ec != std::errc() || result.ptr != end || id <= 0) return std::nullopt;
  return id;
}

// For lists with the newest first: ids below the token's, or all.
absl::StatusOr<int64_t> IdBound(const PageRequest& page) {
  if (page.page_token.empty()) return std::numeric_limits<int64_t>::max();
  const std::optional<int64_t> id = ParseId(page.page_token);
  if (id) return *id;
  return InvalidField("PAGE_TOKEN_INVALID", "page_token", page.page_token,
                      "a token that a list call returned");
}

// Drops the row that was one too many and makes the token of the last one kept.
template <typename T, typename TokenOf>
Page<T> FinishPage(std::vector<T> items, int64_t rows_wanted, TokenOf token_of) {
  Page<T> page;
  page.items = std::move(items);
  if (static_cast<int64_t>(page.items.size()) == rows_wanted) {
    page.items.pop_back();
    page.next_page_token = token_of(page.items.back());
  }
  return page;
}

absl::Status NotFound(const std::string& reason, const std::string& field, const std::string& got,
                      const std::string& allowed) {
  return FieldError(absl::StatusCode::kNotFound, reason, field, got, allowed);
}

// The first column of every row, read by `from_json`.
template <typename FromJson>
auto ReadRecords(SqliteStatement& query, FromJson from_json)
    -> absl::StatusOr<std::vector<typename decltype(from_json(""))::value_type>> {
  std::vector<typename decltype(from_json(""))::value_type> records;
  while (true) {
    QTIPD_ASSIGN_OR_RETURN(const bool has_row, query.Step());
    if (!has_row) return records;
    QTIPD_ASSIGN_OR_RETURN(auto record, from_json(query.Text(0)));
    records.push_back(std::move(record));
  }
}

std::vector<double> Doubles(std::span<const std::byte> blob) {
  std::vector<double> values(blob.size() / sizeof(double));
  if (!values.empty()) std::memcpy(values.data(), blob.data(), values.size() * sizeof(double));
  return values;
}

absl::Status NoSuchOperation(const std::string& id) {
  return NotFound("OPERATION_NOT_FOUND", "operation", id, "the id of a known operation");
}

class SqliteHistory final : public HistoryStore {
 public:
  explicit SqliteHistory(std::unique_ptr<SqliteDatabase> database)
      : database_(std::move(database)) {}

  absl::Status Migrate() {
    SqliteTransaction transaction(*database_);
    QTIPD_RETURN_IF_ERROR(transaction.Begin());
    int64_t version = 0;
    {
      SqliteStatement query(database_->handle(), "PRAGMA user_version");
      QTIPD_RETURN_IF_ERROR(query.Step().status());
      version = query.Int(0);
    }
    if (version > kVersion) {
      return FieldError(absl::StatusCode::kFailedPrecondition, "HISTORY_TOO_NEW",
                        "version of the history", std::to_string(version),
                        "0 to " + std::to_string(kVersion) + " (a later qtipd wrote it)");
    }
    for (; version < kVersion; ++version)
      QTIPD_RETURN_IF_ERROR(database_->Run(kMigrations[version]));
    QTIPD_RETURN_IF_ERROR(database_->Run("PRAGMA user_version=" + std::to_string(kVersion)));
    return transaction.Commit();
  }

  // ---- Artefacts ----

  absl::Status InsertArtifact(const ArtifactRecord& record) override {
    std::lock_guard lock(mutex_);
    return AddArtifact(record);
  }

  absl::StatusOr<ArtifactRecord> GetArtifact(const std::string& name) override {
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(), "SELECT record FROM artifacts WHERE name = ?");
    QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(name).Step());
    if (is_found) return ArtifactFromJson(query.Text(0));
    return NoSuchArtifact(name);
  }

  absl::StatusOr<Page<ArtifactRecord>> ListArtifacts(const PageRequest& page) override {
    QTIPD_ASSIGN_OR_RETURN(const int64_t rows, RowsWanted(page));
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(),
                          "SELECT record FROM artifacts WHERE name > ? ORDER BY name LIMIT ?");
    query.Bind(page.page_token).Bind(rows);
    QTIPD_ASSIGN_OR_RETURN(std::vector<ArtifactRecord> records,
                           ReadRecords(query, ArtifactFromJson));
    return FinishPage(std::move(records), rows, [](const ArtifactRecord& r) { return r.name; });
  }

  absl::Status DeleteArtifact(const std::string& name) override {
    std::lock_guard lock(mutex_);
    SqliteStatement remove(database_->handle(), "DELETE FROM artifacts WHERE name = ?");
    QTIPD_RETURN_IF_ERROR(remove.Bind(name).Execute());
    return database_->changes() == 1 ? absl::OkStatus() : NoSuchArtifact(name);
  }

  absl::StatusOr<int64_t> CountArtifactsOfFile(const std::string& sha256) override {
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(), "SELECT COUNT(*) FROM artifacts WHERE sha256 = ?");
    QTIPD_RETURN_IF_ERROR(query.Bind(sha256).Step().status());
    return query.Int(0);
  }

  absl::StatusOr<std::vector<FormatTotal>> ArtifactTotals() override {
    std::lock_guard lock(mutex_);
    SqliteStatement query(
        database_->handle(),
        "SELECT format, COUNT(*), SUM(packed_bytes) FROM artifacts GROUP BY format");
    std::vector<FormatTotal> totals;
    while (true) {
      QTIPD_ASSIGN_OR_RETURN(const bool has_row, query.Step());
      if (!has_row) return totals;
      totals.push_back({query.Text(0), query.Int(1), static_cast<uint64_t>(query.Int(2))});
    }
  }

  // ---- Models ----

  absl::Status InsertModel(const ModelRecord& model,
                           const std::vector<ArtifactRecord>& artifacts) override {
    std::lock_guard lock(mutex_);
    SqliteTransaction transaction(*database_);
    QTIPD_RETURN_IF_ERROR(transaction.Begin());
    for (const ArtifactRecord& record : artifacts) QTIPD_RETURN_IF_ERROR(AddArtifact(record));
    SqliteStatement insert(
        database_->handle(),
        "INSERT OR REPLACE INTO models (name, create_time, record) VALUES (?, ?, ?)");
    QTIPD_RETURN_IF_ERROR(
        insert.Bind(model.name).Bind(model.create_time).Bind(ModelToJson(model)).Execute());
    return transaction.Commit();
  }

  absl::StatusOr<std::optional<ModelRecord>> GetModel(const std::string& name) override {
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(), "SELECT record FROM models WHERE name = ?");
    QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(name).Step());
    if (!is_found) return std::optional<ModelRecord>();
    QTIPD_ASSIGN_OR_RETURN(ModelRecord record, ModelFromJson(query.Text(0)));
    return std::optional(std::move(record));
  }

  absl::StatusOr<std::vector<ArtifactRecord>> ArtifactsOfModel(const std::string& name) override {
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(),
                          "SELECT record FROM artifacts WHERE name > ? AND name < ? ORDER BY name");
    query.Bind(name + kSlash).Bind(name + kAfterSlash);
    return ReadRecords(query, ArtifactFromJson);
  }

  absl::Status DeleteModel(const std::string& name) override {
    std::lock_guard lock(mutex_);
    SqliteTransaction transaction(*database_);
    QTIPD_RETURN_IF_ERROR(transaction.Begin());
    SqliteStatement layers(database_->handle(),
                           "DELETE FROM artifacts WHERE name > ? AND name < ?");
    QTIPD_RETURN_IF_ERROR(layers.Bind(name + kSlash).Bind(name + kAfterSlash).Execute());
    // Models below it lose their artefacts with it.
    SqliteStatement models(database_->handle(),
                           "DELETE FROM models WHERE name = ? OR (name > ? AND name < ?)");
    QTIPD_RETURN_IF_ERROR(models.Bind(name).Bind(name + kSlash).Bind(name + kAfterSlash).Execute());
    return transaction.Commit();
  }

  // ---- Hessians ----

  absl::Status InsertHessian(const HessianRecord& record) override {
    std::lock_guard lock(mutex_);
    SqliteStatement insert(
        database_->handle(),
        "INSERT OR IGNORE INTO hessians (name, sha256, record) VALUES (?, ?, ?)");
    QTIPD_RETURN_IF_ERROR(
        insert.Bind(record.name).Bind(record.sha256).Bind(HessianToJson(record)).Execute());
    if (database_->changes() == 1) return absl::OkStatus();
    return HessianExists(record.name);
  }

  absl::Status UpdateHessian(const HessianRecord& record) override {
    std::lock_guard lock(mutex_);
    SqliteStatement update(database_->handle(),
                           "UPDATE hessians SET sha256 = ?, record = ? WHERE name = ?");
    QTIPD_RETURN_IF_ERROR(
        update.Bind(record.sha256).Bind(HessianToJson(record)).Bind(record.name).Execute());
    return database_->changes() == 1 ? absl::OkStatus() : NoSuchHessian(record.name);
  }

  absl::StatusOr<HessianRecord> GetHessian(const std::string& name) override {
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(), "SELECT record FROM hessians WHERE name = ?");
    QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(name).Step());
    if (is_found) return HessianFromJson(query.Text(0));
    return NoSuchHessian(name);
  }

  absl::StatusOr<Page<HessianRecord>> ListHessians(const PageRequest& page) override {
    QTIPD_ASSIGN_OR_RETURN(const int64_t rows, RowsWanted(page));
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(),
                          "SELECT record FROM hessians WHERE name > ? ORDER BY name LIMIT ?");
    query.Bind(page.page_token).Bind(rows);
    QTIPD_ASSIGN_OR_RETURN(std::vector<HessianRecord> records, ReadRecords(query, HessianFromJson));
    return FinishPage(std::move(records), rows, [](const HessianRecord& r) { return r.name; });
  }

  absl::Status DeleteHessian(const std::string& name) override {
    std::lock_guard lock(mutex_);
    SqliteStatement remove(database_->handle(), "DELETE FROM hessians WHERE name = ?");
    QTIPD_RETURN_IF_ERROR(remove.Bind(name).Execute());
    return database_->changes() == 1 ? absl::OkStatus() : NoSuchHessian(name);
  }

  absl::StatusOr<int64_t> CountHessiansOfFile(const std::string& sha256) override {
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(), "SELECT COUNT(*) FROM hessians WHERE sha256 = ?");
    QTIPD_RETURN_IF_ERROR(query.Bind(sha256).Step().status());
    return query.Int(0);
  }

  // ---- Runs ----

  absl::StatusOr<std::string> InsertRun(const RunRecord& run) override {
    std::lock_guard lock(mutex_);
    SqliteTransaction transaction(*database_);
    QTIPD_RETURN_IF_ERROR(transaction.Begin());
    SqliteStatement insert(
        database_->handle(),
        "INSERT INTO runs (artifact, device, create_time, record) VALUES (?, ?, ?, ?)");
    QTIPD_RETURN_IF_ERROR(insert.Bind(run.artifact)
                              .Bind(run.device)
                              .Bind(run.create_time)
                              .Bind(RunToJson(run))
                              .Execute());
    const int64_t id = database_->last_insert_id();
    for (size_t i = 0; i < run.results.size(); ++i) {
      QTIPD_RETURN_IF_ERROR(InsertResult(id, static_cast<int64_t>(i), run.results[i]));
    }
    QTIPD_RETURN_IF_ERROR(transaction.Commit());
    return std::to_string(id);
  }

  absl::StatusOr<RunRecord> GetRun(const std::string& id) override {
    const absl::Status not_found = NotFound("RUN_NOT_FOUND", "run", id, "the id of a known run");
    const std::optional<int64_t> number = ParseId(id);
    if (!number) return not_found;
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(), "SELECT record FROM runs WHERE id = ?");
    QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(*number).Step());
    if (!is_found) return not_found;
    return ReadRun(*number, query.Text(0), true);
  }

  absl::StatusOr<Page<RunRecord>> ListRuns(const PageRequest& page) override {
    QTIPD_ASSIGN_OR_RETURN(const int64_t rows, RowsWanted(page));
    QTIPD_ASSIGN_OR_RETURN(const int64_t bound, IdBound(page));
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(),
                          "SELECT id, record FROM runs WHERE id < ? ORDER BY id DESC LIMIT ?");
    query.Bind(bound).Bind(rows);
    std::vector<RunRecord> runs;
    while (true) {
      QTIPD_ASSIGN_OR_RETURN(const bool has_row, query.Step());
      if (!has_row) break;
      QTIPD_ASSIGN_OR_RETURN(RunRecord run, ReadRun(query.Int(0), query.Text(1), false));
      runs.push_back(std::move(run));
    }
    return FinishPage(std::move(runs), rows, [](const RunRecord& run) { return run.id; });
  }

  // ---- Profiles ----

  absl::StatusOr<std::string> InsertProfile(const ProfileRecord& profile) override {
    std::lock_guard lock(mutex_);
    SqliteStatement insert(database_->handle(),
                           "INSERT INTO profiles (artifact, device, create_time, record, data) "
                           "VALUES (?, ?, ?, ?, ?)");
    QTIPD_RETURN_IF_ERROR(insert.Bind(profile.artifact)
                              .Bind(profile.device)
                              .Bind(profile.create_time)
                              .Bind(ProfileToJson(profile))
                              .Bind(ProfileAnswer(profile.data))
                              .Execute());
    return std::to_string(database_->last_insert_id());
  }

  absl::StatusOr<ProfileRecord> GetProfile(const std::string& id) override {
    const absl::Status not_found =
        NotFound("PROFILE_NOT_FOUND", "profile", id, "the id of a known profile");
    const std::optional<int64_t> number = ParseId(id);
    if (!number) return not_found;
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(),
                          "SELECT id, record, data FROM profiles WHERE id = ?");
    QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(*number).Step());
    if (!is_found) return not_found;
    return ReadProfile(query);
  }

  absl::StatusOr<Page<ProfileRecord>> ListProfiles(const PageRequest& page) override {
    QTIPD_ASSIGN_OR_RETURN(const int64_t rows, RowsWanted(page));
    QTIPD_ASSIGN_OR_RETURN(const int64_t bound, IdBound(page));
    std::lock_guard lock(mutex_);
    SqliteStatement query(
        database_->handle(),
        "SELECT id, record, data FROM profiles WHERE id < ? ORDER BY id DESC LIMIT ?");
    query.Bind(bound).Bind(rows);
    std::vector<ProfileRecord> profiles;
    while (true) {
      QTIPD_ASSIGN_OR_RETURN(const bool has_row, query.Step());
      if (!has_row) break;
      QTIPD_ASSIGN_OR_RETURN(ProfileRecord profile, ReadProfile(query));
      profile.data.metrics.clear();
      profile.data.hot_instructions.clear();
      profile.data.notes.clear();
      profiles.push_back(std::move(profile));
    }
    return FinishPage(std::move(profiles), rows, [](const ProfileRecord& p) { return p.id; });
  }

  // ---- Operations ----

  absl::StatusOr<std::string> InsertOperation(const OperationRecord& operation,
                                              const RequestKey& key) override {
    std::lock_guard lock(mutex_);
    SqliteTransaction transaction(*database_);
    QTIPD_RETURN_IF_ERROR(transaction.Begin());
    SqliteStatement insert(database_->handle(),
                           "INSERT INTO operations (kind, state, is_terminal, create_time, record) "
                           "VALUES (?, ?, ?, ?, ?)");
    QTIPD_RETURN_IF_ERROR(insert.Bind(operation.kind)
                              .Bind(std::string(OperationStateName(operation.state)))
                              .Bind(int64_t{IsTerminal(operation.state)})
                              .Bind(operation.create_time)
                              .Bind(OperationToJson(operation))
                              .Execute());
    const int64_t id = database_->last_insert_id();
    if (!key.request_id.empty()) {
      SqliteStatement remember(database_->handle(),
                               "INSERT OR REPLACE INTO request_ids (request_id, spec_sha256, "
                               "operation_id, create_time) VALUES (?, ?, ?, ?)");
      QTIPD_RETURN_IF_ERROR(remember.Bind(key.request_id)
                                .Bind(key.spec_sha256)
                                .Bind(id)
                                .Bind(key.create_time)
                                .Execute());
    }
    QTIPD_RETURN_IF_ERROR(transaction.Commit());
    return std::to_string(id);
  }

  absl::Status UpdateOperation(const OperationRecord& operation) override {
    const std::optional<int64_t> number = ParseId(operation.id);
    if (!number) return NoSuchOperation(operation.id);
    std::lock_guard lock(mutex_);
    SqliteStatement update(
        database_->handle(),
        "UPDATE operations SET state = ?, is_terminal = ?, record = ? WHERE id = ?");
    QTIPD_RETURN_IF_ERROR(update.Bind(std::string(OperationStateName(operation.state)))
                              .Bind(int64_t{IsTerminal(operation.state)})
                              .Bind(OperationToJson(operation))
                              .Bind(*number)
                              .Execute());
    return database_->changes() == 1 ? absl::OkStatus() : NoSuchOperation(operation.id);
  }

  absl::StatusOr<OperationRecord> GetOperation(const std::string& id) override {
    const std::optional<int64_t> number = ParseId(id);
    if (!number) return NoSuchOperation(id);
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(), "SELECT id, record FROM operations WHERE id = ?");
    QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(*number).Step());
    if (!is_found) return NoSuchOperation(id);
    return ReadOperation(query);
  }

  absl::StatusOr<Page<OperationRecord>> ListOperations(const PageRequest& page) override {
    QTIPD_ASSIGN_OR_RETURN(const int64_t rows, RowsWanted(page));
    QTIPD_ASSIGN_OR_RETURN(const int64_t bound, IdBound(page));
    std::lock_guard lock(mutex_);
    SqliteStatement query(
        database_->handle(),
        "SELECT id, record FROM operations WHERE id < ? ORDER BY id DESC LIMIT ?");
    QTIPD_ASSIGN_OR_RETURN(auto operations, ReadOperations(query.Bind(bound).Bind(rows)));
    return FinishPage(std::move(operations), rows, [](const OperationRecord& o) { return o.id; });
  }

  absl::Status DeleteOperation(const std::string& id) override {
    const std::optional<int64_t> number = ParseId(id);
    if (!number) return NoSuchOperation(id);
    std::lock_guard lock(mutex_);
    SqliteStatement remove(database_->handle(), "DELETE FROM operations WHERE id = ?");
    QTIPD_RETURN_IF_ERROR(remove.Bind(*number).Execute());
    return database_->changes() == 1 ? absl::OkStatus() : NoSuchOperation(id);
  }

  absl::StatusOr<std::vector<OperationRecord>> UnfinishedOperations() override {
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(),
                          "SELECT id, record FROM operations WHERE is_terminal = 0 ORDER BY id");
    return ReadOperations(query);
  }

  absl::StatusOr<std::optional<KnownRequest>> FindRequest(const std::string& request_id,
                                                          UnixMillis not_before) override {
    std::lock_guard lock(mutex_);
    SqliteStatement query(database_->handle(),
                          "SELECT spec_sha256, operation_id FROM request_ids "
                          "WHERE request_id = ? AND create_time >= ?");
    QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(request_id).Bind(not_before).Step());
    if (!is_found) return std::optional<KnownRequest>();
    return std::optional(KnownRequest{query.Text(0), query.Text(1)});
  }

  absl::Status Prune(UnixMillis not_before, int64_t keep) override {
    std::lock_guard lock(mutex_);
    SqliteStatement forget(database_->handle(), "DELETE FROM request_ids WHERE create_time < ?");
    QTIPD_RETURN_IF_ERROR(forget.Bind(not_before).Execute());
    SqliteStatement remove(database_->handle(),
                           "DELETE FROM operations WHERE is_terminal = 1 AND id <= (SELECT id FROM "
                           "operations WHERE is_terminal = 1 ORDER BY id DESC LIMIT 1 OFFSET ?)");
    return remove.Bind(keep).Execute();
  }

 private:
  // With the lock held, all of them.
  absl::Status AddArtifact(const ArtifactRecord& record) {
    SqliteStatement insert(database_->handle(),
                           "INSERT OR IGNORE INTO artifacts (name, sha256, format, packed_bytes, "
                           "create_time, record) VALUES (?, ?, ?, ?, ?, ?)");
    QTIPD_RETURN_IF_ERROR(insert.Bind(record.name)
                              .Bind(record.sha256)
                              .Bind(record.format)
                              .Bind(static_cast<int64_t>(record.packed_bytes))
                              .Bind(record.create_time)
                              .Bind(ArtifactToJson(record))
                              .Execute());
    if (database_->changes() == 1) return absl::OkStatus();
    return ArtifactExists(record.name);
  }

  absl::Status NoSuchArtifact(const std::string& name) {
    return NoSuch("SELECT name FROM artifacts LIMIT 1000", "ARTIFACT_NOT_FOUND", "artifact", name);
  }

  absl::Status NoSuchHessian(const std::string& name) {
    return NoSuch("SELECT name FROM hessians LIMIT 1000", "HESSIAN_NOT_FOUND", "hessian", name);
  }

  absl::Status NoSuch(const char* select_names, const std::string& reason, const std::string& what,
                      const std::string& name) {
    SqliteStatement query(database_->handle(), select_names);
    std::vector<std::string> known;
    while (true) {
      QTIPD_ASSIGN_OR_RETURN(const bool has_row, query.Step());
      if (!has_row) break;
      known.push_back(query.Text(0));
    }
    std::string allowed = "the name of a stored " + what;
    const std::vector<std::string> nearest = NearestNames(name, known);
    if (!nearest.empty()) allowed += " (did you mean " + nearest[0] + "?)";
    return NotFound(reason, what, name, allowed);
  }

  absl::Status InsertResult(int64_t run_id, int64_t position, const BenchmarkResult& result) {
    static_assert(std::endian::native == std::endian::little, "samples are stored little-endian");
    SqliteStatement insert(database_->handle(),
                           "INSERT INTO results (run_id, position, path, batch, cache_mode, "
                           "median_seconds, samples, sample_clocks, record) "
                           "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    return insert.Bind(run_id)
        .Bind(position)
        .Bind(result.path)
        .Bind(result.batch)
        .Bind(std::string(CacheModeName(result.cache_mode)))
        .Bind(result.latency.median)
        .Bind(std::as_bytes(std::span(result.samples)))
        .Bind(std::as_bytes(std::span(result.sample_clock_hertz)))
        .Bind(ResultToJson(result))
        .Execute();
  }

  absl::StatusOr<RunRecord> ReadRun(int64_t id, const std::string& json, bool with_samples) {
    QTIPD_ASSIGN_OR_RETURN(RunRecord run, RunFromJson(json));
    run.id = std::to_string(id);
    SqliteStatement query(database_->handle(),
                          "SELECT record, samples, sample_clocks FROM results WHERE run_id = ? "
                          "ORDER BY position");
    query.Bind(id);
    while (true) {
      QTIPD_ASSIGN_OR_RETURN(const bool has_row, query.Step());
      if (!has_row) return run;
      QTIPD_ASSIGN_OR_RETURN(BenchmarkResult result, ResultFromJson(query.Text(0)));
      if (with_samples) {
        result.samples = Doubles(query.Blob(1));
        result.sample_clock_hertz = Doubles(query.Blob(2));
      }
      run.results.push_back(std::move(result));
    }
  }

  static absl::StatusOr<ProfileRecord> ReadProfile(const SqliteStatement& row) {
    QTIPD_ASSIGN_OR_RETURN(ProfileRecord profile, ProfileFromJson(row.Text(1)));
    profile.id = row.Text(0);
    QTIPD_ASSIGN_OR_RETURN(profile.data, ParseProfileAnswer(row.Text(2)));
    return profile;
  }

  static absl::StatusOr<OperationRecord> ReadOperation(const SqliteStatement& row) {
    QTIPD_ASSIGN_OR_RETURN(OperationRecord operation, OperationFromJson(row.Text(1)));
    operation.id = row.Text(0);
    return operation;
  }

  static absl::StatusOr<std::vector<OperationRecord>> ReadOperations(SqliteStatement& query) {
    std::vector<OperationRecord> operations;
    while (true) {
      QTIPD_ASSIGN_OR_RETURN(const bool has_row, query.Step());
      if (!has_row) return operations;
      QTIPD_ASSIGN_OR_RETURN(OperationRecord operation, ReadOperation(query));
      operations.push_back(std::move(operation));
    }
  }

  std::mutex mutex_;  // guards database_
  std::unique_ptr<SqliteDatabase> database_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HistoryStore>> OpenSqliteHistory(const std::string& path) {
  QTIPD_ASSIGN_OR_RETURN(auto database, SqliteDatabase::Open(path));
  auto history = std::make_unique<SqliteHistory>(std::move(database));
  QTIPD_RETURN_IF_ERROR(history->Migrate());
  return history;
}

}  // namespace qtipd
