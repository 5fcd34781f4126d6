// What the history's queries share: pages, ids as text, records as JSON.
#ifndef QTIPD_SERVER_ENGINE_HISTORY_SQLITE_PAGES_H_
#define QTIPD_SERVER_ENGINE_HISTORY_SQLITE_PAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/status.h"
#include "server/engine/history/sqlite.h"
#include "server/engine/types.h"

namespace qtipd {

// One row more than the page is asked for, to know whether there is a next one.
// Errors: PAGE_SIZE_INVALID.
absl::StatusOr<int64_t> RowsWanted(const PageRequest& page);

// A positive number in decimal digits, or nothing.
std::optional<int64_t> ParseId(const std::string& text);

// For lists with the newest first: ids below the token's, or all. Errors: PAGE_TOKEN_INVALID.
absl::StatusOr<int64_t> IdBound(const PageRequest& page);

// NotFound/`reason`, as FieldError has it.
absl::Status RecordNotFound(const std::string& reason, const std::string& field,
                            const std::string& got, const std::string& allowed);

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

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HISTORY_SQLITE_PAGES_H_
