#include "server/engine/jobs/environment.h"

#include <sys/utsname.h>

#include <fstream>
#include <thread>

namespace qtipd {
namespace {

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

std::string LoadAverage() {
  std::ifstream file("/proc/loadavg");
  std::string one;
  std::string five;
  std::string fifteen;
  if (!(file >> one >> five >> fifteen)) return "";
  return one + " " + five + " " + fifteen;
}

}  // namespace

std::map<std::string, std::string> CaptureEnvironment(
    const std::map<std::string, std::string>& build_info, const DeviceInfo& device) {
  std::map<std::string, std::string> environment = build_info;
  environment.insert(device.properties.begin(), device.properties.end());
  utsname system{};
  if (uname(&system) == 0) {
    environment["hostname"] = system.nodename;
    environment["kernel"] = std::string(system.sysname) + " " + system.release;
  }
  environment["cpu_count"] = std::to_string(std::thread::hardware_concurrency());
  if (const std::string model = CpuModel(); !model.empty()) environment["cpu_model"] = model;
  if (const std::string load = LoadAverage(); !load.empty()) environment["load_average"] = load;
  if (!device.uuid.empty()) environment["device_uuid"] = device.uuid;
  return environment;
}

}  // namespace qtipd
