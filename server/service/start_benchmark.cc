#include <string>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/service/handlers.h"
#include "server/service/operation_conversion.h"

namespace qtipd {
namespace {

constexpr uint64_t kDefaultSeed = 1;

absl::StatusOr<CacheMode> FromProto(v1::CacheMode mode) {
  switch (mode) {
    case v1::CACHE_MODE_UNSPECIFIED:
    case v1::CACHE_MODE_ROTATE:
      return CacheMode::kRotate;
    case v1::CACHE_MODE_COLD:
      return CacheMode::kCold;
    case v1::CACHE_MODE_HOT:
      return CacheMode::kHot;
    default:  // proto3 enums are open: a newer client may send a value that this server lacks
      return InvalidField("CACHE_MODE_UNKNOWN", "cache_mode", std::to_string(mode),
                          "rotate, cold, hot");
  }
}

absl::Status Refuse(const std::string& field, const std::string& got, const std::string& allowed) {
  return InvalidField("STOPPING_RULE_INVALID", "stopping." + field, got, allowed);
}

// Takes over what is set; 0 leaves the default. The engine checks how the values fit together.
absl::Status FillStopping(const v1::StoppingRule& rule, BenchmarkSpec& spec) {
  if (rule.samples() < 0) return Refuse("samples", std::to_string(rule.samples()), "at least 0");
  if (rule.min_samples() < 0) {
    return Refuse("min_samples", std::to_string(rule.min_samples()), "at least 1");
  }
  if (rule.max_samples() < 0) {
    return Refuse("max_samples", std::to_string(rule.max_samples()), "at least 1");
  }
  if (!(rule.relative_half_width() >= 0 && rule.relative_half_width() < 1)) {
    return Refuse("relative_half_width", std::to_string(rule.relative_half_width()),
                  "greater than 0, less than 1");
  }
  spec.samples = rule.samples();
  if (rule.min_samples() > 0) spec.min_samples = rule.min_samples();
  if (rule.max_samples() > 0) spec.max_samples = rule.max_samples();
  if (rule.relative_half_width() > 0) spec.relative_half_width = rule.relative_half_width();
  if (!rule.criterion().empty()) spec.stopping_criterion = rule.criterion();
  for (const auto& [name, value] : rule.parameters()) spec.stopping_parameters[name] = value;
  if (rule.has_timeout()) {
    spec.max_seconds =
        static_cast<double>(rule.timeout().seconds()) + rule.timeout().nanos() * 1e-9;
    if (spec.max_seconds <= 0) {
      return Refuse("timeout", std::to_string(spec.max_seconds) + " s", "greater than 0 s");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<google::longrunning::Operation> StartBenchmark(
    Engine& engine, const v1::StartBenchmarkRequest& request, const CallContext& context) {
  BenchmarkSpec spec;
  spec.request_id = request.request_id();
  spec.artifact = request.artifact();
  spec.device = request.device();
  spec.paths.assign(request.paths().begin(), request.paths().end());
  if (spec.paths.empty()) {
    for (const auto& path : engine.registry().paths()) {
      if (path->designed_error() == 0) spec.paths.emplace_back(path->id());
    }
  }
  spec.batches.assign(request.batches().begin(), request.batches().end());
  if (spec.batches.empty()) spec.batches = {1};
  QTIPD_ASSIGN_OR_RETURN(spec.cache_mode, FromProto(request.cache_mode()));
  spec.seed = request.seed() == 0 ? kDefaultSeed : request.seed();
  QTIPD_RETURN_IF_ERROR(FillStopping(request.stopping(), spec));
  spec.lock_clocks = request.lock_clocks();
  spec.activation_dtype = request.activation_dtype();
  QTIPD_ASSIGN_OR_RETURN(const OperationRecord operation, engine.StartBenchmark(spec));
  return ToProto(operation, engine, Samples::kKeep);
}

}  // namespace qtipd
