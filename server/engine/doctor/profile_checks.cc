// What a hardware profile on a GPU needs.
#include "server/engine/doctor/checks.h"

namespace qtipd {
namespace {

std::optional<Verdict> Counters(const DoctorDevice&, const HostSnapshot& host) {
  if (!host.are_counters_for_admins) return std::nullopt;
  if (!*host.are_counters_for_admins) {
    return Verdict{Severity::kOk, "the driver gives performance counters to everybody"};
  }
  if (host.can_profile_as_admin) {
    return Verdict{Severity::kOk, "performance counters are for admins, and qtip-profiler is one"};
  }
  const std::string barred =
      host.are_privileges_barred
          ? " (no_new_privs or its capability bounding set would bar what a file gives)"
          : "";
  return Verdict{
      Severity::kWarning,
      "the driver gives performance counters to admins only, and qtip-profiler gets neither "
      "CAP_PERFMON nor CAP_SYS_ADMIN from qtipd" +
          barred,
      "sudo install -Dm644 /opt/qtipd/deploy/systemd/profiles.conf "
      "/etc/systemd/system/qtipd.service.d/profiles.conf && sudo systemctl daemon-reload && sudo "
      "systemctl restart qtipd   # gives it CAP_PERFMON. Or, after a reboot: echo 'options nvidia "
      "NVreg_RestrictProfilingToAdminUsers=0' | sudo tee /etc/modprobe.d/nvidia-profiling.conf"};
}

std::optional<Verdict> CounterHolders(const DoctorDevice&, const HostSnapshot& host) {
  if (host.counter_holders.empty()) {
    return Verdict{Severity::kOk, "no DCGM that could hold the counters is seen"};
  }
  std::string text = "DCGM may hold the performance counters: ";
  for (size_t i = 0; i < host.counter_holders.size(); ++i) {
    text += (i == 0 ? "" : ", ") + host.counter_holders[i];
  }
  return Verdict{Severity::kWarning, text, "sudo dcgmi profile --pause"};
}

std::optional<Verdict> Cupti(const DoctorDevice&, const HostSnapshot& host) {
  if (!host.cupti.empty()) return Verdict{Severity::kOk, "CUPTI is " + host.cupti};
  return Verdict{Severity::kWarning,
                 "CUPTI (libcupti.so.13, or .12 of 12.6 and later) is not found",
                 "sudo apt-get install cuda-cupti-13-0   # or LD_LIBRARY_PATH=DIR for qtipd"};
}

std::optional<Verdict> Cuobjdump(const DoctorDevice&, const HostSnapshot& host) {
  if (!host.cuobjdump.empty()) return Verdict{Severity::kOk, "cuobjdump is " + host.cuobjdump};
  return Verdict{Severity::kWarning, "cuobjdump is not found",
                 "sudo apt-get install cuda-cuobjdump-13-0 cuda-nvdisasm-13-0   # or "
                 "PATH=DIR:$PATH for qtipd"};
}

// Source: https://developer.nvidia.com/ERR_NVGPUCTRPERM; CAP_PERFMON counts from driver 565.
constexpr DeviceCheck kProfileChecks[] = {
    {"profile_counters", "a profile is refused", Counters},
    {"profile_dcgm", "counters have one owner at a time; a profile is refused meanwhile",
     CounterHolders},
    {"profile_cupti", "it reads the counters; without it a profile is refused", Cupti},
    {"profile_cuobjdump", "it names the instructions of a profile's hot spots", Cuobjdump},
};

}  // namespace

std::span<const DeviceCheck> GpuProfileChecks() { return kProfileChecks; }

}  // namespace qtipd
