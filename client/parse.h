// Texts of the command line as values. Every error is a usage error that names its field.
#ifndef QTIPD_CLIENT_PARSE_H_
#define QTIPD_CLIENT_PARSE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "qtipd/v1/common.pb.h"

namespace qtipd {

// "60s", "500ms", "2m", "1h"; a bare number means seconds. Positive.
absl::StatusOr<absl::Duration> ParseDuration(std::string_view field, std::string_view text);

// "4096x1024": out_features x in_features, both at least 1.
absl::StatusOr<v1::Shape> ParseShape(std::string_view field, std::string_view text);

// "a,b,c"; no empty parts.
absl::StatusOr<std::vector<std::string>> ParseList(std::string_view field, std::string_view text);

// "1,2,4", each at least 1.
absl::StatusOr<std::vector<int64_t>> ParseIntegers(std::string_view field, std::string_view text);

// A whole number from 0 to 2^64 - 1.
absl::StatusOr<uint64_t> ParseSeed(std::string_view field, std::string_view text);

// "key=value"; the value may be empty and may hold '='.
absl::StatusOr<std::pair<std::string, std::string>> ParseKeyValue(std::string_view field,
                                                                  std::string_view text);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_PARSE_H_
