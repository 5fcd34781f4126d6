// Another program run to its end, with its input, its output and an end to patience.
#ifndef QTIPD_SERVER_BASE_CHILD_PROCESS_H_
#define QTIPD_SERVER_BASE_CHILD_PROCESS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace qtipd {

struct ChildTask {
  std::vector<std::string> arguments;  // [0] is the program's path
  std::string input;                   // its standard input
  double timeout_seconds = 60;
  // It stays in the caller's process group and dies with it; only itself is killed when it is
  // ended. For a caller that is such a child.
  bool shares_group = false;
  std::function<bool()> is_cancelled;  // asked ten times a second or more; empty: never
};

enum class ChildEnd { kExited, kSignalled, kTimedOut, kCancelled, kTooMuchOutput };

// A child that writes more is ended.
inline constexpr size_t kMostChildOutput = size_t{64} << 20;

struct ChildResult {
  ChildEnd end = ChildEnd::kExited;
  int code = 0;  // exit status, or the signal's number
  std::string output;
  std::string errors;  // the last 64 KiB of its standard error
};

// Runs it in a process group of its own (but for shares_group), which is killed as a whole when
// time is up, the caller cancels or it writes too much, and waits. A child that reads no input, or
// closes it, is no error and raises no SIGPIPE. It inherits no descriptor but its three. Blocking;
// thread-safe. Errors: NotFound if the program cannot be started; Internal for the system's
// refusals.
absl::StatusOr<ChildResult> RunChild(const ChildTask& task);

// The last line of `text` that is not empty.
std::string LastLine(const std::string& text);

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_CHILD_PROCESS_H_
