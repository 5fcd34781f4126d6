// CUPTI's structures, declared by us so that the build needs no toolkit and the programs start
// where there is none. Every call takes a pointer to one structure whose first field is its size. A
// test compares sizes and offsets with the toolkit's headers where those exist. Source:
// https://docs.nvidia.com/cupti/api/, CUPTI 12.6 to 13.
#ifndef QTIPD_SERVER_PROFILER_CUPTI_TYPES_H_
#define QTIPD_SERVER_PROFILER_CUPTI_TYPES_H_

#include <cstddef>
#include <cstdint>

namespace qtipd::cupti {

using Result = int;  // CUptiResult
inline constexpr Result kSuccess = 0;
inline constexpr Result kOutOfMemory = 8;
inline constexpr Result kInvalidMetricName = 17;
inline constexpr Result kHardwareBusy = 26;
inline constexpr Result kNotSupported = 27;
inline constexpr Result kVirtualizedDevice = 33;
inline constexpr Result kInsufficientPrivileges = 35;
inline constexpr Result kMultipleSubscribers = 39;
inline constexpr Result kVirtualizedDevicePrivileges = 40;
inline constexpr Result kConfidentialComputing = 41;
inline constexpr Result kCmpDevice = 42;
inline constexpr Result kMigDevice = 43;
inline constexpr Result kWslDevice = 45;
inline constexpr Result kInvalidChipName = 46;

enum class MetricType : int { kCounter = 0, kRatio = 1, kThroughput = 2 };
inline constexpr MetricType kMetricTypes[] = {MetricType::kCounter, MetricType::kRatio,
                                              MetricType::kThroughput};
enum class ProfilerType : int { kRangeProfiler = 0 };
enum class Range : int { kUser = 2 };
enum class Replay : int { kUser = 3 };
enum class Support : int { kUnknown = 0, kUnsupported = 1, kDisabled = 2, kSupported = 3 };
enum class ProfilerApi : int { kRangeProfiling = 0, kPcSampling = 1 };

// ---- Host half: needs no device and no driver ---------------------------------------------------

struct HostObject;

struct HostInitialize {
  size_t struct_size;
  void* reserved;
  ProfilerType profiler_type;
  const char* chip_name;
  const uint8_t* counter_availability_image;
  HostObject* host_object;
};
struct HostDeinitialize {
  size_t struct_size;
  void* reserved;
  HostObject* host_object;
};
struct GetSupportedChips {
  size_t struct_size;
  void* reserved;
  size_t chip_count;
  const char* const* chip_names;
};
struct GetBaseMetrics {
  size_t struct_size;
  void* reserved;
  HostObject* host_object;
  MetricType metric_type;
  const char** metric_names;
  size_t metric_count;
};
struct GetMetricProperties {
  size_t struct_size;
  void* reserved;
  HostObject* host_object;
  const char* metric_name;
  const char* description;
  const char* hardware_unit;
  const char* dimension_unit;
  MetricType metric_type;
};
struct ConfigAddMetrics {
  size_t struct_size;
  void* reserved;
  HostObject* host_object;
  const char** metric_names;
  size_t metric_count;
};
struct GetConfigImageSize {
  size_t struct_size;
  void* reserved;
  HostObject* host_object;
  size_t config_image_size;
};
struct GetConfigImage {
  size_t struct_size;
  void* reserved;
  HostObject* host_object;
  size_t config_image_size;
  uint8_t* config_image;
};
struct GetNumOfPasses {
  size_t struct_size;
  void* reserved;
  size_t config_image_size;
  uint8_t* config_image;
  size_t pass_count;
};
struct EvaluateToGpuValues {
  size_t struct_size;
  void* reserved;
  HostObject* host_object;
  const uint8_t* counter_data_image;
  size_t counter_data_image_size;
  size_t range_index;
  const char** metric_names;
  size_t metric_count;
  double* metric_values;
};

// ---- Target half: a device and a context --------------------------------------------------------

using Context = void*;  // CUcontext
struct RangeProfilerObject;

struct ProfilerInitialize {
  size_t struct_size;
  void* reserved;
};
struct DeviceSupported {
  size_t struct_size;
  void* reserved;
  int device;  // CUdevice
  Support is_supported;
  Support architecture;
  Support sli;
  Support vgpu;
  Support confidential_compute;
  Support cmp;
  Support wsl;
  ProfilerApi api;
};
struct GetChipName {
  size_t struct_size;
  void* reserved;
  size_t device_index;
  const char* chip_name;
};
struct GetCounterAvailability {
  size_t struct_size;
  void* reserved;
  Context context;
  size_t image_size;
  uint8_t* image;
};
struct RangeEnable {
  size_t struct_size;
  void* reserved;
  Context context;
  RangeProfilerObject* profiler;
};
// Disable, Start and PopRange.
struct RangeCall {
  size_t struct_size;
  void* reserved;
  RangeProfilerObject* profiler;
};
struct RangeSetConfig {
  size_t struct_size;
  void* reserved;
  RangeProfilerObject* profiler;
  size_t config_size;
  const uint8_t* config;
  size_t counter_data_image_size;
  uint8_t* counter_data_image;
  Range range;
  Replay replay_mode;
  size_t max_ranges_per_pass;
  uint16_t nesting_levels;
  uint16_t min_nesting_level;
  size_t pass_index;
  uint16_t target_nesting_level;
};
struct RangeStop {
  size_t struct_size;
  void* reserved;
  RangeProfilerObject* profiler;
  size_t pass_index;
  size_t target_nesting_level;
  uint8_t is_all_pass_submitted;
};
struct RangePush {
  size_t struct_size;
  void* reserved;
  RangeProfilerObject* profiler;
  const char* range_name;
};
struct RangeDecodeData {
  size_t struct_size;
  void* reserved;
  RangeProfilerObject* profiler;
  size_t dropped_ranges;
};
struct RangeCounterDataSize {
  size_t struct_size;
  void* reserved;
  RangeProfilerObject* profiler;
  const char** metric_names;
  size_t metric_count;
  size_t max_ranges;
  uint32_t max_range_tree_nodes;
  size_t counter_data_size;
};
struct RangeCounterDataInitialize {
  size_t struct_size;
  void* reserved;
  RangeProfilerObject* profiler;
  size_t counter_data_size;
  uint8_t* counter_data;
};
struct RangeCounterDataInfo {
  size_t struct_size;
  void* reserved;
  const uint8_t* counter_data_image;
  size_t counter_data_image_size;
  size_t range_count;
};

// ---- PC sampling --------------------------------------------------------------------------------

struct PcStallReason {
  uint32_t reason_index;
  uint32_t samples;
} __attribute__((packed, aligned(8)));
struct PcRecord {
  size_t size;
  uint64_t cubin_crc;
  uint64_t pc_offset;
  uint32_t function_index;
  uint32_t padding;
  char* function_name;
  size_t stall_reason_count;
  PcStallReason* stall_reasons;
  uint32_t correlation_id;
} __attribute__((packed, aligned(8)));
struct PcData {
  size_t size;
  size_t collect_pc_count;
  uint64_t total_samples;
  uint64_t dropped_samples;
  size_t pc_count;
  size_t remaining_pc_count;
  uint64_t range_id;
  PcRecord* records;
  uint64_t non_user_samples;
  uint8_t is_hardware_buffer_full;
} __attribute__((packed, aligned(8)));

enum class PcAttribute : int {
  kSamplingPeriod = 1,
  kScratchBufferSize = 3,
  kHardwareBufferSize = 4,
  kCollectionMode = 5,
  kStartStopControl = 6,
  kOutputFormat = 7,
  kDataBuffer = 8,
};
inline constexpr uint32_t kPcModeContinuous = 1;
inline constexpr uint32_t kPcFormatParsed = 1;
inline constexpr size_t kPcReasonNameSize = 128;  // CUPTI_STALL_REASON_STRING_SIZE

struct PcConfiguration {
  PcAttribute attribute;
  Result status;
  union {
    uint64_t reserved[3];
    uint32_t number;
    size_t bytes;
    void* buffer;
  } value;
};
// Enable, Disable, Start and Stop.
struct PcCall {
  size_t struct_size;
  void* reserved;
  Context context;
};
struct PcSetConfiguration {
  size_t struct_size;
  void* reserved;
  Context context;
  size_t attribute_count;
  PcConfiguration* attributes;
};
struct PcGetData {
  size_t struct_size;
  void* reserved;
  Context context;
  void* data;
};
struct PcReasonCount {
  size_t struct_size;
  void* reserved;
  Context context;
  size_t* count;
};
struct PcReasonNames {
  size_t struct_size;
  void* reserved;
  Context context;
  size_t count;
  uint32_t* indices;
  char** names;
};

// The size that CUPTI expects in struct_size: up to the end of the last field, without padding.
// Where there is padding it is stated here.
template <typename T>
inline constexpr size_t kStructSize = sizeof(T);
template <>
inline constexpr size_t kStructSize<GetMetricProperties> = offsetof(GetMetricProperties,
                                                                    metric_type) +
                                                           sizeof(MetricType);
template <>
inline constexpr size_t kStructSize<DeviceSupported> = offsetof(DeviceSupported, api) +
                                                       sizeof(ProfilerApi);
template <>
inline constexpr size_t kStructSize<RangeSetConfig> = offsetof(RangeSetConfig,
                                                               target_nesting_level) +
                                                      sizeof(uint16_t);
template <>
inline constexpr size_t kStructSize<RangeStop> = offsetof(RangeStop, is_all_pass_submitted) +
                                                 sizeof(uint8_t);

// A zeroed structure with its size filled in.
template <typename T>
T Params() {
  T params{};
  params.struct_size = kStructSize<T>;
  return params;
}

}  // namespace qtipd::cupti

#endif  // QTIPD_SERVER_PROFILER_CUPTI_TYPES_H_
