#include "server/base/text_file.h"

#include <charconv>
#include <fstream>

namespace qtipd {

std::optional<std::string> ReadFirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<int64_t> ReadNumber(const std::string& path) {
  const std::optional<std::string> line = ReadFirstLine(path);
  if (!line) return std::nullopt;
  int64_t value = 0;
  const auto parsed = std::from_chars(line->data(), line->data() + line->size(), value);
  if (parsed.ec != std::errc()) return std::nullopt;
  return value;
}

}  // namespace qtipd
