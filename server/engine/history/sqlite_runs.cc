// Runs and profiles in the history.
#include <bit>
#include <cstring>
#include <span>
#include <utility>

#include "kernels/api/status.h"
#include "server/engine/history/profile_json.h"
#include "server/engine/history/record_json.h"
#include "server/engine/history/sqlite_history.h"
#include "server/engine/history/sqlite_pages.h"

namespace qtipd {
namespace {

std::vector<double> Doubles(std::span<const std::byte> blob) {
  std::vector<double> values(blob.size() / sizeof(double));
  if (!values.empty()) std::memcpy(values.data(), blob.data(), values.size() * sizeof(double));
  return values;
}

}  // namespace

// ---- Runs ----

absl::StatusOr<std::string> SqliteHistory::InsertRun(const RunRecord& run) {
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

absl::StatusOr<RunRecord> SqliteHistory::GetRun(const std::string& id) {
  const absl::Status not_found =
      RecordNotFound("RUN_NOT_FOUND", "run", id, "the id of a known run");
  const std::optional<int64_t> number = ParseId(id);
  if (!number) return not_found;
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(), "SELECT record FROM runs WHERE id = ?");
  QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(*number).Step());
  if (!is_found) return not_found;
  return ReadRun(*number, query.Text(0), true);
}

absl::StatusOr<Page<RunRecord>> SqliteHistory::ListRuns(const PageRequest& page) {
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

absl::StatusOr<std::string> SqliteHistory::InsertProfile(const ProfileRecord& profile) {
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

absl::StatusOr<ProfileRecord> SqliteHistory::GetProfile(const std::string& id) {
  const absl::Status not_found =
      RecordNotFound("PROFILE_NOT_FOUND", "profile", id, "the id of a known profile");
  const std::optional<int64_t> number = ParseId(id);
  if (!number) return not_found;
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(), "SELECT id, record, data FROM profiles WHERE id = ?");
  QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(*number).Step());
  if (!is_found) return not_found;
  return ReadProfile(query);
}

absl::StatusOr<Page<ProfileRecord>> SqliteHistory::ListProfiles(const PageRequest& page) {
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

// ---- With the lock held ----

absl::Status SqliteHistory::InsertResult(int64_t run_id, int64_t position,
                                         const BenchmarkResult& result) {
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

absl::StatusOr<RunRecord> SqliteHistory::ReadRun(int64_t id, const std::string& json,
                                                 bool with_samples) {
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

absl::StatusOr<ProfileRecord> SqliteHistory::ReadProfile(const SqliteStatement& row) {
  QTIPD_ASSIGN_OR_RETURN(ProfileRecord profile, ProfileFromJson(row.Text(1)));
  profile.id = row.Text(0);
  QTIPD_ASSIGN_OR_RETURN(profile.data, ParseProfileAnswer(row.Text(2)));
  return profile;
}

}  // namespace qtipd
