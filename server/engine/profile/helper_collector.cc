#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/child_process.h"
#include "server/engine/profile/profile_collector.h"

namespace qtipd {
namespace {

absl::Status HelperFailed(const std::string& program, const std::string& what,
                          const std::string& errors) {
  const std::string line = LastLine(errors);
  return MakeError(absl::StatusCode::kInternal, "PROFILER_HELPER_FAILED",
                   program + " " + what + (line.empty() ? "" : ": " + line));
}

class HelperCollector final : public ProfileCollector {
 public:
  explicit HelperCollector(HelperConfig config) : config_(std::move(config)) {}

  absl::StatusOr<ProfileData> Collect(const ProfileTask& task,
                                      const std::function<bool()>& is_cancelled) override {
    ProfileTask complete = task;
    complete.cuda_module = config_.cuda_module;
    QTIPD_ASSIGN_OR_RETURN(const std::string answer,
                           Ask({complete, {}}, config_.timeout_seconds, is_cancelled));
    return ParseProfileAnswer(answer);
  }

  absl::StatusOr<MetricCatalogue> ReadCatalogue(
      const CatalogueTask& task, const std::function<bool()>& is_cancelled) override {
    QTIPD_ASSIGN_OR_RETURN(const std::string answer,
                           Ask({{}, task}, config_.catalogue_timeout_seconds, is_cancelled));
    return ParseCatalogueAnswer(answer);
  }

 private:
  // What the helper says to `request`.
  absl::StatusOr<std::string> Ask(const HelperRequest& request, double timeout_seconds,
                                  const std::function<bool()>& is_cancelled) {
    ChildTask child;
    child.arguments = {config_.program};
    child.input = ToJson(request);
    child.timeout_seconds = timeout_seconds;
    child.is_cancelled = is_cancelled;
    absl::StatusOr<ChildResult> result = RunChild(child);
    if (!result.ok()) {
      return HelperFailed(config_.program, "cannot be started",
                          std::string(result.status().message()));
    }
    switch (result->end) {
      case ChildEnd::kCancelled:
        return MakeError(absl::StatusCode::kCancelled, "CANCELLED",
                         "cancelled while the profiler was at work");
      case ChildEnd::kTimedOut:
        return HelperFailed(config_.program, "took too long and was ended", result->errors);
      case ChildEnd::kTooMuchOutput:
        return HelperFailed(
            config_.program,
            "wrote more than " + std::to_string(kMostChildOutput >> 20) + " MiB and was ended",
            result->errors);
      case ChildEnd::kSignalled:
        return HelperFailed(config_.program, "was ended by signal " + std::to_string(result->code),
                            result->errors);
      case ChildEnd::kExited:
        if (result->code == 0) return std::move(result->output);
        return HelperFailed(config_.program, "ended with status " + std::to_string(result->code),
                            result->errors);
    }
    return HelperFailed(config_.program, "ended in no known way", result->errors);
  }

  const HelperConfig config_;
};

}  // namespace

std::unique_ptr<ProfileCollector> MakeHelperCollector(HelperConfig config) {
  return std::make_unique<HelperCollector>(std::move(config));
}

}  // namespace qtipd
