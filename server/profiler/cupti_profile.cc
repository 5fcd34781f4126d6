#include "server/profiler/cupti_profile.h"

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/profiler/metric_host.h"
#include "server/profiler/metric_presets.h"
#include "server/profiler/pc_sampling.h"

namespace qtipd {
namespace {

constexpr size_t kHotInstructions = 10;

// The preset's and the named metrics, sorted into what the chip has and what it has not.
absl::StatusOr<MetricSelection> SelectMetrics(const MetricHost& host, const std::string& preset,
                                              const std::vector<std::string>& metrics) {
  std::vector<std::string> wanted;
  if (!preset.empty()) {
    QTIPD_ASSIGN_OR_RETURN(wanted, PresetMetrics(preset, host.bases()));
  }
  wanted.insert(wanted.end(), metrics.begin(), metrics.end());
  return host.Select(wanted);
}

// Keeps what the device could count: shared units of a MIG instance, for one, come back as NaN.
void KeepNumbers(std::vector<MetricValue> metrics, ProfileData& data) {
  for (MetricValue& metric : metrics) {
    if (std::isfinite(metric.value)) {
      data.metrics.push_back(std::move(metric));
    } else {
      data.notes["not_counted." + metric.name] = "the device gave no number";
      data.unavailable_metrics.push_back(metric.name);
    }
  }
}

// The metrics of a device's chip. The name is the driver's, so that one that CUPTI does not know is
// no mistake of the request.
absl::StatusOr<std::unique_ptr<MetricHost>> OpenHostOfDevice(const CuptiApi& api,
                                                             const std::string& chip,
                                                             std::vector<uint8_t> availability) {
  auto host = MetricHost::Open(api, chip, std::move(availability));
  if (host.ok() || GetErrorInfo(host.status()).reason != "CHIP_UNKNOWN") return host;
  return MakeError(
      absl::StatusCode::kUnimplemented, "PROFILING_UNSUPPORTED",
      api.path + " does not know the chip " + chip + " of this device: install a newer CUPTI");
}

absl::Status CollectMetrics(const CuptiSession& session, const ProfileTask& task,
                            const Replay& replay, ProfileData& data) {
  QTIPD_RETURN_IF_ERROR(session.CheckSupported(cupti::ProfilerApi::kRangeProfiling));
  QTIPD_ASSIGN_OR_RETURN(std::vector<uint8_t> availability, session.CounterAvailability());
  QTIPD_ASSIGN_OR_RETURN(const auto host,
                         OpenHostOfDevice(session.api(), data.chip, std::move(availability)));
  QTIPD_ASSIGN_OR_RETURN(MetricSelection selection,
                         SelectMetrics(*host, task.preset, task.metrics));
  // Nothing is left: the first unknown name explains itself.
  const auto& names = selection.available.empty() ? selection.unavailable : selection.available;
  QTIPD_ASSIGN_OR_RETURN(const MetricConfig config, host->Configure(names));
  data.unavailable_metrics = std::move(selection.unavailable);
  QTIPD_ASSIGN_OR_RETURN(const RangeCounters counters, CollectRange(session, config, replay));
  data.passes = counters.passes;
  QTIPD_ASSIGN_OR_RETURN(std::vector<MetricValue> metrics, host->Evaluate(config, counters.image));
  KeepNumbers(std::move(metrics), data);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PcSampler>> EnableSampling(const CuptiSession& session) {
  QTIPD_RETURN_IF_ERROR(session.CheckSupported(cupti::ProfilerApi::kPcSampling));
  return PcSampler::Enable(session);
}

absl::Status CollectInstructions(PcSampler& sampler, const Replay& replay, ProfileData& data) {
  QTIPD_ASSIGN_OR_RETURN(const PcSamples samples, sampler.Collect(replay));
  data.total_samples = samples.total_samples;
  data.dropped_samples = samples.dropped_samples;
  if (!samples.truncation.empty()) data.notes["samples_truncated"] = samples.truncation;
  if (samples.other_samples > 0) {
    data.notes["samples_without_instruction"] = std::to_string(samples.other_samples);
  }
  data.hot_instructions = HottestInstructions(samples, kHotInstructions);
  return absl::OkStatus();
}

// The prepared work, sampled already where the task wants that; `sampled` becomes how it went.
absl::StatusOr<Replay> PrepareAndSample(const CuptiSession& session, bool samples,
                                        const Prepare& prepare, ProfileData& data,
                                        absl::Status& sampled) {
  if (!samples) return prepare();
  const auto sampler = EnableSampling(session);
  sampled = sampler.status();
  QTIPD_ASSIGN_OR_RETURN(Replay replay, prepare());
  if (sampled.ok()) sampled = CollectInstructions(**sampler, replay, data);
  return replay;
}

}  // namespace

absl::StatusOr<ProfileData> ProfileWithCupti(const CuptiApi& api, const DriverDevice& device,
                                             const ProfileTask& task, const Prepare& prepare) {
  QTIPD_ASSIGN_OR_RETURN(const auto session, CuptiSession::Open(api, device));
  ProfileData data;
  data.source = "cupti";
  data.notes["cupti_library"] = api.path;
  QTIPD_ASSIGN_OR_RETURN(data.chip, session->ChipName());
  // One after the other: the two hold the same counters.
  absl::Status sampled;
  QTIPD_ASSIGN_OR_RETURN(
      const Replay replay,
      PrepareAndSample(*session, task.samples_program_counters, prepare, data, sampled));
  if (task.preset.empty() && task.metrics.empty()) {
    QTIPD_RETURN_IF_ERROR(sampled);
    return data;
  }
  // Counters say much without the instructions.
  if (!sampled.ok()) {
    data.notes["instructions_error"] =
        GetErrorInfo(sampled).reason + ": " + std::string(sampled.message());
  }
  QTIPD_RETURN_IF_ERROR(CollectMetrics(*session, task, replay, data));
  return data;
}

absl::StatusOr<MetricCatalogue> ReadCuptiCatalogue(const CuptiApi& api, const std::string& chip,
                                                   const CatalogueTask& task) {
  const bool is_named = !task.chip.empty();
  QTIPD_ASSIGN_OR_RETURN(const auto host, is_named ? MetricHost::Open(api, chip, {})
                                                   : OpenHostOfDevice(api, chip, {}));
  MetricCatalogue catalogue;
  catalogue.chip = chip;
  for (const std::string& base : host->bases()) {
    QTIPD_ASSIGN_OR_RETURN(MetricValue metric, host->Describe(base));
    catalogue.metrics.push_back({base, std::move(metric.description)});
  }
  if (task.preset.empty() && task.metrics.empty()) return catalogue;
  QTIPD_ASSIGN_OR_RETURN(MetricSelection selection,
                         SelectMetrics(*host, task.preset, task.metrics));
  const auto& names = selection.available.empty() ? selection.unavailable : selection.available;
  QTIPD_ASSIGN_OR_RETURN(MetricConfig config, host->Configure(names));
  catalogue.selected_metrics = std::move(config.metrics);
  catalogue.unavailable_metrics = std::move(selection.unavailable);
  catalogue.passes = config.passes;
  return catalogue;
}

}  // namespace qtipd
