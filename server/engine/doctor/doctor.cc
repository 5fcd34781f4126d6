#include "server/engine/doctor/doctor.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "server/engine/doctor/checks.h"

namespace qtipd {
namespace {

template <typename Check>
void Add(const Check& check, std::optional<Verdict> verdict, const std::string& device,
         std::vector<Finding>& findings) {
  if (!verdict) return;
  findings.push_back({check.id, verdict->severity, std::move(verdict->what), check.why,
                      std::move(verdict->cure_command), device});
}

void AddDevice(const DoctorDevice& device, const HostSnapshot& host,
               std::span<const DeviceCheck> checks, std::vector<Finding>& findings) {
  for (const DeviceCheck& check : checks) {
    Add(check, check.check(device, host), device.status.info.id, findings);
  }
}

}  // namespace

std::vector<Finding> Diagnose(const DoctorInput& input) {
  std::vector<Finding> findings;
  for (const HostCheck& check : HostChecks()) Add(check, check.check(input), "", findings);
  for (const DoctorDevice& device : input.devices) {
    if (device.status.info.backend == "cuda") {
      AddDevice(device, input.host, GpuChecks(), findings);
      AddDevice(device, input.host, GpuProfileChecks(), findings);
    } else if (device.status.info.backend == "cpu") {
      AddDevice(device, input.host, CpuChecks(), findings);
    }
  }
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return findings;
}

std::optional<double> FactNumber(const std::map<std::string, std::string>& facts,
                                 const std::string& name) {
  const auto found = facts.find(name);
  if (found == facts.end() || found->second.empty()) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(found->second.c_str(), &end);
  if (*end != '\0') return std::nullopt;
  return value;
}

std::string FactText(const std::map<std::string, std::string>& facts, const std::string& name) {
  const auto found = facts.find(name);
  return found == facts.end() ? "" : found->second;
}

}  // namespace qtipd
