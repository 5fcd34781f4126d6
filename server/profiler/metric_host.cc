#include "server/profiler/metric_host.h"

#include <algorithm>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr double kNanosecond = 1e-9;

std::vector<const char*> Pointers(const std::vector<std::string>& names) {
  std::vector<const char*> pointers;
  for (const std::string& name : names) pointers.push_back(name.c_str());
  return pointers;
}

// CUPTI's dimensions in this project's words.
std::string UnitName(const std::string& dimension) {
  if (dimension == "byte") return "bytes";
  if (dimension == "nanosecond") return "seconds";
  if (dimension == "cycle") return "cycles";
  if (dimension == "instruction") return "instructions";
  return dimension;  // "percent", "byte/second", ...
}

absl::Status UnknownMetric(const std::string& name, const std::vector<std::string>& bases,
                           const std::string& chip) {
  const std::string base = name.substr(0, name.find('.'));
  std::string allowed = "a base metric of " + chip + " with a sub-metric, as dram__bytes_read.sum";
  std::string near;
  for (const std::string& candidate : NearestNames(base, bases)) {
    near += (near.empty() ? "" : ", ") + candidate;
  }
  if (!near.empty()) allowed += " (near: " + near + ")";
  return InvalidField("METRIC_UNKNOWN", "metrics", name, allowed);
}

// Every chip that this CUPTI knows.
std::string KnownChips(const CuptiApi& api) {
  auto params = cupti::Params<cupti::GetSupportedChips>();
  if (api.get_supported_chips(&params) != cupti::kSuccess) return "";
  std::string names;
  for (size_t i = 0; i < params.chip_count; ++i) {
    names += (i == 0 ? "" : ", ") + std::string(params.chip_names[i]);
  }
  return names;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricHost>> MetricHost::Open(const CuptiApi& api,
                                                             const std::string& chip,
                                                             std::vector<uint8_t> availability) {
  std::unique_ptr<MetricHost> host(new MetricHost(api, chip, std::move(availability)));
  QTIPD_ASSIGN_OR_RETURN(host->object_, host->NewObject());
  QTIPD_RETURN_IF_ERROR(host->ReadBases());
  return host;
}

MetricHost::~MetricHost() { Release(object_); }

absl::StatusOr<cupti::HostObject*> MetricHost::NewObject() const {
  auto params = cupti::Params<cupti::HostInitialize>();
  params.profiler_type = cupti::ProfilerType::kRangeProfiler;
  params.chip_name = chip_.c_str();
  params.counter_availability_image = availability_.empty() ? nullptr : availability_.data();
  const cupti::Result result = api_.host_initialize(&params);
  // Never another chip in its place: its counters have other meanings.
  if (result == cupti::kInvalidChipName) {
    return InvalidField("CHIP_UNKNOWN", "chip", chip_, KnownChips(api_));
  }
  QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiProfilerHostInitialize", result));
  return params.host_object;
}

void MetricHost::Release(cupti::HostObject* object) const {
  if (object == nullptr) return;
  auto params = cupti::Params<cupti::HostDeinitialize>();
  params.host_object = object;
  api_.host_deinitialize(&params);
}

absl::Status MetricHost::ReadBases() {
  for (const cupti::MetricType type : cupti::kMetricTypes) {
    auto params = cupti::Params<cupti::GetBaseMetrics>();
    params.host_object = object_;
    params.metric_type = type;
    QTIPD_RETURN_IF_ERROR(
        CuptiStatus(api_, "cuptiProfilerHostGetBaseMetrics", api_.get_base_metrics(&params)));
    bases_.insert(bases_.end(), params.metric_names, params.metric_names + params.metric_count);
  }
  std::sort(bases_.begin(), bases_.end());
  bases_.erase(std::unique(bases_.begin(), bases_.end()), bases_.end());
  return absl::OkStatus();
}

absl::StatusOr<MetricValue> MetricHost::Describe(const std::string& name) const {
  auto params = cupti::Params<cupti::GetMetricProperties>();
  params.host_object = object_;
  params.metric_name = name.c_str();
  const cupti::Result result = api_.get_metric_properties(&params);
  if (result == cupti::kInvalidMetricName) return UnknownMetric(name, bases_, chip_);
  QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiProfilerHostGetMetricProperties", result));
  MetricValue metric;
  metric.name = name;
  if (params.description != nullptr) metric.description = params.description;
  if (params.dimension_unit != nullptr) metric.unit = UnitName(params.dimension_unit);
  return metric;
}

MetricSelection MetricHost::Select(const std::vector<std::string>& names) const {
  MetricSelection selection;
  for (const std::string& name : names) {
    // A base alone has properties too, but cannot be configured.
    const bool is_base = std::binary_search(bases_.begin(), bases_.end(), name);
    auto& list = !is_base && Describe(name).ok() ? selection.available : selection.unavailable;
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  }
  return selection;
}

absl::Status MetricHost::CheckAll(const std::vector<std::string>& metrics) const {
  if (metrics.empty()) {
    return InvalidField("METRIC_UNKNOWN", "metrics", "nothing that " + chip_ + " can count",
                        "names of its catalogue");
  }
  const MetricSelection selection = Select(metrics);
  if (selection.unavailable.empty()) return absl::OkStatus();
  return UnknownMetric(selection.unavailable.front(), bases_, chip_);
}

absl::StatusOr<MetricConfig> MetricHost::Configure(const std::vector<std::string>& metrics) const {
  QTIPD_RETURN_IF_ERROR(CheckAll(metrics));
  QTIPD_ASSIGN_OR_RETURN(cupti::HostObject * object, NewObject());
  const std::shared_ptr<void> release(nullptr, [this, object](void*) { Release(object); });
  MetricConfig config;
  config.metrics = metrics;
  std::vector<const char*> names = Pointers(metrics);
  auto add = cupti::Params<cupti::ConfigAddMetrics>();
  add.host_object = object;
  add.metric_names = names.data();
  add.metric_count = names.size();
  QTIPD_RETURN_IF_ERROR(
      CuptiStatus(api_, "cuptiProfilerHostConfigAddMetrics", api_.config_add_metrics(&add)));
  auto size = cupti::Params<cupti::GetConfigImageSize>();
  size.host_object = object;
  QTIPD_RETURN_IF_ERROR(
      CuptiStatus(api_, "cuptiProfilerHostGetConfigImageSize", api_.get_config_image_size(&size)));
  config.image.resize(size.config_image_size);
  auto image = cupti::Params<cupti::GetConfigImage>();
  image.host_object = object;
  image.config_image_size = config.image.size();
  image.config_image = config.image.data();
  QTIPD_RETURN_IF_ERROR(
      CuptiStatus(api_, "cuptiProfilerHostGetConfigImage", api_.get_config_image(&image)));
  auto passes = cupti::Params<cupti::GetNumOfPasses>();
  passes.config_image_size = config.image.size();
  passes.config_image = config.image.data();
  QTIPD_RETURN_IF_ERROR(
      CuptiStatus(api_, "cuptiProfilerHostGetNumOfPasses", api_.get_num_of_passes(&passes)));
  config.passes = static_cast<int>(passes.pass_count);
  return config;
}

absl::StatusOr<std::vector<MetricValue>> MetricHost::Evaluate(
    const MetricConfig& config, std::span<const uint8_t> counter_data) const {
  std::vector<const char*> names = Pointers(config.metrics);
  std::vector<double> values(names.size());
  auto params = cupti::Params<cupti::EvaluateToGpuValues>();
  params.host_object = object_;
  params.counter_data_image = counter_data.data();
  params.counter_data_image_size = counter_data.size();
  params.metric_names = names.data();
  params.metric_count = names.size();
  params.metric_values = values.data();
  QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiProfilerHostEvaluateToGpuValues",
                                    api_.evaluate_to_gpu_values(&params)));
  std::vector<MetricValue> metrics;
  for (size_t i = 0; i < names.size(); ++i) {
    QTIPD_ASSIGN_OR_RETURN(MetricValue metric, Describe(config.metrics[i]));
    metric.value = values[i];
    if (metric.unit == "seconds") metric.value *= kNanosecond;
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

}  // namespace qtipd
