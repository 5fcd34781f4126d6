// What a measurement depends on beside the code and the device, recorded with every run.
#ifndef QTIPD_SERVER_ENGINE_JOBS_ENVIRONMENT_H_
#define QTIPD_SERVER_ENGINE_JOBS_ENVIRONMENT_H_

#include <map>
#include <string>

#include "kernels/api/device.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {

// The build's and the device's facts, and the host's at this moment: hostname, kernel, cpu_model,
// cpu_count, load_average (1, 5 and 15 minutes), governor and the like, with what `monitor` knows
// of the device. What cannot be read is left out.
std::map<std::string, std::string> CaptureEnvironment(
    const std::map<std::string, std::string>& build_info, const DeviceInfo& device,
    DeviceMonitor& monitor);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_ENVIRONMENT_H_
