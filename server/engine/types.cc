#include "server/engine/types.h"

namespace qtipd {

std::string_view CacheModeName(CacheMode mode) {
  switch (mode) {
    case CacheMode::kRotate:
      return "rotate";
    case CacheMode::kCold:
      return "cold";
    case CacheMode::kHot:
      return "hot";
  }
  return "";
}

std::string_view StopReasonName(StopReason reason) {
  switch (reason) {
    case StopReason::kConverged:
      return "CONVERGED";
    case StopReason::kNoiseStable:
      return "NOISE_STABLE";
    case StopReason::kSampleLimit:
      return "SAMPLE_LIMIT";
    case StopReason::kTimeout:
      return "TIMEOUT";
    case StopReason::kThrottled:
      return "THROTTLED";
    case StopReason::kCancelled:
      return "CANCELLED";
  }
  return "";
}

std::string_view OperationStateName(OperationState state) {
  switch (state) {
    case OperationState::kQueued:
      return "QUEUED";
    case OperationState::kRunning:
      return "RUNNING";
    case OperationState::kSucceeded:
      return "SUCCEEDED";
    case OperationState::kFailed:
      return "FAILED";
    case OperationState::kCancelled:
      return "CANCELLED";
    case OperationState::kInterrupted:
      return "INTERRUPTED";
  }
  return "";
}

std::string OtherActivations(const RunRecord& run, const BenchmarkResult& result) {
  const auto compute = run.environment.find("compute_dtype");
  const bool is_known = compute != run.environment.end();
  return is_known && compute->second != result.activation_dtype ? result.activation_dtype : "";
}

bool IsTerminal(OperationState state) {
  return state != OperationState::kQueued && state != OperationState::kRunning;
}

}  // namespace qtipd
