// Small text files of /proc and /sys.
#ifndef QTIPD_SERVER_BASE_TEXT_FILE_H_
#define QTIPD_SERVER_BASE_TEXT_FILE_H_

#include <cstdint>
#include <optional>
#include <string>

namespace qtipd {

// The first line without its newline; absent where the file cannot be read or is empty.
std::optional<std::string> ReadFirstLine(const std::string& path);

// The whole number that the first line begins with.
std::optional<int64_t> ReadNumber(const std::string& path);

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_TEXT_FILE_H_
