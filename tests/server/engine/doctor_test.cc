// Every check by what makes it speak, and the gathering of facts from files of the test.
#include "server/engine/doctor/doctor.h"

#include <gtest/gtest.h>

#include <functional>

#include "server/engine/doctor/host_snapshot.h"
#include "tests/fakes/fake_root.h"

namespace qtipd {
namespace {

// A host with a GPU and the CPU served, where nothing is wrong.
DoctorInput Healthy() {
  DoctorInput input;
  input.device_selection = "auto";
  input.backends = {{"cpu", true, ""}, {"cuda", true, ""}};
  DoctorDevice gpu;
  gpu.status.info.id = "cuda:0";
  gpu.status.info.backend = "cuda";
  gpu.status.info.uuid = "GPU-1";
  gpu.status.info.properties = {{"compute_capability", "9.0"},
                                {"device_code", "sm_90"},
                                {"module_code", "sm_80, sm_90, compute_90"}};
  gpu.status.reading = DeviceReading{.clock_hertz = 1.98e9,
                                     .temperature_celsius = 40,
                                     .ecc_corrected_errors = 0,
                                     .ecc_uncorrected_errors = 0};
  gpu.facts = {{"driver_version", "580.1"},
               {"clock_sm_default_hertz", "1980000000"},
               {"clock_sm_application_hertz", "1980000000"},
               {"persistence_mode", "on"},
               {"power_limit_watts", "700"},
               {"power_limit_default_watts", "700"},
               {"temperature_slowdown_celsius", "89"},
               {"mig_mode", "off"},
               {"compute_mode", "default"},
               {"pcie_generation", "5"},
               {"pcie_generation_maximum", "5"},
               {"pcie_width", "16"},
               {"pcie_width_maximum", "16"}};
  DoctorDevice cpu;
  cpu.status.info.id = "cpu";
  cpu.status.info.backend = "cpu";
  cpu.status.reading = DeviceReading{};
  input.devices = {gpu, cpu};
  HostSnapshot& host = input.host;
  host.has_nvidia_gpu = true;
  host.are_counters_for_admins = false;
  host.cupti = "/cuda/libcupti.so.13";
  host.cuobjdump = "/cuda/cuobjdump";
  host.cpu_facts = {{"cpu_governor", "performance"},
                    {"cpu_smt", "off"},
                    {"transparent_hugepages", "madvise"},
                    {"perf_event_paranoid", "2"},
                    {"clock_source", "tsc"}};
  host.has_cpu_counters = true;
  host.cpus = 16;
  host.load_average = 0.5;
  host.steal_share = 0;
  host.memory = {64ull << 30, 32ull << 30};
  host.data_dir = "/data";
  host.disk_free_bytes = 100ull << 30;
  return input;
}

struct Case {
  const char* id;
  Severity severity;
  const char* device;
  const char* what;  // a part of it
  const char* cure;  // a part of it
  std::function<void(DoctorInput&)> spoil;
};

std::map<std::string, std::string>& Gpu(DoctorInput& input) { return input.devices[0].facts; }
DeviceReading& GpuReading(DoctorInput& input) { return *input.devices[0].status.reading; }

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"cuda_backend", Severity::kProblem, "", "no libcublas", "libcublas",
       [](DoctorInput& i) {
         i.backends[1] = {"cuda", false, "no libcublas.so.13"};
       }},
      {"gpu_health", Severity::kProblem, "cuda:0", "lost", "systemctl restart qtipd",
       [](DoctorInput& i) {
         i.devices[0].status.is_healthy = false;
         i.devices[0].status.unhealthy_reason = "lost";
       }},
      {"gpu_telemetry", Severity::kWarning, "cuda:0", "NVML", "libnvidia-ml",
       [](DoctorInput& i) {
         Gpu(i).clear();
         GpuReading(i) = {};
       }},
      {"cuda_backend", Severity::kProblem, "", "no code for this GPU", "compute_cap",
       [](DoctorInput& i) {
         i.backends[1] = {"cuda", false, "no code for this GPU"};
       }},
      {"gpu_device_code", Severity::kWarning, "cuda:0", "translates compute_90",
       "CUDA_ARCHITECTURES=130-real script/build",
       [](DoctorInput& i) {
         i.devices[0].status.info.properties["compute_capability"] = "13.0";
         i.devices[0].status.info.properties["device_code"] = "compute_90";
       }},
      {"gpu_application_clocks", Severity::kWarning, "cuda:0", "1200 MHz",
       "nvidia-smi -i GPU-1 --reset-applications-clocks",
       [](DoctorInput& i) { Gpu(i)["clock_sm_application_hertz"] = "1200000000"; }},
      {"gpu_clocks", Severity::kWarning, "cuda:0", "345 MHz, 1980 MHz by default",
       "bench --lock-clocks",
       [](DoctorInput& i) {
         GpuReading(i).clock_hertz = 345e6;
         i.devices[0].status.queue_depth = 1;
       }},
      {"gpu_persistence", Severity::kWarning, "cuda:0", "off", "--persistence-mode=1",
       [](DoctorInput& i) { Gpu(i)["persistence_mode"] = "off"; }},
      {"gpu_power_limit", Severity::kWarning, "cuda:0", "500 W", "--power-limit=700",
       [](DoctorInput& i) { Gpu(i)["power_limit_watts"] = "500"; }},
      {"gpu_ecc", Severity::kWarning, "cuda:0", "2 corrected", "-q -d ECC",
       [](DoctorInput& i) { GpuReading(i).ecc_corrected_errors = 2; }},
      {"gpu_ecc", Severity::kProblem, "cuda:0", "1 uncorrected", "-q -d ECC",
       [](DoctorInput& i) { GpuReading(i).ecc_uncorrected_errors = 1; }},
      {"gpu_processes", Severity::kWarning, "cuda:0", "pid 7 python3 5 MiB", "query-compute-apps",
       [](DoctorInput& i) { GpuReading(i).foreign_work = {"pid 7 python3 5 MiB"}; }},
      {"gpu_mig", Severity::kWarning, "cuda:0", "MIG is on", "--multi-instance-gpu=0",
       [](DoctorInput& i) { Gpu(i)["mig_mode"] = "on"; }},
      {"gpu_compute_mode", Severity::kProblem, "cuda:0", "prohibited", "--compute-mode=0",
       [](DoctorInput& i) { Gpu(i)["compute_mode"] = "prohibited"; }},
      {"gpu_compute_mode", Severity::kWarning, "cuda:0", "exclusive_process", "--compute-mode=0",
       [](DoctorInput& i) { Gpu(i)["compute_mode"] = "exclusive_process"; }},
      {"gpu_pcie_link", Severity::kWarning, "cuda:0", "generation 5 x8", "-q -d PCIE",
       [](DoctorInput& i) { Gpu(i)["pcie_width"] = "8"; }},
      {"gpu_pcie_link", Severity::kWarning, "cuda:0", "generation 1 x16", "-q -d PCIE",
       [](DoctorInput& i) {
         Gpu(i)["pcie_generation"] = "1";
         i.devices[0].status.queue_depth = 1;
       }},
      {"gpu_processes", Severity::kWarning, "cuda:0", "does not tell who", "query-compute-apps",
       [](DoctorInput& i) { Gpu(i)["foreign_work"] = "unknown"; }},
      {"gpu_clock_events", Severity::kWarning, "cuda:0", "SW_POWER_CAP", "PERFORMANCE",
       [](DoctorInput& i) { GpuReading(i).clock_events = {"SW_POWER_CAP"}; }},
      {"gpu_clock_events", Severity::kProblem, "cuda:0", "HW_SLOWDOWN", "PERFORMANCE",
       [](DoctorInput& i) {
         GpuReading(i).clock_events = {"SW_POWER_CAP", "HW_SLOWDOWN"};
       }},
      {"gpu_temperature", Severity::kWarning, "cuda:0", "80 °C", "TEMPERATURE",
       [](DoctorInput& i) { GpuReading(i).temperature_celsius = 80; }},
      {"profile_counters", Severity::kWarning, "cuda:0", "CAP_PERFMON", "profiles.conf",
       [](DoctorInput& i) { i.host.are_counters_for_admins = true; }},
      {"profile_counters", Severity::kWarning, "cuda:0", "no_new_privs", "profiles.conf",
       [](DoctorInput& i) {
         i.host.are_counters_for_admins = true;
         i.host.are_privileges_barred = true;
       }},
      {"profile_dcgm", Severity::kWarning, "cuda:0", "nv-hostengine (pid 12)", "dcgmi profile",
       [](DoctorInput& i) { i.host.counter_holders = {"nv-hostengine (pid 12)"}; }},
      {"profile_cupti", Severity::kWarning, "cuda:0", "libcupti.so.13", "cupti",
       [](DoctorInput& i) { i.host.cupti.clear(); }},
      {"profile_cuobjdump", Severity::kWarning, "cuda:0", "cuobjdump", "cuda-cuobjdump",
       [](DoctorInput& i) { i.host.cuobjdump.clear(); }},
      {"cpu_other_work", Severity::kWarning, "cpu", "other processes: 1.50", "top",
       [](DoctorInput& i) {
         i.devices[1].status.reading->foreign_work = {"other processes: 1.50 of 16 CPUs"};
       }},
      {"cpu_governor", Severity::kWarning, "cpu", "powersave", "cpupower frequency-set",
       [](DoctorInput& i) { i.host.cpu_facts["cpu_governor"] = "powersave"; }},
      {"cpu_smt", Severity::kWarning, "cpu", "SMT is on", "smt/control",
       [](DoctorInput& i) { i.host.cpu_facts["cpu_smt"] = "on"; }},
      {"cpu_huge_pages", Severity::kWarning, "cpu", "never", "transparent_hugepage",
       [](DoctorInput& i) { i.host.cpu_facts["transparent_hugepages"] = "never"; }},
      {"perf_events", Severity::kWarning, "cpu", "paranoid is 3", "perf_event_paranoid=2",
       [](DoctorInput& i) { i.host.cpu_facts["perf_event_paranoid"] = "3"; }},
      {"perf_events", Severity::kWarning, "cpu", "no counters of this processor", "virtual PMU",
       [](DoctorInput& i) { i.host.has_cpu_counters = false; }},
      {"cpu_throttle", Severity::kProblem, "cpu", "heat", "sensors",
       [](DoctorInput& i) { i.devices[1].status.reading->clock_events = {"HW_THERMAL_SLOWDOWN"}; }},
      {"cpu_steal", Severity::kWarning, "", "2.00 %", "vmstat",
       [](DoctorInput& i) { i.host.steal_share = 0.02; }},
      {"load_average", Severity::kWarning, "", "17.50 on 16 CPUs", "top",
       [](DoctorInput& i) { i.host.load_average = 17.5; }},
      {"cpu_quota", Severity::kWarning, "", "quota of 2 CPUs", "CPUQuota",
       [](DoctorInput& i) {
         i.host.cpu_facts["cpu_quota"] = "2";
         i.host.throttled_periods = 5;
       }},
      {"disk_space", Severity::kWarning, "", "4.0 GiB are free for /data", "df -h /data",
       [](DoctorInput& i) { i.host.disk_free_bytes = 4ull << 30; }},
      {"disk_space", Severity::kProblem, "", "0.1 GiB", "df -h /data",
       [](DoctorInput& i) { i.host.disk_free_bytes = 100ull << 20; }},
      {"memory", Severity::kWarning, "", "1.0 GiB of 64.0 GiB", "rss",
       [](DoctorInput& i) { i.host.memory.available_bytes = 1ull << 30; }},
      {"memory", Severity::kProblem, "", "0.1 GiB", "rss",
       [](DoctorInput& i) { i.host.memory.available_bytes = 100ull << 20; }},
      {"clock_source", Severity::kWarning, "", "hpet", "current_clocksource",
       [](DoctorInput& i) { i.host.cpu_facts["clock_source"] = "hpet"; }},
  };
  return cases;
}

TEST(Doctor, FindsNothingWrongWithAHealthyHost) {
  const std::vector<Finding> findings = Diagnose(Healthy());
  EXPECT_GT(findings.size(), 25u);
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.severity, Severity::kOk) << finding.id << ": " << finding.what;
    EXPECT_EQ(finding.cure_command, "") << finding.id;
  }
}

TEST(Doctor, EveryCheckSpeaksForItsOwnReasonAndNoOther) {
  for (const Case& test : Cases()) {
    DoctorInput input = Healthy();
    test.spoil(input);
    const std::vector<Finding> findings = Diagnose(input);
    const Finding& worst = findings.front();
    EXPECT_EQ(worst.id, test.id);
    EXPECT_EQ(worst.severity, test.severity) << test.id;
    EXPECT_EQ(worst.device, test.device) << test.id;
    EXPECT_NE(worst.what.find(test.what), std::string::npos) << test.id << ": " << worst.what;
    EXPECT_NE(worst.cure_command.find(test.cure), std::string::npos)
        << test.id << ": " << worst.cure_command;
    EXPECT_FALSE(worst.why.empty()) << test.id;
    ASSERT_GT(findings.size(), 1u);
    EXPECT_EQ(findings[1].severity, Severity::kOk) << test.id << ", " << findings[1].id;
  }
}

TEST(Doctor, AGpuAtRestIsWell) {
  DoctorInput input = Healthy();
  GpuReading(input).clock_hertz = 345e6;
  GpuReading(input).idle_processes = {"pid 9 Xorg 50 MiB"};
  Gpu(input)["pcie_generation"] = "1";
  bool are_idle_ones_named = false;
  for (const Finding& finding : Diagnose(input)) {
    EXPECT_EQ(finding.severity, Severity::kOk) << finding.id << ": " << finding.what;
    are_idle_ones_named |= finding.what.find("Xorg") != std::string::npos;
  }
  EXPECT_TRUE(are_idle_ones_named);
}

TEST(Doctor, NoCureLocksClocksForGood) {
  for (const Case& test : Cases()) {
    DoctorInput input = Healthy();
    test.spoil(input);
    for (const Finding& finding : Diagnose(input)) {
      EXPECT_EQ(finding.cure_command.find("--lock-gpu-clocks"), std::string::npos) << finding.id;
    }
  }
}

TEST(Doctor, AHostWithoutAGpuWantsNoCuda) {
  DoctorInput input = Healthy();
  input.backends[1] = {"cuda", false, "no driver"};
  input.host.has_nvidia_gpu = false;
  EXPECT_EQ(Diagnose(input).front().severity, Severity::kOk);
  input.host.has_nvidia_gpu = true;
  input.device_selection = "cpu";
  EXPECT_EQ(Diagnose(input).front().severity, Severity::kOk);
}

TEST(Doctor, CountersForAdminsAreWellForAnAdmin) {
  DoctorInput input = Healthy();
  input.host.are_counters_for_admins = true;
  input.host.can_profile_as_admin = true;
  input.host.cpu_facts["perf_event_paranoid"] = "4";
  EXPECT_EQ(Diagnose(input).front().severity, Severity::kOk);
}

TEST(Doctor, WhatIsNotToldIsNotJudged) {
  DoctorInput input;
  for (const Finding& finding : Diagnose(input)) {
    EXPECT_EQ(finding.severity, Severity::kOk) << finding.id;
  }
}

class HostSnapshotTest : public testing::Test {
 protected:
  HostSnapshot Read(const HostBaseline& baseline = {}) {
    return ReadHostSnapshot({.root = root_.path(),
                             .data_dir = root_.path(),
                             .path = "/usr/bin:/opt/bin",
                             .library_path = "/opt/lib"},
                            baseline);
  }
  FakeRoot root_;
};

TEST_F(HostSnapshotTest, AnEmptyRootTellsNothing) {
  const HostSnapshot host = Read();
  EXPECT_FALSE(host.has_nvidia_gpu);
  EXPECT_FALSE(host.are_counters_for_admins);
  EXPECT_FALSE(host.can_profile_as_admin);
  EXPECT_FALSE(host.load_average);
  EXPECT_FALSE(host.steal_share);
  EXPECT_EQ(host.cupti, "");
  EXPECT_EQ(host.cuobjdump, "");
  EXPECT_GT(host.disk_free_bytes.value_or(0), 0u);
}

TEST_F(HostSnapshotTest, SeesGpusAndWhoMayProfileThem) {
  root_.Write("/sys/bus/pci/devices/0000:00:1f.0/vendor", "0x10de\n");
  root_.Write("/sys/bus/pci/devices/0000:00:1f.0/class", "0x040300\n");  // its sound
  EXPECT_FALSE(Read().has_nvidia_gpu);
  root_.Write("/sys/bus/pci/devices/0000:18:00.0/vendor", "0x10de\n");
  root_.Write("/sys/bus/pci/devices/0000:18:00.0/class", "0x030200\n");
  root_.Write("/proc/driver/nvidia/params", "EnableMSI: 1\nRmProfilingAdminOnly: 1\n");
  root_.Write("/proc/self/status", "Name:\tqtipd\nUid:\t0\t0\t0\t0\nCapEff:\t0000004000000000\n");
  const HostSnapshot host = Read();
  EXPECT_TRUE(host.has_nvidia_gpu);
  EXPECT_EQ(host.are_counters_for_admins, true);
  EXPECT_TRUE(host.can_profile_as_admin);  // CAP_PERFMON
  root_.Write("/proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t0000000000000400\n");
  root_.Write("/proc/driver/nvidia/params", "RmProfilingAdminOnly: 0\n");
  EXPECT_FALSE(Read().can_profile_as_admin);
  EXPECT_EQ(Read().are_counters_for_admins, false);
}

TEST_F(HostSnapshotTest, OnlyWhatIsPassedOnCountsForTheHelper) {
  const std::string user = "Uid:\t7\t7\t7\t7\n";
  root_.Write("/proc/self/status", user + "CapEff:\t0000004000000000\n");
  EXPECT_FALSE(Read().can_profile_as_admin);  // qtipd's own is lost when the helper starts
  root_.Write("/proc/self/status", user + "CapAmb:\t0000004000000000\n");
  EXPECT_TRUE(Read().can_profile_as_admin);
}

TEST_F(HostSnapshotTest, SeesWhatBarsTheHelpersOwnCapabilities) {
  EXPECT_FALSE(Read().are_privileges_barred);
  root_.Write("/proc/self/status", "NoNewPrivs:\t0\nCapBnd:\t000001ffffffffff\n");
  EXPECT_FALSE(Read().are_privileges_barred);
  root_.Write("/proc/self/status", "NoNewPrivs:\t1\nCapBnd:\t000001ffffffffff\n");
  EXPECT_TRUE(Read().are_privileges_barred);
  root_.Write("/proc/self/status", "NoNewPrivs:\t0\nCapBnd:\t0000000000000000\n");
  EXPECT_TRUE(Read().are_privileges_barred);
}

TEST(CapabilitiesOfFile, ReadsTheKernelsLayout) {
  std::vector<unsigned char> attribute(20);
  attribute[3] = 2;      // revision 2
  attribute[0] = 1;      // effective
  attribute[12] = 0x40;  // 38, CAP_PERFMON
  EXPECT_EQ(CapabilitiesOfFile(attribute), uint64_t{1} << 38);
  attribute[0] = 0;
  EXPECT_EQ(CapabilitiesOfFile(attribute), 0u);
  attribute[0] = 1;
  attribute[6] = 0x20;  // 21, CAP_SYS_ADMIN
  attribute[3] = 3;     // revision 3 has the user's id after it
  attribute.resize(24);
  EXPECT_EQ(CapabilitiesOfFile(attribute), uint64_t{1} << 38 | uint64_t{1} << 21);
  attribute[3] = 1;
  EXPECT_EQ(CapabilitiesOfFile(attribute), 0u);
  EXPECT_EQ(CapabilitiesOfFile({}), 0u);
}

TEST_F(HostSnapshotTest, FindsProgramsThatHoldTheCounters) {
  root_.Write("/proc/12/comm", "nv-hostengine\n");
  root_.Write("/proc/13/comm", "bash\n");
  EXPECT_EQ(Read().counter_holders, (std::vector<std::string>{"nv-hostengine (pid 12)"}));
}

TEST_F(HostSnapshotTest, FindsToolsWhereTheyAreLookedFor) {
  root_.Write("/opt/bin/cuobjdump", "");
  root_.Write("/opt/lib/libcupti.so.13", "");
  EXPECT_EQ(Read().cuobjdump, "/opt/bin/cuobjdump");
  EXPECT_EQ(Read().cupti, "/opt/lib/libcupti.so.13");
}

TEST_F(HostSnapshotTest, TakesTheNewestCuptiOfAFolder) {
  root_.Write("/usr/local/cuda/lib64/libcupti.so.12", "");
  EXPECT_EQ(Read().cupti, "/usr/local/cuda/lib64/libcupti.so.12");
  root_.Write("/usr/local/cuda/lib64/libcupti.so.13", "");
  EXPECT_EQ(Read().cupti, "/usr/local/cuda/lib64/libcupti.so.13");
}

TEST_F(HostSnapshotTest, LooksForToolsInTheHelpersOrder) {
  const auto read = [this](const std::string& profiler, const std::string& cuda_home) {
    return ReadHostSnapshot({.root = root_.path(),
                             .data_dir = root_.path(),
                             .path = "/opt/bin",
                             .library_path = "/opt/lib",
                             .cuda_home = cuda_home,
                             .profiler = profiler},
                            {});
  };
  root_.Write("/opt/bin/cuobjdump", "");
  root_.Write("/opt/lib/libcupti.so.13", "");
  root_.Write("/cuda/bin/cuobjdump", "");
  root_.Write("/cuda/extras/CUPTI/lib64/libcupti.so.12", "");
  root_.Write("/opt/qtipd/bin/cuobjdump", "");
  root_.Write("/opt/qtipd/bin/libcupti.so.13", "");
  root_.Write("/libcupti.so.13", "");  // of no folder that anybody looks into
  EXPECT_EQ(read("/opt/qtipd/bin/qtip-profiler", "/cuda").cupti, "/opt/qtipd/bin/libcupti.so.13");
  EXPECT_EQ(read("/opt/qtipd/bin/qtip-profiler", "/cuda").cuobjdump, "/opt/qtipd/bin/cuobjdump");
  EXPECT_EQ(read("", "/cuda").cupti, "/cuda/extras/CUPTI/lib64/libcupti.so.12");
  EXPECT_EQ(read("", "/cuda").cuobjdump, "/cuda/bin/cuobjdump");
  EXPECT_EQ(read("", "").cupti, "/opt/lib/libcupti.so.13");
  EXPECT_EQ(read("", "").cuobjdump, "/opt/bin/cuobjdump");
}

TEST_F(HostSnapshotTest, SeesTheUnitsOfCoresAmongTheKernelsEventSources) {
  const std::string sources = "/sys/bus/event_source/devices/";
  root_.Write(sources + "software/type", "1\n");
  root_.Write(sources + "uncore_imc_0/type", "14\n");
  EXPECT_FALSE(Read().has_cpu_counters);
  for (const char* name : {"cpu", "cpu_core", "cpu_atom", "armv8_pmuv3_0"}) {
    FakeRoot root;
    root.Write(sources + name + "/type", "4\n");
    EXPECT_TRUE(
        ReadHostSnapshot({.root = root.path(), .data_dir = root.path()}, {}).has_cpu_counters)
        << name;
  }
}

TEST_F(HostSnapshotTest, FindsCuptiInTheLoadersCache) {
  const std::string nul(1, '\0');
  root_.Write("/etc/ld.so.cache",
              "glibc" + nul + "libcupti.so.13" + nul + "/far/libcupti.so.13" + nul);
  EXPECT_EQ(Read().cupti, "");
  root_.Write("/far/libcupti.so.13", "");
  EXPECT_EQ(Read().cupti, "/far/libcupti.so.13");
}

TEST_F(HostSnapshotTest, MeasuresSinceTheBaseline) {
  root_.Write("/proc/loadavg", "1.25 1 1 1/2 3\n");
  root_.Write("/proc/self/stat", "7 (q) S 1 7 7 0 -1 0 0 0 0 0 0 0 0\n");
  root_.Write("/proc/self/cgroup", "0::/\n");
  root_.Write("/sys/fs/cgroup/cpu.stat", "nr_throttled 4\n");
  root_.Write("/proc/stat", "cpu  100 0 0 800 0 0 0 100 0 0\ncpu0 1\ncpu1 1\n");
  const HostBaseline baseline = ReadHostBaseline(root_.path());
  root_.Write("/proc/stat", "cpu  100 0 0 890 0 0 0 110 0 0\ncpu0 1\ncpu1 1\n");
  root_.Write("/sys/fs/cgroup/cpu.stat", "nr_throttled 6\n");
  const HostSnapshot host = Read(baseline);
  EXPECT_EQ(host.load_average, 1.25);
  EXPECT_EQ(host.cpus, 2);
  EXPECT_NEAR(host.steal_share.value_or(0), 0.1, 1e-9);
  EXPECT_EQ(host.throttled_periods, 2u);
}

}  // namespace
}  // namespace qtipd
