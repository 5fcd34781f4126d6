// Values of key=value log lines. Logging itself is spdlog: `spdlog::info("event key={}", value)`.
#ifndef QTIPD_SERVER_BASE_LOG_TEXT_H_
#define QTIPD_SERVER_BASE_LOG_TEXT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace qtipd {

// `value` as it is, or quoted and escaped where it holds spaces, quotes, '=' or control characters,
// so that a log line keeps one meaning.
std::string LogText(std::string_view value);

// "OK", or "REASON" and the quoted message: `status=NAME_INVALID message="..."`.
std::string LogStatus(const absl::Status& status);

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_LOG_TEXT_H_
