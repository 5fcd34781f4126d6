#include "server/telemetry/nvml_monitor.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <optional>
#include <utility>

#include "kernels/api/error.h"
#include "server/base/text_file.h"
#include "server/telemetry/clock_lock.h"
#include "server/telemetry/foreign_processes.h"
#include "server/telemetry/time_grid.h"

namespace qtipd {
namespace {

using enum NvmlQuantity;

constexpr double kProcessPeriodSeconds = 0.25;
constexpr double kEccPeriodSeconds = 1;

// The driver samples what processes run every second or so: of a measurement that is shorter, what
// was sampled before it tells who works.
constexpr int64_t kUseMillis = 2000;

struct ReasonName {
  uint64_t bit;
  const char* name;
};
// Source: https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html. Left out:
// idle (0x1), application clocks (0x2) and display (0x100), which are no events of a running job.
constexpr ReasonName kReasons[] = {
    {0x4, "SW_POWER_CAP"},         {0x8, "HW_SLOWDOWN"},          {0x10, "SYNC_BOOST"},
    {0x20, "SW_THERMAL_SLOWDOWN"}, {0x40, "HW_THERMAL_SLOWDOWN"}, {0x80, "HW_POWER_BRAKE_SLOWDOWN"},
};

struct FoundDevice {
  NvmlDevice gpu = nullptr;        // the whole one
  NvmlDevice processes = nullptr;  // the MIG instance, where it is one
  bool is_mig = false;
};

std::string Property(const DeviceInfo& info, const std::string& key) {
  const auto found = info.properties.find(key);
  return found == info.properties.end() ? "" : found->second;
}

// CUDA spells every UUID "GPU-...", also that of a MIG instance, for which NVML wants "MIG-...".
FoundDevice FindDevice(Nvml& nvml, const DeviceInfo& info) {
  if (NvmlDevice gpu = nvml.FindByUuid(info.uuid)) return {gpu, gpu, false};
  const std::string bare = info.uuid.starts_with("GPU-") ? info.uuid.substr(4) : info.uuid;
  if (NvmlDevice instance = bare.empty() ? nullptr : nvml.FindByUuid("MIG-" + bare)) {
    if (NvmlDevice gpu = nvml.ParentOfMig(instance)) return {gpu, instance, true};
  }
  NvmlDevice gpu = nvml.FindByPciBusId(Property(info, "pci_bus_id"));
  return {gpu, gpu, false};
}

struct EccCounts {
  std::optional<uint64_t> corrected;
  std::optional<uint64_t> uncorrected;
};

std::string OnOff(uint64_t value) { return value != 0 ? "on" : "off"; }

std::string ComputeModeName(uint64_t mode) {
  static constexpr const char* kNames[] = {"default", "exclusive_thread", "prohibited",
                                           "exclusive_process"};
  return mode < std::size(kNames) ? kNames[mode] : std::to_string(mode);
}

std::string Plain(uint64_t value) { return std::to_string(value); }
std::string MegahertzAsHertz(uint64_t mhz) { return std::to_string(mhz * 1'000'000); }
std::string MilliwattsAsWatts(uint64_t milliwatts) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", static_cast<double>(milliwatts) / 1000);
  return text;
}

struct FactSource {
  const char* name;
  NvmlQuantity quantity;
  std::string (*text)(uint64_t);
};
constexpr FactSource kFacts[] = {
    {"clock_sm_default_hertz", kSmClockDefaultMhz, MegahertzAsHertz},
    {"clock_sm_maximum_hertz", kSmClockMaximumMhz, MegahertzAsHertz},
    {"clock_sm_application_hertz", kSmClockApplicationMhz, MegahertzAsHertz},
    {"clock_memory_default_hertz", kMemoryClockDefaultMhz, MegahertzAsHertz},
    {"clock_memory_maximum_hertz", kMemoryClockMaximumMhz, MegahertzAsHertz},
    {"clock_memory_application_hertz", kMemoryClockApplicationMhz, MegahertzAsHertz},
    {"power_limit_watts", kPowerLimitMilliwatts, MilliwattsAsWatts},
    {"power_limit_default_watts", kPowerLimitDefaultMilliwatts, MilliwattsAsWatts},
    {"temperature_slowdown_celsius", kTemperatureSlowdownCelsius, Plain},
    {"ecc_mode", kEccMode, OnOff},
    {"persistence_mode", kPersistenceMode, OnOff},
    {"compute_mode", kComputeMode, ComputeModeName},
    {"mig_mode", kMigMode, OnOff},
    {"pcie_generation", kPcieGeneration, Plain},
    {"pcie_generation_maximum", kPcieGenerationMaximum, Plain},
    {"pcie_width", kPcieWidth, Plain},
    {"pcie_width_maximum", kPcieWidthMaximum, Plain},
};

class NvmlMonitor final : public DeviceMonitor {
 public:
  NvmlMonitor(std::shared_ptr<Nvml> nvml, FoundDevice device, const DeviceInfo& info, Clock& clock,
              NvmlMonitorOptions options)
      : nvml_(std::move(nvml)),
        device_(device),
        device_id_(info.id),
        pci_bus_id_(Property(info, "pci_bus_id")),
        clock_(clock),
        options_(std::move(options)),
        lock_(nvml_, device_.gpu, info.id, info.uuid.empty() ? pci_bus_id_ : info.uuid,
              options_.marker_directory) {}

  DeviceReading Read(Freshness freshness) override {
    if (freshness == Freshness::kLast) {
      std::lock_guard lock(mutex_);
      return last_;
    }
    DeviceReading reading;
    reading.clock_hertz = Scaled(kSmClockMhz, 1e6);
    reading.memory_clock_hertz = Scaled(kMemoryClockMhz, 1e6);
    reading.temperature_celsius = Scaled(kTemperatureCelsius, 1);
    reading.power_watts = Scaled(kPowerMilliwatts, 1e-3);
    reading.clock_events =
        ClockEventNames(nvml_->Read(device_.gpu, kClockEventReasons).value_or(0));
    const double now = clock_.MonotonicSeconds();
    std::lock_guard lock(mutex_);
    if (freshness != Freshness::kGrid) {
      ecc_.Forget();
      foreign_use_.Forget();
    }
    const EccCounts& ecc = ecc_.Get(now, [this] {
      return EccCounts{nvml_->Read(device_.gpu, kEccCorrected),
                       nvml_->Read(device_.gpu, kEccUncorrected)};
    });
    reading.ecc_corrected_errors = ecc.corrected;
    reading.ecc_uncorrected_errors = ecc.uncorrected;
    const ForeignUse& use = foreign_use_.Get(now, [this] { return ReadForeignUse(); });
    reading.foreign_work = use.working;
    reading.idle_processes = use.idle;
    return last_ = reading;
  }

  std::optional<EnergyReading> ReadEnergy() override {
    const auto joules = Scaled(kEnergyMillijoules, 1e-3);
    if (!joules) return std::nullopt;
    return EnergyReading{*joules, clock_.MonotonicSeconds()};
  }

  std::map<std::string, std::string> Facts() override {
    std::map<std::string, std::string> facts;
    if (const auto version = nvml_->DriverVersion()) facts["driver_version"] = *version;
    if (const auto version = nvml_->VbiosVersion(device_.gpu)) facts["vbios"] = *version;
    for (const FactSource& source : kFacts) {
      if (const auto value = nvml_->Read(device_.gpu, source.quantity)) {
        facts[source.name] = source.text(*value);
      }
    }
    if (device_.is_mig) facts["telemetry_of"] = "the whole GPU of this MIG instance";
    if (!nvml_->Processes(device_.processes)) facts["foreign_work"] = "unknown";
    if (const auto node = NumaNode()) facts["numa_node"] = std::to_string(*node);
    return facts;
  }

  absl::Status LockClocks() override {
    if (device_.is_mig) {
      return MakeError(absl::StatusCode::kUnimplemented, "CLOCK_LOCK_UNSUPPORTED",
                       "clocks of " + device_id_ + ": a MIG instance shares them with the others",
                       {{"device", device_id_}});
    }
    return lock_.Lock();
  }
  absl::Status UnlockClocks() override { return lock_.Unlock(); }

 private:
  // Facts() says where the driver gives no list.
  ForeignUse ReadForeignUse() {
    const auto processes = nvml_->Processes(device_.processes);
    if (!processes) return {};
    const int64_t since_millis = clock_.NowUnixMillis() - kUseMillis;
    const auto uses =
        nvml_->ProcessUse(device_.processes, static_cast<uint64_t>(since_millis) * 1000);
    return ForeignProcesses(*processes, uses, options_.own_pid, options_.root);
  }

  std::optional<double> Scaled(NvmlQuantity quantity, double unit) {
    const auto value = nvml_->Read(device_.gpu, quantity);
    if (!value) return std::nullopt;
    return static_cast<double>(*value) * unit;
  }

  // The kernel writes -1 where the machine has but one node.
  std::optional<int64_t> NumaNode() const {
    std::string id = pci_bus_id_;
    std::transform(id.begin(), id.end(), id.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    const auto node = ReadNumber(options_.root + "/sys/bus/pci/devices/" + id + "/numa_node");
    return node && *node >= 0 ? node : std::nullopt;
  }

  const std::shared_ptr<Nvml> nvml_;
  const FoundDevice device_;
  const std::string device_id_;
  const std::string pci_bus_id_;
  Clock& clock_;
  const NvmlMonitorOptions options_;
  ClockLock lock_;
  std::mutex mutex_;
  // All guarded by mutex_.
  TimeGrid<EccCounts> ecc_{kEccPeriodSeconds};
  TimeGrid<ForeignUse> foreign_use_{kProcessPeriodSeconds};
  DeviceReading last_;
};

}  // namespace

std::vector<std::string> ClockEventNames(uint64_t reasons) {
  std::vector<std::string> names;
  for (const ReasonName& reason : kReasons) {
    if ((reasons & reason.bit) != 0) names.push_back(reason.name);
  }
  return names;
}

absl::StatusOr<std::unique_ptr<DeviceMonitor>> MakeNvmlMonitor(std::shared_ptr<Nvml> nvml,
                                                               const DeviceInfo& info, Clock& clock,
                                                               NvmlMonitorOptions options) {
  const FoundDevice device = FindDevice(*nvml, info);
  if (device.gpu == nullptr) {
    return MakeError(absl::StatusCode::kNotFound, "NVML_DEVICE_NOT_FOUND",
                     "NVML knows no GPU " + info.uuid + " (" + info.id + ")",
                     {{"device", info.id}, {"uuid", info.uuid}});
  }
  return std::make_unique<NvmlMonitor>(std::move(nvml), device, info, clock, std::move(options));
}

}  // namespace qtipd
