// What on this host would spoil a measurement or stop a profile, and the command that mends it.
#ifndef QTIPD_SERVER_ENGINE_DOCTOR_DOCTOR_H_
#define QTIPD_SERVER_ENGINE_DOCTOR_DOCTOR_H_

#include <map>
#include <string>
#include <vector>

#include "server/engine/doctor/host_snapshot.h"
#include "server/engine/types.h"

namespace qtipd {

enum class Severity {
  kOk,
  kWarning,  // figures may move, or a profile is refused
  kProblem,  // a benchmark fails, or its figures are wrong
};

struct Finding {
  std::string id;  // of the check, snake case
  Severity severity = Severity::kOk;
  std::string what;
  std::string why;
  std::string cure_command;  // empty where nothing is wrong
  std::string device;        // empty: the host
};

// One device that is served, as it is now.
struct DoctorDevice {
  DeviceStatus status;                       // with its reading
  std::map<std::string, std::string> facts;  // of its monitor
};

struct DoctorInput {
  std::string device_selection;  // what the daemon was told: auto, cpu, cuda, cuda:N
  std::vector<BackendStatus> backends;
  std::vector<DoctorDevice> devices;
  HostSnapshot host;
};

// Every check that applies, worst finding first. Pure.
std::vector<Finding> Diagnose(const DoctorInput& input);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_DOCTOR_DOCTOR_H_
