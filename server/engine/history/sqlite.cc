#include "server/engine/history/sqlite.h"

#include <sqlite3.h>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

absl::Status SqliteError(sqlite3* database, const std::string& call) {
  const int code = sqlite3_errcode(database);
  const bool is_full = code == SQLITE_FULL;
  return MakeError(is_full ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInternal,
                   is_full ? "DISK_FULL" : "HISTORY_FAILED",
                   "history: " + std::string(sqlite3_errmsg(database)) + " (" + call + ")",
                   {{"sqlite_code", std::to_string(sqlite3_extended_errcode(database))}});
}

}  // namespace

SqliteStatement::SqliteStatement(sqlite3* database, const char* sql)
    : database_(database), sql_(sql) {
  first_error_ = sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

void SqliteStatement::Note(int code) {
  if (first_error_ == SQLITE_OK) first_error_ = code;
}

SqliteStatement& SqliteStatement::Bind(const std::string& text) {
  Note(sqlite3_bind_text(statement_, next_parameter_++, text.data(), static_cast<int>(text.size()),
                         SQLITE_TRANSIENT));
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int64_t value) {
  Note(sqlite3_bind_int64(statement_, next_parameter_++, value));
  return *this;
}

SqliteStatement& SqliteStatement::Bind(double value) {
  Note(sqlite3_bind_double(statement_, next_parameter_++, value));
  return *this;
}

SqliteStatement& SqliteStatement::Bind(std::span<const std::byte> blob) {
  // A null pointer would bind NULL, not an empty blob.
  const void* data = blob.empty() ? static_cast<const void*>("") : blob.data();
  Note(sqlite3_bind_blob64(statement_, next_parameter_++, data, blob.size(), SQLITE_TRANSIENT));
  return *this;
}

absl::Status SqliteStatement::Error() const { return SqliteError(database_, sql_); }

absl::StatusOr<bool> SqliteStatement::Step() {
  if (first_error_ != SQLITE_OK) return Error();
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return Error();
}

absl::Status SqliteStatement::Execute() { return Step().status(); }

int64_t SqliteStatement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string SqliteStatement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return text == nullptr
             ? ""
             : std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

std::span<const std::byte> SqliteStatement::Blob(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  return {data, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(handle));
  if (code != SQLITE_OK) return SqliteError(handle, "open " + path);
  sqlite3_extended_result_codes(handle, 0);
  QTIPD_RETURN_IF_ERROR(
      database->Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                    "PRAGMA busy_timeout=5000;"));
  return database;
}

SqliteDatabase::~SqliteDatabase() { sqlite3_close_v2(handle_); }

absl::Status SqliteDatabase::Run(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return SqliteError(handle_, sql.substr(0, 60));
}

int64_t SqliteDatabase::last_insert_id() const { return sqlite3_last_insert_rowid(handle_); }
int SqliteDatabase::changes() const { return sqlite3_changes(handle_); }

SqliteTransaction::~SqliteTransaction() {
  if (is_open_) static_cast<void>(database_.Run("ROLLBACK"));  // the first error is reported
}

absl::Status SqliteTransaction::Begin() {
  QTIPD_RETURN_IF_ERROR(database_.Run("BEGIN IMMEDIATE"));
  is_open_ = true;
  return absl::OkStatus();
}

absl::Status SqliteTransaction::Commit() {
  QTIPD_RETURN_IF_ERROR(database_.Run("COMMIT"));
  is_open_ = false;
  return absl::OkStatus();
}

}  // namespace qtipd
