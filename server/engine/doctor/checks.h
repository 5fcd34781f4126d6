// The tables of the doctor's checks. A new check is a function and a row.
#ifndef QTIPD_SERVER_ENGINE_DOCTOR_CHECKS_H_
#define QTIPD_SERVER_ENGINE_DOCTOR_CHECKS_H_

#include <optional>
#include <span>
#include <string>

#include "server/engine/doctor/doctor.h"

namespace qtipd {

// What a check says; no verdict: it does not apply, or what it needs cannot be known here.
struct Verdict {
  Severity severity = Severity::kOk;
  std::string what;
  std::string cure_command;
};

struct DeviceCheck {
  const char* id;
  const char* why;
  std::optional<Verdict> (*check)(const DoctorDevice& device, const HostSnapshot& host);
};

struct HostCheck {
  const char* id;
  const char* why;
  std::optional<Verdict> (*check)(const DoctorInput& input);
};

std::span<const DeviceCheck> GpuChecks();
std::span<const DeviceCheck> GpuProfileChecks();
std::span<const DeviceCheck> CpuChecks();
std::span<const HostCheck> HostChecks();

// The number that a fact holds.
std::optional<double> FactNumber(const std::map<std::string, std::string>& facts,
                                 const std::string& name);
// Its text, or "".
std::string FactText(const std::map<std::string, std::string>& facts, const std::string& name);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_DOCTOR_CHECKS_H_
