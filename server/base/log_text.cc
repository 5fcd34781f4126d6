#include "server/base/log_text.h"

#include <algorithm>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

bool NeedsQuotes(char c) {
  return c == ' ' || c == '"' || c == '=' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
}

}  // namespace

std::string LogText(std::string_view value) {
  if (!value.empty() && std::none_of(value.begin(), value.end(), NeedsQuotes)) {
    return std::string(value);
  }
  std::string text = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return text + '"';
}

std::string LogStatus(const absl::Status& status) {
  if (status.ok()) return "status=OK";
  const absl::string_view message = status.message();
  return "status=" + GetErrorInfo(status).reason +
         " message=" + LogText(std::string_view(message.data(), message.size()));
}

}  // namespace qtipd
