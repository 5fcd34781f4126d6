// Operations and the requests that started them in the history.
#include <utility>

#include "kernels/api/status.h"
#include "server/engine/history/record_json.h"
#include "server/engine/history/sqlite_history.h"
#include "server/engine/history/sqlite_pages.h"

namespace qtipd {
namespace {

absl::Status NoSuchOperation(const std::string& id) {
  return RecordNotFound("OPERATION_NOT_FOUND", "operation", id, "the id of a known operation");
}

}  // namespace

absl::StatusOr<std::string> SqliteHistory::InsertOperation(const OperationRecord& operation,
                                                           const RequestKey& key) {
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

absl::Status SqliteHistory::UpdateOperation(const OperationRecord& operation) {
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

absl::StatusOr<OperationRecord> SqliteHistory::GetOperation(const std::string& id) {
  const std::optional<int64_t> number = ParseId(id);
  if (!number) return NoSuchOperation(id);
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(), "SELECT id, record FROM operations WHERE id = ?");
  QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(*number).Step());
  if (!is_found) return NoSuchOperation(id);
  return ReadOperation(query);
}

absl::StatusOr<Page<OperationRecord>> SqliteHistory::ListOperations(const PageRequest& page) {
  QTIPD_ASSIGN_OR_RETURN(const int64_t rows, RowsWanted(page));
  QTIPD_ASSIGN_OR_RETURN(const int64_t bound, IdBound(page));
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(),
                        "SELECT id, record FROM operations WHERE id < ? ORDER BY id DESC LIMIT ?");
  QTIPD_ASSIGN_OR_RETURN(auto operations, ReadOperations(query.Bind(bound).Bind(rows)));
  return FinishPage(std::move(operations), rows, [](const OperationRecord& o) { return o.id; });
}

absl::Status SqliteHistory::DeleteOperation(const std::string& id) {
  const std::optional<int64_t> number = ParseId(id);
  if (!number) return NoSuchOperation(id);
  std::lock_guard lock(mutex_);
  SqliteStatement remove(database_->handle(), "DELETE FROM operations WHERE id = ?");
  QTIPD_RETURN_IF_ERROR(remove.Bind(*number).Execute());
  return database_->changes() == 1 ? absl::OkStatus() : NoSuchOperation(id);
}

absl::StatusOr<std::vector<OperationRecord>> SqliteHistory::UnfinishedOperations() {
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(),
                        "SELECT id, record FROM operations WHERE is_terminal = 0 ORDER BY id");
  return ReadOperations(query);
}

absl::StatusOr<std::optional<KnownRequest>> SqliteHistory::FindRequest(
    const std::string& request_id, UnixMillis not_before) {
  std::lock_guard lock(mutex_);
  SqliteStatement query(database_->handle(),
                        "SELECT spec_sha256, operation_id FROM request_ids "
                        "WHERE request_id = ? AND create_time >= ?");
  QTIPD_ASSIGN_OR_RETURN(const bool is_found, query.Bind(request_id).Bind(not_before).Step());
  if (!is_found) return std::optional<KnownRequest>();
  return std::optional(KnownRequest{query.Text(0), query.Text(1)});
}

absl::Status SqliteHistory::Prune(UnixMillis not_before, int64_t keep) {
  std::lock_guard lock(mutex_);
  SqliteStatement forget(database_->handle(), "DELETE FROM request_ids WHERE create_time < ?");
  QTIPD_RETURN_IF_ERROR(forget.Bind(not_before).Execute());
  SqliteStatement remove(database_->handle(),
                         "DELETE FROM operations WHERE is_terminal = 1 AND id <= (SELECT id FROM "
                         "operations WHERE is_terminal = 1 ORDER BY id DESC LIMIT 1 OFFSET ?)");
  return remove.Bind(keep).Execute();
}

// ---- With the lock held ----

absl::StatusOr<OperationRecord> SqliteHistory::ReadOperation(const SqliteStatement& row) {
  QTIPD_ASSIGN_OR_RETURN(OperationRecord operation, OperationFromJson(row.Text(1)));
  operation.id = row.Text(0);
  return operation;
}

absl::StatusOr<std::vector<OperationRecord>> SqliteHistory::ReadOperations(SqliteStatement& query) {
  std::vector<OperationRecord> operations;
  while (true) {
    QTIPD_ASSIGN_OR_RETURN(const bool has_row, query.Step());
    if (!has_row) return operations;
    QTIPD_ASSIGN_OR_RETURN(OperationRecord operation, ReadOperation(query));
    operations.push_back(std::move(operation));
  }
}

}  // namespace qtipd
