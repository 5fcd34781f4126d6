// How the daemon logs.
#ifndef QTIPD_SERVER_LOGGING_H_
#define QTIPD_SERVER_LOGGING_H_

#include <string>

namespace qtipd {

// Sends spdlog's default logger to stderr, one line an event: "TIME LEVEL event key=value ..." for
// `format` "text", an object with time, level and message for "json". Called once, before the first
// line. `level` is one of spdlog's names.
void StartLogging(const std::string& level, const std::string& format);

// `text` as the inside of a JSON string. Bytes that are not UTF-8 pass as they are.
std::string JsonEscape(const std::string& text);

}  // namespace qtipd

#endif  // QTIPD_SERVER_LOGGING_H_
