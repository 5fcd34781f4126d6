#include "server/engine/store/stored_files.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "server/base/log_text.h"
#include "spdlog/spdlog.h"

namespace qtipd {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".safetensors";
constexpr size_t kHashDigits = 64;

bool IsHash(const std::string& text) {
  return text.size() == kHashDigits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

std::string StoredFileName(const std::string& sha256) { return sha256 + std::string(kExtension); }

void RemoveTemporaryFiles(const std::string& directory) {
  std::error_code ignored;  // an unreadable entry is reported when it is used
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().filename().string().starts_with(".tmp-")) unlink(entry.path().c_str());
  }
}

UnnamedFiles FindUnnamedFiles(const std::string& directory, const std::set<std::string>& known) {
  UnnamedFiles files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    const std::string sha256 = entry.path().stem().string();
    if (entry.path().extension() != kExtension || !IsHash(sha256) || known.contains(sha256)) {
      continue;
    }
    ++files.count;
    std::error_code gone;
    if (const uint64_t bytes = entry.file_size(gone); !gone) files.bytes += bytes;
    files.example = entry.path().string();
  }
  return files;
}

void ReportUnnamedFiles(const std::string& what, const UnnamedFiles& files) {
  if (files.count == 0) return;
  spdlog::warn("{}_files_unnamed count={} bytes={} one={}", what, files.count, files.bytes,
               LogText(files.example));
}

}  // namespace qtipd
