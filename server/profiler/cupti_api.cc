#include "server/profiler/cupti_api.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr const char* kNames[] = {"libcupti.so.13", "libcupti.so.12", "libcupti.so"};

// Finds functions until one is missing.
class Binder {
 public:
  explicit Binder(void* library) : library_(library) {}

  template <typename Signature>
  void Bind(const char* name, std::function<Signature>& function) {
    void* symbol = dlsym(library_, name);
    if (symbol == nullptr) {
      if (missing_.empty()) missing_ = name;
      return;
    }
    function = reinterpret_cast<Signature*>(symbol);
  }
  const std::string& missing() const { return missing_; }

 private:
  void* library_;
  std::string missing_;
};

void BindHost(Binder& binder, CuptiApi& api) {
  binder.Bind("cuptiProfilerHostInitialize", api.host_initialize);
  binder.Bind("cuptiProfilerHostDeinitialize", api.host_deinitialize);
  binder.Bind("cuptiProfilerHostGetSupportedChips", api.get_supported_chips);
  binder.Bind("cuptiProfilerHostGetBaseMetrics", api.get_base_metrics);
  binder.Bind("cuptiProfilerHostGetMetricProperties", api.get_metric_properties);
  binder.Bind("cuptiProfilerHostConfigAddMetrics", api.config_add_metrics);
  binder.Bind("cuptiProfilerHostGetConfigImageSize", api.get_config_image_size);
  binder.Bind("cuptiProfilerHostGetConfigImage", api.get_config_image);
  binder.Bind("cuptiProfilerHostGetNumOfPasses", api.get_num_of_passes);
  binder.Bind("cuptiProfilerHostEvaluateToGpuValues", api.evaluate_to_gpu_values);
  binder.Bind("cuptiGetResultString", api.get_result_string);
}

void BindTarget(Binder& binder, CuptiApi& api) {
  binder.Bind("cuptiProfilerInitialize", api.profiler_initialize);
  binder.Bind("cuptiProfilerDeInitialize", api.profiler_deinitialize);
  binder.Bind("cuptiProfilerDeviceSupported", api.device_supported);
  binder.Bind("cuptiDeviceGetChipName", api.get_chip_name);
  binder.Bind("cuptiProfilerGetCounterAvailability", api.get_counter_availability);
  binder.Bind("cuptiRangeProfilerEnable", api.range_enable);
  binder.Bind("cuptiRangeProfilerDisable", api.range_disable);
  binder.Bind("cuptiRangeProfilerStart", api.range_start);
  binder.Bind("cuptiRangeProfilerStop", api.range_stop);
  binder.Bind("cuptiRangeProfilerPushRange", api.range_push);
  binder.Bind("cuptiRangeProfilerPopRange", api.range_pop);
  binder.Bind("cuptiRangeProfilerSetConfig", api.range_set_config);
  binder.Bind("cuptiRangeProfilerDecodeData", api.range_decode_data);
  binder.Bind("cuptiRangeProfilerGetCounterDataSize", api.range_counter_data_size);
  binder.Bind("cuptiRangeProfilerCounterDataImageInitialize", api.range_counter_data_initialize);
  binder.Bind("cuptiRangeProfilerGetCounterDataInfo", api.range_counter_data_info);
}

void BindPcSampling(Binder& binder, CuptiApi& api) {
  binder.Bind("cuptiPCSamplingEnable", api.pc_enable);
  binder.Bind("cuptiPCSamplingDisable", api.pc_disable);
  binder.Bind("cuptiPCSamplingStart", api.pc_start);
  binder.Bind("cuptiPCSamplingStop", api.pc_stop);
  binder.Bind("cuptiPCSamplingSetConfigurationAttribute", api.pc_set_configuration);
  binder.Bind("cuptiPCSamplingGetData", api.pc_get_data);
  binder.Bind("cuptiPCSamplingGetNumStallReasons", api.pc_reason_count);
  binder.Bind("cuptiPCSamplingGetStallReasons", api.pc_reason_names);
}

// The library at `path`, or why not.
absl::StatusOr<CuptiApi> OpenOne(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return absl::NotFoundError(dlerror());
  CuptiApi api;
  api.path = path;
  Binder binder(library);
  BindHost(binder, api);
  BindTarget(binder, api);
  BindPcSampling(binder, api);
  if (!binder.missing().empty()) {
    return absl::NotFoundError(path + " has no " + binder.missing() + " (CUPTI 12.6 or later has)");
  }
  return api;
}

}  // namespace

std::vector<std::string> CuptiCandidates(const std::string& program_directory,
                                         const std::string& cuda_home) {
  std::vector<std::string> folders = {program_directory};
  for (const std::string& home : {cuda_home, std::string("/usr/local/cuda")}) {
    if (home.empty()) continue;
    for (const char* folder : {"/extras/CUPTI/lib64", "/lib64", "/lib"}) {
      folders.push_back(home + folder);
    }
  }
  std::vector<std::string> candidates;
  for (const std::string& folder : folders) {
    for (const char* name : kNames) candidates.push_back(folder + "/" + name);
  }
  candidates.insert(candidates.end(), std::begin(kNames), std::end(kNames));
  return candidates;
}

absl::StatusOr<CuptiApi> OpenCupti(const std::vector<std::string>& candidates) {
  std::string last = "no place to look";
  for (const std::string& path : candidates) {
    const bool is_file = path.find('/') != std::string::npos;
    std::error_code error;
    if (is_file && !std::filesystem::exists(path, error)) continue;
    absl::StatusOr<CuptiApi> api = OpenOne(path);
    if (api.ok()) return api;
    last = std::string(api.status().message());
  }
  return MakeError(absl::StatusCode::kFailedPrecondition, "CUPTI_NOT_FOUND",
                   "libcupti cannot be opened: " + last +
                       "; install the CUDA Toolkit's cuda-cupti package, or point CUDA_HOME to it",
                   {{"loader", last}});
}

absl::StatusOr<CuptiApi> OpenCupti() {
  std::error_code error;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  const char* home = std::getenv("CUDA_HOME");
  return OpenCupti(CuptiCandidates(program, home == nullptr ? "" : home));
}

absl::Status CuptiStatus(const CuptiApi& api, std::string_view call, cupti::Result result) {
  if (result == cupti::kSuccess) return absl::OkStatus();
  const char* text = nullptr;
  if (api.get_result_string) api.get_result_string(result, &text);
  const std::string what =
      std::string(call) + ": " + (text == nullptr ? "code " + std::to_string(result) : text);
  const std::map<std::string, std::string> metadata = {{"call", std::string(call)},
                                                       {"code", std::to_string(result)}};
  const auto refuse = [&](absl::StatusCode code, std::string_view reason, std::string_view cure) {
    return MakeError(code, reason, what + "; " + std::string(cure), metadata);
  };
  switch (result) {
    case cupti::kInsufficientPrivileges:
      return refuse(absl::StatusCode::kPermissionDenied, "PROFILING_NOT_PERMITTED",
                    "the driver lets only administrators read counters: give qtipd CAP_PERFMON "
                    "(driver 565 and later) or CAP_SYS_ADMIN, or load the driver with "
                    "NVreg_RestrictProfilingToAdminUsers=0");
    case cupti::kHardwareBusy:
    case cupti::kMultipleSubscribers:
      return refuse(absl::StatusCode::kUnavailable, "PROFILER_BUSY",
                    "another profiler holds the counters; if it is DCGM, 'dcgmi profile --pause' "
                    "frees them and 'dcgmi profile --resume' gives them back");
    case cupti::kVirtualizedDevice:
    case cupti::kVirtualizedDevicePrivileges:
      return refuse(absl::StatusCode::kFailedPrecondition, "PROFILING_VIRTUALISED",
                    "the device is virtual: its hypervisor must allow profiling for this guest");
    case cupti::kMigDevice:
      return refuse(absl::StatusCode::kFailedPrecondition, "PROFILING_MIG",
                    "counters of a MIG instance cannot be read: profile on a GPU without MIG "
                    "('nvidia-smi -mig 0' as root)");
    case cupti::kNotSupported:
    case cupti::kConfidentialComputing:
    case cupti::kCmpDevice:
    case cupti::kWslDevice:
      return refuse(absl::StatusCode::kUnimplemented, "PROFILING_UNSUPPORTED",
                    "this device or its mode has no counters for CUPTI");
    default:
      return MakeError(absl::StatusCode::kInternal, "CUPTI_FAILED", what, metadata);
  }
}

}  // namespace qtipd
