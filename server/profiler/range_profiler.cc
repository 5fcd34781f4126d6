#include "server/profiler/range_profiler.h"

#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr char kRangeName[] = "path";
// More than any chip needs for its whole catalogue: an end to a driver that never says it is done.
constexpr int kMostPasses = 4096;

// A range profiler that is enabled while it lives.
class RangeProfiler {
 public:
  explicit RangeProfiler(const CuptiSession& session) : api_(session.api()) {}
  ~RangeProfiler() {
    if (object_ == nullptr) return;
    auto params = Call();
    api_.range_disable(&params);
  }

  absl::Status Enable(const DriverDevice& device) {
    auto params = cupti::Params<cupti::RangeEnable>();
    params.context = device.context;
    QTIPD_RETURN_IF_ERROR(
        CuptiStatus(api_, "cuptiRangeProfilerEnable", api_.range_enable(&params)));
    object_ = params.profiler;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<uint8_t>> NewCounterData(const std::vector<std::string>& metrics) {
    std::vector<const char*> names;
    for (const std::string& metric : metrics) names.push_back(metric.c_str());
    auto size = cupti::Params<cupti::RangeCounterDataSize>();
    size.profiler = object_;
    size.metric_names = names.data();
    size.metric_count = names.size();
    size.max_ranges = 1;
    size.max_range_tree_nodes = 1;
    QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiRangeProfilerGetCounterDataSize",
                                      api_.range_counter_data_size(&size)));
    std::vector<uint8_t> image(size.counter_data_size);
    auto initialize = cupti::Params<cupti::RangeCounterDataInitialize>();
    initialize.profiler = object_;
    initialize.counter_data_size = image.size();
    initialize.counter_data = image.data();
    QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiRangeProfilerCounterDataImageInitialize",
                                      api_.range_counter_data_initialize(&initialize)));
    return image;
  }

  absl::Status SetConfig(const MetricConfig& config, std::vector<uint8_t>& image) {
    auto params = cupti::Params<cupti::RangeSetConfig>();
    params.profiler = object_;
    params.config_size = config.image.size();
    params.config = config.image.data();
    params.counter_data_image_size = image.size();
    params.counter_data_image = image.data();
    params.range = cupti::Range::kUser;
    params.replay_mode = cupti::Replay::kUser;
    params.max_ranges_per_pass = 1;
    params.nesting_levels = 1;
    params.min_nesting_level = 1;
    params.target_nesting_level = 1;
    return CuptiStatus(api_, "cuptiRangeProfilerSetConfig", api_.range_set_config(&params));
  }

  // One pass over the work; true when it was the last one.
  absl::StatusOr<bool> RunPass(const Replay& replay) {
    auto call = Call();
    QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiRangeProfilerStart", api_.range_start(&call)));
    auto push = cupti::Params<cupti::RangePush>();
    push.profiler = object_;
    push.range_name = kRangeName;
    QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiRangeProfilerPushRange", api_.range_push(&push)));
    QTIPD_RETURN_IF_ERROR(replay());
    call = Call();
    QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiRangeProfilerPopRange", api_.range_pop(&call)));
    auto stop = cupti::Params<cupti::RangeStop>();
    stop.profiler = object_;
    QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiRangeProfilerStop", api_.range_stop(&stop)));
    return stop.is_all_pass_submitted != 0;
  }

  absl::Status Decode() {
    auto params = cupti::Params<cupti::RangeDecodeData>();
    params.profiler = object_;
    QTIPD_RETURN_IF_ERROR(
        CuptiStatus(api_, "cuptiRangeProfilerDecodeData", api_.range_decode_data(&params)));
    if (params.dropped_ranges == 0) return absl::OkStatus();
    return Dropped(std::to_string(params.dropped_ranges) + " dropped");
  }

  // That the one range is there.
  absl::Status CheckCollected(const std::vector<uint8_t>& image) {
    auto params = cupti::Params<cupti::RangeCounterDataInfo>();
    params.counter_data_image = image.data();
    params.counter_data_image_size = image.size();
    QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiRangeProfilerGetCounterDataInfo",
                                      api_.range_counter_data_info(&params)));
    return params.range_count == 1 ? absl::OkStatus()
                                   : Dropped(std::to_string(params.range_count) + " collected");
  }

 private:
  cupti::RangeCall Call() const {
    auto params = cupti::Params<cupti::RangeCall>();
    params.profiler = object_;
    return params;
  }
  static absl::Status Dropped(const std::string& got) {
    return FieldError(absl::StatusCode::kDataLoss, "RANGES_DROPPED", "profiled ranges", got,
                      "exactly 1; fewer metrics at a time need less of the device");
  }

  const CuptiApi& api_;
  cupti::RangeProfilerObject* object_ = nullptr;
};

absl::Status Unsupported(absl::StatusCode code, std::string_view reason, std::string_view what) {
  return MakeError(code, reason, "this device cannot be profiled: " + std::string(what));
}

bool Refuses(cupti::Support support) {
  return support == cupti::Support::kUnsupported || support == cupti::Support::kDisabled;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CuptiSession>> CuptiSession::Open(const CuptiApi& api,
                                                                 const DriverDevice& device) {
  auto params = cupti::Params<cupti::ProfilerInitialize>();
  QTIPD_RETURN_IF_ERROR(
      CuptiStatus(api, "cuptiProfilerInitialize", api.profiler_initialize(&params)));
  return std::unique_ptr<CuptiSession>(new CuptiSession(api, device));
}

CuptiSession::~CuptiSession() {
  auto params = cupti::Params<cupti::ProfilerInitialize>();
  api_.profiler_deinitialize(&params);
}

absl::Status CuptiSession::CheckSupported(cupti::ProfilerApi profiler) const {
  auto params = cupti::Params<cupti::DeviceSupported>();
  params.device = device_.device;
  params.api = profiler;
  QTIPD_RETURN_IF_ERROR(
      CuptiStatus(api_, "cuptiProfilerDeviceSupported", api_.device_supported(&params)));
  if (params.is_supported == cupti::Support::kSupported) return absl::OkStatus();
  if (params.vgpu == cupti::Support::kDisabled) {
    return Unsupported(absl::StatusCode::kFailedPrecondition, "PROFILING_VIRTUALISED",
                       "its hypervisor must allow profiling for this guest");
  }
  std::string what = "CUPTI says no more";
  if (Refuses(params.architecture)) what = "its architecture is not supported";
  if (Refuses(params.sli)) what = "it is in SLI mode";
  if (Refuses(params.vgpu)) what = "it is a virtual GPU";
  if (Refuses(params.confidential_compute)) what = "confidential computing is on";
  if (Refuses(params.cmp)) what = "it is a mining card";
  if (Refuses(params.wsl)) what = "WSL does not allow it";
  return Unsupported(absl::StatusCode::kUnimplemented, "PROFILING_UNSUPPORTED", what);
}

absl::StatusOr<std::string> CuptiSession::ChipName() const {
  auto params = cupti::Params<cupti::GetChipName>();
  params.device_index = static_cast<size_t>(device_.device);
  QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiDeviceGetChipName", api_.get_chip_name(&params)));
  return std::string(params.chip_name);
}

absl::StatusOr<std::vector<uint8_t>> CuptiSession::CounterAvailability() const {
  const auto ask = [&](cupti::GetCounterAvailability& params) {
    params.context = device_.context;
    return CuptiStatus(api_, "cuptiProfilerGetCounterAvailability",
                       api_.get_counter_availability(&params));
  };
  auto size = cupti::Params<cupti::GetCounterAvailability>();
  QTIPD_RETURN_IF_ERROR(ask(size));
  std::vector<uint8_t> image(size.image_size);
  auto fill = cupti::Params<cupti::GetCounterAvailability>();
  fill.image_size = image.size();
  fill.image = image.data();
  QTIPD_RETURN_IF_ERROR(ask(fill));
  return image;
}

absl::StatusOr<RangeCounters> CollectRange(const CuptiSession& session, const MetricConfig& config,
                                           const Replay& replay) {
  RangeProfiler profiler(session);
  QTIPD_RETURN_IF_ERROR(profiler.Enable(session.device()));
  RangeCounters counters;
  QTIPD_ASSIGN_OR_RETURN(counters.image, profiler.NewCounterData(config.metrics));
  QTIPD_RETURN_IF_ERROR(profiler.SetConfig(config, counters.image));
  bool is_last = false;
  while (!is_last) {
    if (counters.passes == kMostPasses) {
      return MakeError(
          absl::StatusCode::kInternal, "CUPTI_FAILED",
          "the profiler asked for more than " + std::to_string(kMostPasses) + " passes");
    }
    QTIPD_ASSIGN_OR_RETURN(is_last, profiler.RunPass(replay));
    ++counters.passes;
  }
  QTIPD_RETURN_IF_ERROR(profiler.Decode());
  QTIPD_RETURN_IF_ERROR(profiler.CheckCollected(counters.image));
  return counters;
}

}  // namespace qtipd
