#include "server/engine/jobs/environment.h"

#include <sched.h>
#include <sys/utsname.h>

#include <fstream>
#include <thread>

#include "kernels/io/host_facts.h"
#include "server/telemetry/cpu_sensors.h"

namespace qtipd {
namespace {

std::string LoadAverage() {
  std::ifstream file("/proc/loadavg");
  std::string one;
  std::string five;
  std::string fifteen;
  if (!(file >> one >> five >> fifteen)) return "";
  return one + " " + five + " " + fifteen;
}

// CPUs that this process may run on; 0: not known.
int AllowedCpus() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
}

}  // namespace

std::map<std::string, std::string> CaptureEnvironment(
    const std::map<std::string, std::string>& build_info, const DeviceInfo& device,
    DeviceMonitor& monitor) {
  std::map<std::string, std::string> environment = build_info;
  environment.insert(device.properties.begin(), device.properties.end());
  utsname system{};
  if (uname(&system) == 0) {
    environment["hostname"] = system.nodename;
    environment["kernel"] = std::string(system.sysname) + " " + system.release;
  }
  environment["cpu_count"] = std::to_string(std::thread::hardware_concurrency());
  const std::string model = ReadHostFacts().cpu_name;
  if (!model.empty()) environment["cpu_model"] = model;
  if (const std::string load = LoadAverage(); !load.empty()) environment["load_average"] = load;
  environment["compute_dtype"] = DTypeName(device.compute_dtype);
  environment["compute_units"] = std::to_string(device.compute_units);
  if (!device.uuid.empty()) environment["device_uuid"] = device.uuid;
  if (const int cpus = AllowedCpus(); cpus > 0) environment["cpu_allowed"] = std::to_string(cpus);
  // Of the host also where the device is a GPU: its threads feed the device.
  environment.merge(ReadCpuFacts(""));
  environment.merge(monitor.Facts());
  return environment;
}

}  // namespace qtipd
