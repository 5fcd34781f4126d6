#include "server/profiler/disassembly.h"

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "kernels/api/options.h"
#include "server/base/child_process.h"

namespace qtipd {
namespace {

// Folders of PATH.
std::vector<std::string> SearchPath() {
  std::vector<std::string> folders;
  const char* path = std::getenv("PATH");
  std::istringstream stream(path == nullptr ? "" : path);
  for (std::string folder; std::getline(stream, folder, ':');) folders.push_back(folder);
  return folders;
}

// Of `functions`, separated by commas.
absl::StatusOr<std::string> List(const std::string& cuobjdump, const std::string& library,
                                 const std::string& functions, double timeout_seconds) {
  ChildTask task;
  task.arguments = {cuobjdump, "-sass", "-fun", functions, library};
  task.timeout_seconds = timeout_seconds;
  // Whoever ends a profile kills the helper's group.
  task.shares_group = true;
  absl::StatusOr<ChildResult> result = RunChild(task);
  if (!result.ok()) return result.status();
  if (result->end == ChildEnd::kTimedOut) {
    return absl::DeadlineExceededError(cuobjdump + " took longer than " +
                                       OptionText(timeout_seconds) + " s");
  }
  if (result->end != ChildEnd::kExited || result->code != 0) {
    return absl::InternalError(cuobjdump + ": " + LastLine(result->errors));
  }
  return std::move(result->output);
}

// What is known of `functions`; `missing` becomes why the rest is not. All in one run, because most
// of its time is the reading of `library`; one by one where one of them makes it fail. Where it
// takes too long once it is not asked again: a profile waits for it.
SassTexts ListAll(const std::string& cuobjdump, const std::string& library,
                  const std::set<std::string>& functions, double timeout_seconds,
                  std::string& missing) {
  std::string names;
  for (const std::string& function : functions) names += (names.empty() ? "" : ",") + function;
  const absl::StatusOr<std::string> all = List(cuobjdump, library, names, timeout_seconds);
  if (all.ok()) return ParseSass(*all);
  SassTexts texts;
  if (absl::IsDeadlineExceeded(all.status())) {
    missing = std::string(all.status().message());
    return texts;
  }
  for (const std::string& function : functions) {
    const absl::StatusOr<std::string> one = List(cuobjdump, library, function, timeout_seconds);
    if (one.ok()) {
      texts.merge(ParseSass(*one));
    } else {
      missing = std::string(one.status().message());
      if (absl::IsDeadlineExceeded(one.status())) break;
    }
  }
  return texts;
}

}  // namespace

SassTexts ParseSass(std::string_view listing) {
  // "                Function : _Z5FusedPKv"
  // "        /*0010*/                   IMAD.MOV.U32 R1, RZ, RZ, c[0x0][0x28] ;   /* 0x... */"
  constexpr std::string_view kFunction = "Function : ";
  SassTexts texts;
  std::string function;
  std::istringstream stream{std::string(listing)};
  for (std::string line; std::getline(stream, line);) {
    const size_t open = line.find_first_not_of(" \t");
    if (open != std::string::npos && line.compare(open, kFunction.size(), kFunction) == 0) {
      function = line.substr(open + kFunction.size());
      continue;
    }
    if (open == std::string::npos || line.compare(open, 2, "/*") != 0) continue;
    const size_t close = line.find("*/", open);
    const size_t end = line.find(';', open);
    if (close == std::string::npos || end == std::string::npos || end < close) continue;
    uint64_t offset = 0;
    const char* digits_end = line.data() + close;
    const auto parsed = std::from_chars(line.data() + open + 2, digits_end, offset, 16);
    if (parsed.ec != std::errc() || parsed.ptr != digits_end) continue;
    const size_t begin = line.find_first_not_of(" \t", close + 2);
    const size_t last = line.find_last_not_of(" \t", end - 1);
    if (begin < end) texts[{function, offset}] = line.substr(begin, last - begin + 1);
  }
  return texts;
}

std::string FindCuobjdump() {
  std::error_code error;
  std::vector<std::string> folders = {
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path()};
  if (const char* home = std::getenv("CUDA_HOME")) folders.push_back(std::string(home) + "/bin");
  folders.push_back("/usr/local/cuda/bin");
  for (std::string& folder : SearchPath()) folders.push_back(std::move(folder));
  for (const std::string& folder : folders) {
    const std::string path = folder + "/cuobjdump";
    if (std::filesystem::is_regular_file(path, error)) return path;
  }
  return "";
}

std::string Disassemble(const std::string& cuobjdump, const std::string& library,
                        std::vector<HotInstruction>& instructions, double timeout_seconds) {
  if (cuobjdump.empty()) return "cuobjdump was not found (the CUDA Toolkit's cuda-cuobjdump)";
  std::set<std::string> functions;
  for (const HotInstruction& hot : instructions) functions.insert(hot.function);
  std::string missing;
  const SassTexts texts = ListAll(cuobjdump, library, functions, timeout_seconds, missing);
  for (HotInstruction& hot : instructions) {
    const auto text = texts.find({hot.function, hot.offset});
    if (text != texts.end()) {
      hot.text = text->second;
    } else if (missing.empty()) {
      missing = "not in " + library;
    }
  }
  return missing;
}

}  // namespace qtipd
