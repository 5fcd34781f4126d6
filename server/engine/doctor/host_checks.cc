// What is asked of the host, whatever is measured on it.
#include <algorithm>
#include <cstdio>

#include "server/engine/doctor/checks.h"

namespace qtipd {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr double kStealShare = 0.01;

std::string Format(const char* format, double value) {
  char text[96];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

std::string Gibibytes(uint64_t bytes) {
  return Format("%.1f GiB", static_cast<double>(bytes) / static_cast<double>(kGiB));
}

// The backend that is wanted but was not opened. On a host without a GPU "auto" wants none.
std::optional<Verdict> CudaBackend(const DoctorInput& input) {
  const auto cuda = std::find_if(input.backends.begin(), input.backends.end(),
                                 [](const BackendStatus& backend) { return backend.id == "cuda"; });
  if (cuda == input.backends.end()) return std::nullopt;
  if (cuda->is_available) return Verdict{Severity::kOk, "the CUDA backend is open"};
  if (input.device_selection == "cpu" || !input.host.has_nvidia_gpu) {
    return Verdict{Severity::kOk, "the CUDA backend is not open: " + cuda->reason};
  }
  return Verdict{Severity::kProblem,
                 "this host has an NVIDIA GPU, but the CUDA backend is not open: " + cuda->reason,
                 "nvidia-smi --query-gpu=name,compute_cap --format=csv; "
                 "ldconfig -p | grep -E 'libcuda.so|libcublas'"};
}

std::optional<Verdict> LoadAverage(const DoctorInput& input) {
  const HostSnapshot& host = input.host;
  if (!host.load_average || host.cpus == 0) return std::nullopt;
  const std::string text = Format("load average %.2f", *host.load_average) + " on " +
                           std::to_string(host.cpus) + " CPUs";
  if (*host.load_average <= host.cpus) return Verdict{Severity::kOk, text};
  return Verdict{Severity::kWarning, text, "top -o %CPU"};
}

std::optional<Verdict> Steal(const DoctorInput& input) {
  if (!input.host.steal_share) return std::nullopt;
  const std::string text = "the hypervisor took " +
                           Format("%.2f %%", 100 * *input.host.steal_share) +
                           " of the CPU time since qtipd started";
  if (*input.host.steal_share <= kStealShare) return Verdict{Severity::kOk, text};
  return Verdict{Severity::kWarning, text, "vmstat 1   # column st; ask for dedicated CPUs"};
}

std::optional<Verdict> Quota(const DoctorInput& input) {
  const std::string quota = FactText(input.host.cpu_facts, "cpu_quota");
  if (quota.empty()) return Verdict{Severity::kOk, "no quota limits the CPU time of qtipd"};
  const std::string text = "a quota of " + quota + " CPUs stopped qtipd in " +
                           std::to_string(input.host.throttled_periods) +
                           " periods since it started";
  if (input.host.throttled_periods == 0) return Verdict{Severity::kOk, text};
  return Verdict{Severity::kWarning, text,
                 "systemctl set-property qtipd CPUQuota=   # or raise the container's CPU limit"};
}

std::optional<Verdict> Memory(const DoctorInput& input) {
  const HostMemory& memory = input.host.memory;
  if (memory.total_bytes == 0) return std::nullopt;
  const std::string text = Gibibytes(memory.available_bytes) + " of " +
                           Gibibytes(memory.total_bytes) + " memory are available";
  const std::string cure = "ps -eo pid,comm,rss --sort=-rss | head";
  if (memory.available_bytes < kGiB / 2) return Verdict{Severity::kProblem, text, cure};
  if (memory.available_bytes < 2 * kGiB) return Verdict{Severity::kWarning, text, cure};
  return Verdict{Severity::kOk, text};
}

std::optional<Verdict> DiskSpace(const DoctorInput& input) {
  if (!input.host.disk_free_bytes) return std::nullopt;
  const std::string text =
      Gibibytes(*input.host.disk_free_bytes) + " are free for " + input.host.data_dir;
  const std::string cure = "df -h " + input.host.data_dir + "; qtipctl artifacts list";
  if (*input.host.disk_free_bytes < kGiB / 2) return Verdict{Severity::kProblem, text, cure};
  if (*input.host.disk_free_bytes < 5 * kGiB) return Verdict{Severity::kWarning, text, cure};
  return Verdict{Severity::kOk, text};
}

std::optional<Verdict> ClockSource(const DoctorInput& input) {
  const std::string source = FactText(input.host.cpu_facts, "clock_source");
  if (source.empty()) return std::nullopt;
  const std::string text = "the kernel's clock source is " + source;
  if (source != "hpet" && source != "acpi_pm" && source != "jiffies") {
    return Verdict{Severity::kOk, text};
  }
  return Verdict{
      Severity::kWarning, text,
      "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource"};
}

constexpr HostCheck kHostChecks[] = {
    {"cuda_backend", "without it no GPU is served", CudaBackend},
    {"disk_space", "artefacts and runs could not be stored", DiskSpace},
    {"memory", "a matrix that is quantized stands in memory several times", Memory},
    {"load_average", "threads that wait for a CPU make launches and CPU samples late", LoadAverage},
    {"cpu_steal", "time that another guest had is in our samples", Steal},
    {"cpu_quota", "a thread that is stopped by its quota is late by a whole period", Quota},
    {"clock_source", "reading it takes a microsecond and more, and traps in a guest", ClockSource},
};

}  // namespace

std::span<const HostCheck> HostChecks() { return kHostChecks; }

}  // namespace qtipd
