// Which call of NVML gives which quantity.
#ifndef QTIPD_SERVER_TELEMETRY_NVML_SOURCES_H_
#define QTIPD_SERVER_TELEMETRY_NVML_SOURCES_H_

#include <cstddef>
#include <iterator>
#include <utility>

#include "server/telemetry/nvml_abi.h"

namespace qtipd::nvml {

// How a call takes its argument and gives its number.
enum class Shape { kU32, kU32Of, kU64, kPair, kEcc };

struct Source {
  NvmlQuantity quantity;
  const char* name;  // of the quantity
  Shape shape;
  const char* symbol;
  const char* older = nullptr;  // the same call in libraries before
  int argument = 0;
};

using enum NvmlQuantity;
inline constexpr Source kSources[] = {
    {kSmClockMhz, "sm_clock_mhz", Shape::kU32Of, "nvmlDeviceGetClockInfo", nullptr, kSmClock},
    {kMemoryClockMhz, "memory_clock_mhz", Shape::kU32Of, "nvmlDeviceGetClockInfo", nullptr,
     kMemoryClock},
    {kSmClockMaximumMhz, "sm_clock_maximum_mhz", Shape::kU32Of, "nvmlDeviceGetMaxClockInfo",
     nullptr, kSmClock},
    {kMemoryClockMaximumMhz, "memory_clock_maximum_mhz", Shape::kU32Of, "nvmlDeviceGetMaxClockInfo",
     nullptr, kMemoryClock},
    {kSmClockApplicationMhz, "sm_clock_application_mhz", Shape::kU32Of,
     "nvmlDeviceGetApplicationsClock", nullptr, kSmClock},
    {kMemoryClockApplicationMhz, "memory_clock_application_mhz", Shape::kU32Of,
     "nvmlDeviceGetApplicationsClock", nullptr, kMemoryClock},
    {kSmClockDefaultMhz, "sm_clock_default_mhz", Shape::kU32Of,
     "nvmlDeviceGetDefaultApplicationsClock", nullptr, kSmClock},
    {kMemoryClockDefaultMhz, "memory_clock_default_mhz", Shape::kU32Of,
     "nvmlDeviceGetDefaultApplicationsClock", nullptr, kMemoryClock},
    {kTemperatureCelsius, "temperature_celsius", Shape::kU32Of, "nvmlDeviceGetTemperature", nullptr,
     kGpuSensor},
    {kTemperatureSlowdownCelsius, "temperature_slowdown_celsius", Shape::kU32Of,
     "nvmlDeviceGetTemperatureThreshold", nullptr, kSlowdown},
    {kPowerMilliwatts, "power_milliwatts", Shape::kU32, "nvmlDeviceGetPowerUsage"},
    {kPowerLimitMilliwatts, "power_limit_milliwatts", Shape::kU32,
     "nvmlDeviceGetEnforcedPowerLimit"},
    {kPowerLimitDefaultMilliwatts, "power_limit_default_milliwatts", Shape::kU32,
     "nvmlDeviceGetPowerManagementDefaultLimit"},
    {kEnergyMillijoules, "energy_millijoules", Shape::kU64, "nvmlDeviceGetTotalEnergyConsumption"},
    {kClockEventReasons, "clock_event_reasons", Shape::kU64,
     "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"},
    {kEccCorrected, "ecc_corrected", Shape::kEcc, "nvmlDeviceGetTotalEccErrors", nullptr,
     kCorrected},
    {kEccUncorrected, "ecc_uncorrected", Shape::kEcc, "nvmlDeviceGetTotalEccErrors", nullptr,
     kUncorrected},
    {kEccMode, "ecc_mode", Shape::kPair, "nvmlDeviceGetEccMode"},
    {kPersistenceMode, "persistence_mode", Shape::kU32, "nvmlDeviceGetPersistenceMode"},
    {kComputeMode, "compute_mode", Shape::kU32, "nvmlDeviceGetComputeMode"},
    {kMigMode, "mig_mode", Shape::kPair, "nvmlDeviceGetMigMode"},
    {kPcieGeneration, "pcie_generation", Shape::kU32, "nvmlDeviceGetCurrPcieLinkGeneration"},
    {kPcieGenerationMaximum, "pcie_generation_maximum", Shape::kU32,
     "nvmlDeviceGetMaxPcieLinkGeneration"},
    {kPcieWidth, "pcie_width", Shape::kU32, "nvmlDeviceGetCurrPcieLinkWidth"},
    {kPcieWidthMaximum, "pcie_width_maximum", Shape::kU32, "nvmlDeviceGetMaxPcieLinkWidth"},
};
static_assert(std::size(kSources) == static_cast<size_t>(kCount));
static_assert(
    [] {
      for (size_t i = 0; i < std::size(kSources); ++i) {
        if (static_cast<size_t>(kSources[i].quantity) != i) return false;
      }
      return true;
    }(),
    "sources stand in the order of the quantities");

// Each kind of process list by its newest call first.
inline constexpr std::pair<const char*, const char*> kProcessCalls[] = {
    {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"},
    {"nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"},
    {"nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v2"},
};

}  // namespace qtipd::nvml

#endif  // QTIPD_SERVER_TELEMETRY_NVML_SOURCES_H_
