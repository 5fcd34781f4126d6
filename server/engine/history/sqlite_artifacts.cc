// Artefacts, models and Hessians in the history.
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/history/model_json.h"
#include "server/engine/history/name_taken.h"
#include "server/engine/history/record_json.h"
#include "server/engine/history/sqlite_history.h"
#include "server/engine/history/sqlite_pages.h"

namespace qtipd {
namespace {

// Names below a model: from its name and a slash to the character after that, in byte order.
constexpr char kSlash[] = "/";
constexpr char kAfterSlash[] = "0";
static_assert(kSlash[0] + 1 == kAfterSlash[0]);

}  // namespace

// ---- Artefacts ----

absl::Status SqliteHistory::InsertArtifact(const ArtifactRecord& record) {
  std::lock_guard lock(mutex_);
  return AddArtifact(record);
}

absl::StatusOr<ArtifactRecord> SqliteHistory::GetArtifact(const std::string& name) {
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(), "SELECT record FROM artifacts WHERE name = ?");
  QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(name).Step());
  if (is_found) return ArtifactFromJson(query.Text(0));
  return NoSuchArtifact(name);
}

absl::StatusOr<Page<ArtifactRecord>> SqliteHistory::ListArtifacts(const PageRequest& page) {
  QTIPD_ASSIGN_OR_RETURN(const int64_t rows, RowsWanted(page));
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(),
                        "SELECT record FROM artifacts WHERE name > ? ORDER BY name LIMIT ?");
  query.Bind(page.page_token).Bind(rows);
  QTIPD_ASSIGN_OR_RETURN(std::vector<ArtifactRecord> records, ReadRecords(query, ArtifactFromJson));
  return FinishPage(std::move(records), rows, [](const ArtifactRecord& r) { return r.name; });
}

absl::Status SqliteHistory::DeleteArtifact(const std::string& name) {
  std::lock_guard lock(mutex_);
  SqliteStatement remove(database_->handle(), "DELETE FROM artifacts WHERE name = ?");
  QTIPD_RETURN_IF_ERROR(remove.Bind(name).Execute());
  return database_->changes() == 1 ? absl::OkStatus() : NoSuchArtifact(name);
}

absl::StatusOr<int64_t> SqliteHistory::CountArtifactsOfFile(const std::string& sha256) {
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(), "SELECT COUNT(*) FROM artifacts WHERE sha256 = ?");
  QTIPD_RETURN_IF_ERROR(query.Bind(sha256).Step().status());
  return query.Int(0);
}

absl::StatusOr<std::vector<FormatTotal>> SqliteHistory::ArtifactTotals() {
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

absl::Status SqliteHistory::InsertModel(const ModelRecord& model,
                                        const std::vector<ArtifactRecord>& artifacts) {
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

absl::StatusOr<std::optional<ModelRecord>> SqliteHistory::GetModel(const std::string& name) {
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(), "SELECT record FROM models WHERE name = ?");
  QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(name).Step());
  if (!is_found) return std::optional<ModelRecord>();
  QTIPD_ASSIGN_OR_RETURN(ModelRecord record, ModelFromJson(query.Text(0)));
  return std::optional(std::move(record));
}

absl::StatusOr<std::vector<ArtifactRecord>> SqliteHistory::ArtifactsOfModel(
    const std::string& name) {
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(),
                        "SELECT record FROM artifacts WHERE name > ? AND name < ? ORDER BY name");
  query.Bind(name + kSlash).Bind(name + kAfterSlash);
  return ReadRecords(query, ArtifactFromJson);
}

absl::Status SqliteHistory::DeleteModel(const std::string& name) {
  std::lock_guard lock(mutex_);
  SqliteTransaction transaction(*database_);
  QTIPD_RETURN_IF_ERROR(transaction.Begin());
  SqliteStatement layers(database_->handle(), "DELETE FROM artifacts WHERE name > ? AND name < ?");
  QTIPD_RETURN_IF_ERROR(layers.Bind(name + kSlash).Bind(name + kAfterSlash).Execute());
  // Models below it lose their artefacts with it.
  SqliteStatement models(database_->handle(),
                         "DELETE FROM models WHERE name = ? OR (name > ? AND name < ?)");
  QTIPD_RETURN_IF_ERROR(models.Bind(name).Bind(name + kSlash).Bind(name + kAfterSlash).Execute());
  return transaction.Commit();
}

// ---- Hessians ----

absl::Status SqliteHistory::InsertHessian(const HessianRecord& record) {
  std::lock_guard lock(mutex_);
  SqliteStatement insert(database_->handle(),
                         "INSERT OR IGNORE INTO hessians (name, sha256, record) VALUES (?, ?, ?)");
  QTIPD_RETURN_IF_ERROR(
      insert.Bind(record.name).Bind(record.sha256).Bind(HessianToJson(record)).Execute());
  if (database_->changes() == 1) return absl::OkStatus();
  return HessianExists(record.name);
}

absl::Status SqliteHistory::UpdateHessian(const HessianRecord& record) {
  std::lock_guard lock(mutex_);
  SqliteStatement update(database_->handle(),
                         "UPDATE hessians SET sha256 = ?, record = ? WHERE name = ?");
  QTIPD_RETURN_IF_ERROR(
      update.Bind(record.sha256).Bind(HessianToJson(record)).Bind(record.name).Execute());
  return database_->changes() == 1 ? absl::OkStatus() : NoSuchHessian(record.name);
}

absl::StatusOr<HessianRecord> SqliteHistory::GetHessian(const std::string& name) {
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(), "SELECT record FROM hessians WHERE name = ?");
  QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(name).Step());
  if (is_found) return HessianFromJson(query.Text(0));
  return NoSuchHessian(name);
}

absl::StatusOr<Page<HessianRecord>> SqliteHistory::ListHessians(const PageRequest& page) {
  QTIPD_ASSIGN_OR_RETURN(const int64_t rows, RowsWanted(page));
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(),
                        "SELECT record FROM hessians WHERE name > ? ORDER BY name LIMIT ?");
  query.Bind(page.page_token).Bind(rows);
  QTIPD_ASSIGN_OR_RETURN(std::vector<HessianRecord> records, ReadRecords(query, HessianFromJson));
  return FinishPage(std::move(records), rows, [](const HessianRecord& r) { return r.name; });
}

absl::Status SqliteHistory::DeleteHessian(const std::string& name) {
  std::lock_guard lock(mutex_);
  SqliteStatement remove(database_->handle(), "DELETE FROM hessians WHERE name = ?");
  QTIPD_RETURN_IF_ERROR(remove.Bind(name).Execute());
  return database_->changes() == 1 ? absl::OkStatus() : NoSuchHessian(name);
}

absl::StatusOr<int64_t> SqliteHistory::CountHessiansOfFile(const std::string& sha256) {
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(), "SELECT COUNT(*) FROM hessians WHERE sha256 = ?");
  QTIPD_RETURN_IF_ERROR(query.Bind(sha256).Step().status());
  return query.Int(0);
}

// ---- With the lock held ----

absl::Status SqliteHistory::AddArtifact(const ArtifactRecord& record) {
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

absl::Status SqliteHistory::NoSuchArtifact(const std::string& name) {
  return NoSuch("SELECT name FROM artifacts LIMIT 1000", "ARTIFACT_NOT_FOUND", "artifact", name);
}

absl::Status SqliteHistory::NoSuchHessian(const std::string& name) {
  return NoSuch("SELECT name FROM hessians LIMIT 1000", "HESSIAN_NOT_FOUND", "hessian", name);
}

absl::Status SqliteHistory::NoSuch(const char* select_names, const std::string& reason,
                                   const std::string& what, const std::string& name) {
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
  return RecordNotFound(reason, what, name, allowed);
}

}  // namespace qtipd
