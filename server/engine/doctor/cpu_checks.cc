// What is asked of the CPU where it is a device that is measured.
#include "server/engine/doctor/checks.h"

namespace qtipd {
namespace {

std::optional<Verdict> Governor(const DoctorDevice&, const HostSnapshot& host) {
  const std::string governor = FactText(host.cpu_facts, "cpu_governor");
  if (governor.empty()) return std::nullopt;
  if (governor == "performance") return Verdict{Severity::kOk, "the CPU governor is performance"};
  return Verdict{Severity::kWarning, "the CPU governor is " + governor,
                 "sudo cpupower frequency-set -g performance"};
}

std::optional<Verdict> Smt(const DoctorDevice&, const HostSnapshot& host) {
  const std::string smt = FactText(host.cpu_facts, "cpu_smt");
  if (smt.empty()) return std::nullopt;
  if (smt == "off") return Verdict{Severity::kOk, "each core runs one thread (SMT is off)"};
  return Verdict{Severity::kWarning, "two threads share a core (SMT is on)",
                 "echo off | sudo tee /sys/devices/system/cpu/smt/control"};
}

std::optional<Verdict> HugePages(const DoctorDevice&, const HostSnapshot& host) {
  const std::string mode = FactText(host.cpu_facts, "transparent_hugepages");
  if (mode.empty()) return std::nullopt;
  const std::string text = "transparent huge pages: " + mode;
  if (mode != "never") return Verdict{Severity::kOk, text};
  return Verdict{Severity::kWarning, text,
                 "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"};
}

std::optional<Verdict> PerfEvents(const DoctorDevice&, const HostSnapshot& host) {
  if (!host.has_cpu_counters) {
    return Verdict{Severity::kWarning, "the kernel knows no counters of this processor",
                   "give the virtual machine a virtual PMU on its host: qemu -cpu host,pmu=on, "
                   "VMware vpmc.enable=TRUE"};
  }
  const auto level = FactNumber(host.cpu_facts, "perf_event_paranoid");
  if (!level) return std::nullopt;
  const std::string text =
      "kernel.perf_event_paranoid is " + FactText(host.cpu_facts, "perf_event_paranoid");
  if (*level <= 2 || host.can_profile_as_admin) return Verdict{Severity::kOk, text};
  return Verdict{Severity::kWarning, text, "sudo sysctl -w kernel.perf_event_paranoid=2"};
}

std::optional<Verdict> Temperature(const DoctorDevice& device, const HostSnapshot&) {
  if (!device.status.reading || device.status.reading->clock_events.empty()) return std::nullopt;
  return Verdict{Severity::kProblem, "the CPU is slowed down because of heat", "sensors"};
}

std::optional<Verdict> OtherWork(const DoctorDevice& device, const HostSnapshot&) {
  if (!device.status.reading) return std::nullopt;
  const std::vector<std::string>& work = device.status.reading->foreign_work;
  if (work.empty()) return Verdict{Severity::kOk, "no other work keeps the CPUs busy"};
  std::string text;
  for (const std::string& line : work) text += (text.empty() ? "" : ", ") + line;
  return Verdict{Severity::kWarning, text, "top -o %CPU"};
}

constexpr DeviceCheck kCpuChecks[] = {
    {"cpu_throttle", "a clock that is held down makes every sample slower", Temperature},
    {"cpu_other_work", "it takes CPUs, caches and memory bandwidth from ours", OtherWork},
    {"cpu_governor", "the clock follows the load, in the midst of a sample", Governor},
    {"cpu_smt", "a neighbour on the same core takes half of its units", Smt},
    {"cpu_huge_pages", "weights in 4 KiB pages miss the TLB", HugePages},
    {"perf_events", "where they cannot be counted, a profile on the CPU is refused", PerfEvents},
};

}  // namespace

std::span<const DeviceCheck> CpuChecks() { return kCpuChecks; }

}  // namespace qtipd
