// CUPTI's functions, found at run time.
#ifndef QTIPD_SERVER_PROFILER_CUPTI_API_H_
#define QTIPD_SERVER_PROFILER_CUPTI_API_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/profiler/cupti_types.h"

namespace qtipd {

template <typename T>
using CuptiCall = std::function<cupti::Result(T*)>;

// One member a function, so that a test can put its own in the place of any of them: the host half
// runs for real without a device, the target half is faked.
struct CuptiApi {
  std::string path;  // of the library; empty where nothing was opened

  // Host half.
  CuptiCall<cupti::HostInitialize> host_initialize;
  CuptiCall<cupti::HostDeinitialize> host_deinitialize;
  CuptiCall<cupti::GetSupportedChips> get_supported_chips;
  CuptiCall<cupti::GetBaseMetrics> get_base_metrics;
  CuptiCall<cupti::GetMetricProperties> get_metric_properties;
  CuptiCall<cupti::ConfigAddMetrics> config_add_metrics;
  CuptiCall<cupti::GetConfigImageSize> get_config_image_size;
  CuptiCall<cupti::GetConfigImage> get_config_image;
  CuptiCall<cupti::GetNumOfPasses> get_num_of_passes;
  CuptiCall<cupti::EvaluateToGpuValues> evaluate_to_gpu_values;

  // Target half.
  CuptiCall<cupti::ProfilerInitialize> profiler_initialize;
  CuptiCall<cupti::ProfilerInitialize> profiler_deinitialize;
  CuptiCall<cupti::DeviceSupported> device_supported;
  CuptiCall<cupti::GetChipName> get_chip_name;
  CuptiCall<cupti::GetCounterAvailability> get_counter_availability;
  CuptiCall<cupti::RangeEnable> range_enable;
  CuptiCall<cupti::RangeCall> range_disable;
  CuptiCall<cupti::RangeCall> range_start;
  CuptiCall<cupti::RangeStop> range_stop;
  CuptiCall<cupti::RangePush> range_push;
  CuptiCall<cupti::RangeCall> range_pop;
  CuptiCall<cupti::RangeSetConfig> range_set_config;
  CuptiCall<cupti::RangeDecodeData> range_decode_data;
  CuptiCall<cupti::RangeCounterDataSize> range_counter_data_size;
  CuptiCall<cupti::RangeCounterDataInitialize> range_counter_data_initialize;
  CuptiCall<cupti::RangeCounterDataInfo> range_counter_data_info;

  // PC sampling.
  CuptiCall<cupti::PcCall> pc_enable;
  CuptiCall<cupti::PcCall> pc_disable;
  CuptiCall<cupti::PcCall> pc_start;
  CuptiCall<cupti::PcCall> pc_stop;
  CuptiCall<cupti::PcSetConfiguration> pc_set_configuration;
  CuptiCall<cupti::PcGetData> pc_get_data;
  CuptiCall<cupti::PcReasonCount> pc_reason_count;
  CuptiCall<cupti::PcReasonNames> pc_reason_names;

  std::function<cupti::Result(cupti::Result, const char**)> get_result_string;
};

// Where CUPTI may be, in the order in which it is looked for: beside the program, in CUDA_HOME, in
// the toolkit's usual folders, where the loader looks. `cuda_home` may be empty.
std::vector<std::string> CuptiCandidates(const std::string& program_directory,
                                         const std::string& cuda_home);

// Opens the first candidate that loads and has every function; it is never closed.
// Errors: FailedPrecondition/CUPTI_NOT_FOUND with what was tried.
absl::StatusOr<CuptiApi> OpenCupti(const std::vector<std::string>& candidates);
// With the candidates of this process.
absl::StatusOr<CuptiApi> OpenCupti();

// A failed call as what its user can do about it. `call` is CUPTI's name of it.
// Errors: PROFILING_NOT_PERMITTED, PROFILER_BUSY, PROFILING_VIRTUALISED, PROFILING_MIG,
// PROFILING_UNSUPPORTED, else Internal/CUPTI_FAILED. OK for kSuccess.
absl::Status CuptiStatus(const CuptiApi& api, std::string_view call, cupti::Result result);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_CUPTI_API_H_
