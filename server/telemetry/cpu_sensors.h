// What the kernel's files say of the CPUs now. `root` stands for "/"; what is not there is absent.
#ifndef QTIPD_SERVER_TELEMETRY_CPU_SENSORS_H_
#define QTIPD_SERVER_TELEMETRY_CPU_SENSORS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qtipd {

std::optional<double> ReadCpuClockHertz(const std::string& root);
std::optional<double> ReadCpuTemperatureCelsius(const std::string& root);
// Times that a core or a package was slowed down because of heat, since boot.
std::optional<uint64_t> ReadCpuThrottleCount(const std::string& root);

// A counter of energy, which starts again at 0 after `range_microjoules`.
struct EnergyCounter {
  std::string path;
  int64_t range_microjoules = 0;
};
// Of every package that can be read.
std::vector<EnergyCounter> FindPackageEnergy(const std::string& root);

// cpu_governor, cpu_frequency_driver, cpu_turbo, cpu_smt, numa_nodes, cpu_quota, hypervisor,
// perf_event_paranoid, transparent_hugepages, clock_source.
std::map<std::string, std::string> ReadCpuFacts(const std::string& root);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_CPU_SENSORS_H_
