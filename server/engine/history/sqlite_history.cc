#include "server/engine/history/sqlite_history.h"

#include <iterator>

#include "history_schema.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

// Migrations in order; the database's user_version counts those applied.
constexpr const char* kMigrations[] = {kHistorySchema, kHistorySampleClocks, kHistoryProfiles,
                                       kHistoryModels};
constexpr int64_t kVersion = std::size(kMigrations);

}  // namespace

absl::Status SqliteHistory::Migrate() {
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
  for (; version < kVersion; ++version) QTIPD_RETURN_IF_ERROR(database_->Run(kMigrations[version]));
  QTIPD_RETURN_IF_ERROR(database_->Run("PRAGMA user_version=" + std::to_string(kVersion)));
  return transaction.Commit();
}

absl::StatusOr<std::unique_ptr<HistoryStore>> OpenSqliteHistory(const std::string& path) {
  QTIPD_ASSIGN_OR_RETURN(auto database, SqliteDatabase::Open(path));
  auto history = std::make_unique<SqliteHistory>(std::move(database));
  QTIPD_RETURN_IF_ERROR(history->Migrate());
  return history;
}

}  // namespace qtipd
