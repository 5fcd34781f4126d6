#include "client/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/units.h"

namespace qtipd {
namespace {

constexpr int kBarWidth = 24;
// Below this the rate is not yet worth a forecast.
constexpr double kForecastFrom = 0.03;

}  // namespace

bool IsStderrTerminal() { return isatty(STDERR_FILENO) == 1; }

void TellPart(std::ostream& out, bool is_terminal, int64_t done, int64_t total,
              const std::string& part) {
  if (is_terminal) out << done << "/" << total << " " << part << std::endl;
}

std::string ProgressText(const v1::OperationMetadata& metadata, absl::Duration elapsed) {
  std::string text = absl::StrCat(metadata.kind(), " ", metadata.target(), "  ");
  if (metadata.state() == v1::QUEUED) return text + "queued";
  const double progress = std::clamp(metadata.progress(), 0.0, 1.0);
  const int filled = static_cast<int>(progress * kBarWidth);
  absl::StrAppend(&text, "[", std::string(filled, '#'), std::string(kBarWidth - filled, '-'), "] ",
                  static_cast<int>(progress * 100), " %  ", metadata.stage());
  if (progress >= kForecastFrom && progress < 1) {
    const double left = absl::ToDoubleSeconds(elapsed) * (1 - progress) / progress;
    absl::StrAppend(&text, "  ", FormatSeconds(std::max(1.0, std::ceil(left))), " left");
  }
  return text;
}

void ProgressBar::Update(const v1::OperationMetadata& metadata) {
  if (!is_terminal_) return;
  const std::string text = ProgressText(metadata, absl::Now() - begin_);
  if (text == shown_) return;
  shown_ = text;
  out_ << "\r\x1b[K" << text << std::flush;
}

void ProgressBar::Clear() {
  if (shown_.empty()) return;
  out_ << "\r\x1b[K" << std::flush;
  shown_.clear();
}

}  // namespace qtipd
