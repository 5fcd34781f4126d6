// Progress of long work on a terminal's stderr.
#ifndef QTIPD_CLIENT_PROGRESS_H_
#define QTIPD_CLIENT_PROGRESS_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "qtipd/v1/operation.pb.h"

namespace qtipd {

// Whether progress is drawn: stderr is a terminal.
bool IsStderrTerminal();

// Writes "12/49 4096x4096 qtip bits=2" where `is_terminal`: part `done` of `total` is finished.
void TellPart(std::ostream& out, bool is_terminal, int64_t done, int64_t total,
              const std::string& part);

// "quantize w2  [#########-----------]  45 %  viterbi  8 s left"; the time left once it is known.
std::string ProgressText(const v1::OperationMetadata& metadata, absl::Duration elapsed);

// One line that is drawn over again. Not thread-safe.
class ProgressBar {
 public:
  // Draws nothing unless `is_terminal`.
  ProgressBar(std::ostream& out, bool is_terminal) : out_(out), is_terminal_(is_terminal) {}
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;

  void Update(const v1::OperationMetadata& metadata);
  // Removes the line, so that other text can be written.
  void Clear();

 private:
  std::ostream& out_;
  const bool is_terminal_;
  const absl::Time begin_ = absl::Now();
  std::string shown_;
};

}  // namespace qtipd

#endif  // QTIPD_CLIENT_PROGRESS_H_
