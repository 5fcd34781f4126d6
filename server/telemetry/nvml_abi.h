// Numbers, structs and calls of NVML's ABI, as far as nvml_api.cc uses them.
//
// Source: NVML API reference, https://docs.nvidia.com/deploy/nvml-api/.
#ifndef QTIPD_SERVER_TELEMETRY_NVML_ABI_H_
#define QTIPD_SERVER_TELEMETRY_NVML_ABI_H_

#include <cstddef>
#include <cstdint>

#include "server/telemetry/nvml_api.h"

namespace qtipd::nvml {

inline constexpr int kSmClock = 1;      // NVML_CLOCK_SM
inline constexpr int kMemoryClock = 2;  // NVML_CLOCK_MEM
inline constexpr int kGpuSensor = 0;    // NVML_TEMPERATURE_GPU
inline constexpr int kSlowdown = 1;     // NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
inline constexpr int kCorrected = 0;    // NVML_MEMORY_ERROR_TYPE_CORRECTED
inline constexpr int kUncorrected = 1;
inline constexpr int kVolatile = 0;             // NVML_VOLATILE_ECC: since the driver was loaded
inline constexpr uint32_t kPowerInstant = 186;  // NVML_FI_DEV_POWER_INSTANT
inline constexpr int kUnsignedInt = 1;          // NVML_VALUE_TYPE_UNSIGNED_INT
inline constexpr size_t kTextBytes = 96;

struct FieldValue {  // nvmlFieldValue_t
  uint32_t field_id;
  uint32_t scope_id;
  int64_t timestamp;
  int64_t latency_microseconds;
  int value_type;
  int result;
  union {
    uint32_t u32;
    uint64_t u64;
    double f64;
  } value;
};
static_assert(sizeof(FieldValue) == 40);

struct TemperatureV1 {  // nvmlTemperature_v1_t
  uint32_t version = sizeof(TemperatureV1) | 1u << 24;
  int sensor = kGpuSensor;
  int celsius = 0;
};
static_assert(sizeof(TemperatureV1) == 12);

struct ProcessInfo {  // nvmlProcessInfo_v2_t, which the calls _v2 and _v3 fill
  uint32_t pid;
  uint64_t memory_bytes;
  uint32_t gpu_instance;
  uint32_t compute_instance;
};
static_assert(sizeof(ProcessInfo) == 24);

struct ProcessUtilization {  // nvmlProcessUtilizationSample_t
  uint32_t pid;
  uint64_t microseconds;
  uint32_t sm_percent;
  uint32_t memory_percent;
  uint32_t encoder_percent;
  uint32_t decoder_percent;
};
static_assert(sizeof(ProcessUtilization) == 32);

using InitCall = int();
using TextCall = int(char*, unsigned);
using DeviceTextCall = int(NvmlDevice, char*, unsigned);
using FindCall = int(const char*, NvmlDevice*);
using ParentCall = int(NvmlDevice, NvmlDevice*);
using U32Call = int(NvmlDevice, uint32_t*);
using U32OfCall = int(NvmlDevice, int, uint32_t*);
using U64Call = int(NvmlDevice, uint64_t*);
using PairCall = int(NvmlDevice, uint32_t*, uint32_t*);
using EccCall = int(NvmlDevice, int, int, uint64_t*);
using FieldCall = int(NvmlDevice, int, FieldValue*);
using TemperatureCall = int(NvmlDevice, TemperatureV1*);
using ProcessesCall = int(NvmlDevice, uint32_t*, ProcessInfo*);
using UtilizationCall = int(NvmlDevice, ProcessUtilization*, uint32_t*, uint64_t);
using LockCall = int(NvmlDevice, uint32_t, uint32_t);
using ResetCall = int(NvmlDevice);
using ErrorCall = const char*(int);

}  // namespace qtipd::nvml

#endif  // QTIPD_SERVER_TELEMETRY_NVML_ABI_H_
