// What NVML tells of a GPU, and what it costs to ask: nvml_cost UUID-OR-BUS-ID [ROUNDS]
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "server/base/clock.h"
#include "server/telemetry/nvml_api.h"
#include "server/telemetry/nvml_monitor.h"

namespace {

using namespace qtipd;

// Median and maximum, in microseconds.
template <typename Call>
void Time(const std::string& name, int rounds, const std::string& value, Call call) {
  std::vector<double> microseconds;
  for (int i = 0; i < rounds; ++i) {
    const double begin = SystemClock().MonotonicSeconds();
    call();
    microseconds.push_back((SystemClock().MonotonicSeconds() - begin) * 1e6);
  }
  std::sort(microseconds.begin(), microseconds.end());
  std::printf("%-34s %-22s median %9.1f us  maximum %9.1f us\n", name.c_str(), value.c_str(),
              microseconds[microseconds.size() / 2], microseconds.back());
}

void PrintReading(const DeviceReading& reading) {
  std::printf(
      "reading: sm %.0f Hz, memory %.0f Hz, %.0f C, %.2f W, ecc %ld/%ld\n",
      reading.clock_hertz.value_or(-1), reading.memory_clock_hertz.value_or(-1),
      reading.temperature_celsius.value_or(-1), reading.power_watts.value_or(-1),
      reading.ecc_corrected_errors ? static_cast<long>(*reading.ecc_corrected_errors) : -1,
      reading.ecc_uncorrected_errors ? static_cast<long>(*reading.ecc_uncorrected_errors) : -1);
  for (const std::string& event : reading.clock_events) std::printf("event: %s\n", event.c_str());
  for (const std::string& work : reading.foreign_work) std::printf("foreign: %s\n", work.c_str());
}

int Run(const std::string& name, int rounds) {
  const auto nvml = OpenNvml();
  if (!nvml.ok()) {
    std::printf("%s\n", nvml.status().ToString().c_str());
    return 1;
  }
  NvmlDevice device = (*nvml)->FindByUuid(name);
  if (device == nullptr) device = (*nvml)->FindByPciBusId(name);
  if (device == nullptr) return std::printf("no device %s\n", name.c_str()), 1;
  for (int i = 0; i < static_cast<int>(NvmlQuantity::kCount); ++i) {
    const auto quantity = static_cast<NvmlQuantity>(i);
    const auto value = (*nvml)->Read(device, quantity);
    Time(std::string(NvmlQuantityName(quantity)), rounds, value ? std::to_string(*value) : "absent",
         [&] { (*nvml)->Read(device, quantity); });
  }
  const auto processes = (*nvml)->Processes(device);
  Time("processes", rounds, processes ? std::to_string(processes->size()) : "absent",
       [&] { (*nvml)->Processes(device); });
  for (const NvmlProcess& process : processes.value_or(std::vector<NvmlProcess>())) {
    std::printf("process: pid %u, %ld bytes\n", process.pid,
                process.memory_bytes ? static_cast<long>(*process.memory_bytes) : -1);
  }
  DeviceInfo info;
  info.id = "cuda:0";
  info.uuid = name;
  info.properties["pci_bus_id"] = name;
  const auto monitor = MakeNvmlMonitor(*nvml, info, SystemClock(), {.own_pid = getpid()});
  Time("DeviceMonitor::Read", rounds, "", [&] { (*monitor)->Read(); });
  Time("DeviceMonitor::Read, all anew", rounds, "", [&] { (*monitor)->Read(Freshness::kNow); });
  Time("DeviceMonitor::ReadEnergy", rounds, "", [&] { (*monitor)->ReadEnergy(); });
  Time("DeviceMonitor::Facts", rounds, "", [&] { (*monitor)->Facts(); });
  PrintReading((*monitor)->Read());
  for (const auto& [key, value] : (*monitor)->Facts()) {
    std::printf("fact: %s = %s\n", key.c_str(), value.c_str());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: nvml_cost UUID-OR-BUS-ID [ROUNDS]\n"), 2;
  return Run(argv[1], argc > 2 ? std::max(1, std::atoi(argv[2])) : 100);
}
