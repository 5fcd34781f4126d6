// What is asked of every GPU that is served.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "server/engine/doctor/checks.h"

namespace qtipd {
namespace {

// Below the temperature at which the hardware slows down, where the driver tells that one.
constexpr double kWarmMarginCelsius = 10;
constexpr double kWarmCelsius = 80;

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

std::string Megahertz(double hertz) { return Number(std::round(hertz / 1e6)) + " MHz"; }

std::string Smi(const DoctorDevice& device, const std::string& arguments) {
  const std::string& uuid = device.status.info.uuid;
  return "sudo nvidia-smi " + (uuid.empty() ? "" : "-i " + uuid + " ") + arguments;
}

const DeviceReading& ReadingOf(const DoctorDevice& device) {
  static const DeviceReading nothing;
  return device.status.reading ? *device.status.reading : nothing;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : ", ") + line;
  return text;
}

std::optional<Verdict> Health(const DoctorDevice& device, const HostSnapshot&) {
  if (device.status.is_healthy) return Verdict{Severity::kOk, "the device can be used"};
  return Verdict{Severity::kProblem, "the device cannot be used: " + device.status.unhealthy_reason,
                 "sudo systemctl restart qtipd"};
}

std::optional<Verdict> Telemetry(const DoctorDevice& device, const HostSnapshot&) {
  const std::string driver = FactText(device.facts, "driver_version");
  if (!driver.empty()) return Verdict{Severity::kOk, "NVML of driver " + driver + " answers"};
  return Verdict{Severity::kWarning, "NVML (libnvidia-ml.so.1) does not answer",
                 "nvidia-smi; ldconfig -p | grep libnvidia-ml"};
}

// A GPU for which there is no code at all is not served: check cuda_backend tells of it.
std::optional<Verdict> MachineCode(const DoctorDevice& device, const HostSnapshot&) {
  const std::map<std::string, std::string>& properties = device.status.info.properties;
  const std::string runs = FactText(properties, "device_code");
  if (runs.empty()) return std::nullopt;
  const std::string carried = FactText(properties, "module_code");
  if (runs.starts_with("sm_")) {
    return Verdict{Severity::kOk, "it runs machine code, " + runs + " of " + carried};
  }
  std::string architecture = FactText(properties, "compute_capability");
  std::erase(architecture, '.');
  return Verdict{
      Severity::kWarning,
      "the module has no machine code for it, only for others (" + carried +
          "): the driver translates " + runs,
      "QTIPD_CMAKE_ARGS=-DCMAKE_CUDA_ARCHITECTURES=" + architecture + "-real script/build cuda"};
}

std::optional<Verdict> ApplicationClocks(const DoctorDevice& device, const HostSnapshot&) {
  const auto set = FactNumber(device.facts, "clock_sm_application_hertz");
  const auto standard = FactNumber(device.facts, "clock_sm_default_hertz");
  if (!set || !standard) return std::nullopt;
  if (*set == *standard) return Verdict{Severity::kOk, "application clocks are the default ones"};
  return Verdict{Severity::kWarning,
                 "the application clock is set to " + Megahertz(*set) + ", the default is " +
                     Megahertz(*standard),
                 Smi(device, "--reset-applications-clocks")};
}

// A GPU without work rests at a low clock and on a slow link.
bool IsIdle(const DoctorDevice& device) {
  return device.status.queue_depth == 0 && ReadingOf(device).foreign_work.empty();
}

std::optional<Verdict> Clocks(const DoctorDevice& device, const HostSnapshot&) {
  const auto now = ReadingOf(device).clock_hertz;
  const auto standard = FactNumber(device.facts, "clock_sm_default_hertz");
  if (!now || !standard) return std::nullopt;
  const std::string text = "the compute clock is at " + Megahertz(*now);
  if (*now >= *standard) return Verdict{Severity::kOk, text};
  const std::string below = text + ", " + Megahertz(*standard) + " by default";
  if (IsIdle(device)) return Verdict{Severity::kOk, below + ": the device rests"};
  return Verdict{Severity::kWarning, below + ", while the device works",
                 "qtipctl bench --lock-clocks   # holds the default clock for that run"};
}

std::optional<Verdict> Persistence(const DoctorDevice& device, const HostSnapshot&) {
  const std::string mode = FactText(device.facts, "persistence_mode");
  if (mode.empty()) return std::nullopt;
  if (mode == "on") return Verdict{Severity::kOk, "persistence mode is on"};
  return Verdict{Severity::kWarning, "persistence mode is off",
                 Smi(device, "--persistence-mode=1")};
}

std::optional<Verdict> PowerLimit(const DoctorDevice& device, const HostSnapshot&) {
  const auto limit = FactNumber(device.facts, "power_limit_watts");
  const auto standard = FactNumber(device.facts, "power_limit_default_watts");
  if (!limit || !standard) return std::nullopt;
  const std::string text = "the power limit is " + Number(*limit) + " W";
  if (*limit >= *standard) return Verdict{Severity::kOk, text};
  return Verdict{Severity::kWarning, text + ", the default is " + Number(*standard) + " W",
                 Smi(device, "--power-limit=" + Number(*standard))};
}

std::optional<Verdict> Ecc(const DoctorDevice& device, const HostSnapshot&) {
  const DeviceReading& reading = ReadingOf(device);
  if (!reading.ecc_uncorrected_errors) return std::nullopt;
  const uint64_t corrected = reading.ecc_corrected_errors.value_or(0);
  const std::string text = std::to_string(*reading.ecc_uncorrected_errors) + " uncorrected and " +
                           std::to_string(corrected) +
                           " corrected memory errors since the driver was loaded";
  if (*reading.ecc_uncorrected_errors > 0) {
    return Verdict{Severity::kProblem, text, Smi(device, "-q -d ECC,ROW_REMAPPER")};
  }
  if (corrected > 0) {
    return Verdict{Severity::kWarning, text, Smi(device, "-q -d ECC,ROW_REMAPPER")};
  }
  return Verdict{Severity::kOk, text};
}

std::optional<Verdict> Processes(const DoctorDevice& device, const HostSnapshot&) {
  if (!device.status.reading || FactText(device.facts, "driver_version").empty()) {
    return std::nullopt;
  }
  const std::string list = Smi(device, "--query-compute-apps=pid,name --format=csv");
  if (FactText(device.facts, "foreign_work") == "unknown") {
    return Verdict{Severity::kWarning,
                   "the driver does not tell who uses the device: no foreign work will be seen",
                   list + "   # on the host itself, outside of any container"};
  }
  const DeviceReading& reading = ReadingOf(device);
  if (!reading.foreign_work.empty()) {
    return Verdict{Severity::kWarning, "others use the device: " + Joined(reading.foreign_work),
                   list};
  }
  if (!reading.idle_processes.empty()) {
    return Verdict{Severity::kOk, "others hold memory of the device and are idle: " +
                                      Joined(reading.idle_processes)};
  }
  return Verdict{Severity::kOk, "no other process uses the device"};
}

std::optional<Verdict> Mig(const DoctorDevice& device, const HostSnapshot&) {
  const std::string mode = FactText(device.facts, "mig_mode");
  if (mode.empty()) return std::nullopt;
  if (mode == "off") return Verdict{Severity::kOk, "the device is not divided (MIG is off)"};
  return Verdict{Severity::kWarning, "MIG is on: the device is a part of a GPU",
                 Smi(device, "--multi-instance-gpu=0")};
}

std::optional<Verdict> ComputeMode(const DoctorDevice& device, const HostSnapshot&) {
  const std::string mode = FactText(device.facts, "compute_mode");
  if (mode.empty()) return std::nullopt;
  if (mode == "default") return Verdict{Severity::kOk, "compute mode is default"};
  const bool is_prohibited = mode == "prohibited";
  return Verdict{is_prohibited ? Severity::kProblem : Severity::kWarning, "compute mode is " + mode,
                 Smi(device, "--compute-mode=0")};
}

std::optional<Verdict> PcieLink(const DoctorDevice& device, const HostSnapshot&) {
  const auto generation = FactNumber(device.facts, "pcie_generation");
  const auto best_generation = FactNumber(device.facts, "pcie_generation_maximum");
  const auto width = FactNumber(device.facts, "pcie_width");
  const auto best_width = FactNumber(device.facts, "pcie_width_maximum");
  if (!generation || !best_generation || !width || !best_width) return std::nullopt;
  const std::string text =
      "the PCIe link is generation " + Number(*generation) + " x" + Number(*width);
  if (*generation >= *best_generation && *width >= *best_width) return Verdict{Severity::kOk, text};
  const std::string below =
      text + ", it could be generation " + Number(*best_generation) + " x" + Number(*best_width);
  if (*width >= *best_width && IsIdle(device)) {
    return Verdict{Severity::kOk, below + ": the link rests"};
  }
  return Verdict{Severity::kWarning, below, Smi(device, "-q -d PCIE")};
}

std::optional<Verdict> ClockEvents(const DoctorDevice& device, const HostSnapshot&) {
  if (!device.status.reading || FactText(device.facts, "driver_version").empty()) {
    return std::nullopt;
  }
  const std::vector<std::string>& events = ReadingOf(device).clock_events;
  if (events.empty()) return Verdict{Severity::kOk, "nothing holds the clock down"};
  const bool is_hardware = std::any_of(events.begin(), events.end(),
                                       [](const std::string& e) { return e.starts_with("HW_"); });
  return Verdict{is_hardware ? Severity::kProblem : Severity::kWarning,
                 "the clock is held down now: " + Joined(events),
                 Smi(device, "-q -d PERFORMANCE,TEMPERATURE,POWER")};
}

std::optional<Verdict> Temperature(const DoctorDevice& device, const HostSnapshot&) {
  const auto celsius = ReadingOf(device).temperature_celsius;
  if (!celsius) return std::nullopt;
  const auto slowdown = FactNumber(device.facts, "temperature_slowdown_celsius");
  const double warm = slowdown ? *slowdown - kWarmMarginCelsius : kWarmCelsius;
  const std::string text = "the GPU has " + Number(*celsius) + " °C";
  if (*celsius < warm) return Verdict{Severity::kOk, text};
  return Verdict{Severity::kWarning,
                 slowdown ? text + ", it slows down at " + Number(*slowdown) + " °C" : text,
                 Smi(device, "-q -d TEMPERATURE")};
}

constexpr DeviceCheck kGpuChecks[] = {
    {"gpu_health", "nothing runs on a device that was lost", Health},
    {"gpu_telemetry", "without it no clocks, power, temperature, ECC errors or foreign work",
     Telemetry},
    {"gpu_device_code",
     "what the driver translates is compiled by another compiler than was measured", MachineCode},
    {"gpu_compute_mode", "prohibited refuses every context, exclusive the profiler's", ComputeMode},
    {"gpu_ecc", "memory that fails gives wrong results, and retries take time", Ecc},
    {"gpu_clock_events", "a clock that is held down makes every sample slower", ClockEvents},
    {"gpu_processes", "others' kernels run between ours, and their memory is missing", Processes},
    {"gpu_mig", "caches, bandwidth and counters are shared with other instances", Mig},
    {"gpu_temperature", "near its limit a GPU lowers its clock in the midst of a run", Temperature},
    {"gpu_power_limit", "a lower limit lowers the clock under load", PowerLimit},
    {"gpu_application_clocks", "results do not compare with those at default clocks",
     ApplicationClocks},
    {"gpu_clocks", "a clock below the default one under load makes every sample slower", Clocks},
    {"gpu_persistence", "the driver loads anew for each first client: slow starts, cold clocks",
     Persistence},
    {"gpu_pcie_link", "copies from and to the host are slower", PcieLink},
};

}  // namespace

std::span<const DeviceCheck> GpuChecks() { return kGpuChecks; }

}  // namespace qtipd
