// A thin RAII layer over SQLite: connections, statements, transactions, Status for codes.
#ifndef QTIPD_SERVER_ENGINE_HISTORY_SQLITE_H_
#define QTIPD_SERVER_ENGINE_HISTORY_SQLITE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace qtipd {

// A prepared statement with its bound values; not thread-safe. Binds copy what they are given. The
// first error of a bind or step is kept and returned by the next call of Step.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* database, const char* sql);
  SqliteStatement(const SqliteStatement&) = delete;
  ~SqliteStatement();

  // Binds the next parameter, left to right.
  SqliteStatement& Bind(const std::string& text);
  SqliteStatement& Bind(int64_t value);
  SqliteStatement& Bind(double value);
  SqliteStatement& Bind(std::span<const std::byte> blob);

  // True: a row is there; false: done.
  absl::StatusOr<bool> Step();
  // For statements that return no row.
  absl::Status Execute();

  // Columns of the present row, from 0.
  int64_t Int(int column) const;
  std::string Text(int column) const;
  std::span<const std::byte> Blob(int column) const;  // valid until the next Step

 private:
  void Note(int code);
  absl::Status Error() const;

  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
  const char* sql_;
  int next_parameter_ = 1;
  int first_error_;
};

// One connection; to be used under one lock.
class SqliteDatabase {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(const std::string& path);
  ~SqliteDatabase();

  // Runs statements that need no parameters.
  absl::Status Run(const std::string& sql);
  sqlite3* handle() { return handle_; }
  int64_t last_insert_id() const;
  // Rows that the last statement changed.
  int changes() const;

 private:
  explicit SqliteDatabase(sqlite3* handle) : handle_(handle) {}
  sqlite3* handle_;
};

// BEGIN IMMEDIATE ... COMMIT; rolls back when destroyed uncommitted.
class SqliteTransaction {
 public:
  explicit SqliteTransaction(SqliteDatabase& database) : database_(database) {}
  ~SqliteTransaction();
  absl::Status Begin();
  absl::Status Commit();

 private:
  SqliteDatabase& database_;
  bool is_open_ = false;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HISTORY_SQLITE_H_
