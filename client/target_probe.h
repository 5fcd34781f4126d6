// What can be said of a target without its daemon.
#ifndef QTIPD_CLIENT_TARGET_PROBE_H_
#define QTIPD_CLIENT_TARGET_PROBE_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "qtipd/v1/doctor.pb.h"

namespace qtipd {

// Findings "target_name" (does its host resolve), "target_port" (does anything take a connection
// there, within `limit`) and "target_tls", each only where the one before is well. Takes HOST:PORT
// and dns:///HOST:PORT; other schemes of gRPC give a finding that says so. Blocks.
std::vector<v1::Finding> ProbeTarget(const std::string& target, absl::Duration limit);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_TARGET_PROBE_H_
