#include "server/engine/history/sqlite_pages.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

constexpr int kDefaultPageSize = 100;
constexpr int kMaxPageSize = 1000;

}  // namespace

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

absl::StatusOr<int64_t> IdBound(const PageRequest& page) {
  if (page.page_token.empty()) return std::numeric_limits<int64_t>::max();
  const std::optional<int64_t> id = ParseId(page.page_token);
  if (id) return *id;
  return InvalidField("PAGE_TOKEN_INVALID", "page_token", page.page_token,
                      "a token that a list call returned");
}

absl::Status RecordNotFound(const std::string& reason, const std::string& field,
                            const std::string& got, const std::string& allowed) {
  return FieldError(absl::StatusCode::kNotFound, reason, field, got, allowed);
}

}  // namespace qtipd
