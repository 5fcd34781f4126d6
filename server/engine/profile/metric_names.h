// What may be asked for by name, before anything is started for it.
#ifndef QTIPD_SERVER_ENGINE_PROFILE_METRIC_NAMES_H_
#define QTIPD_SERVER_ENGINE_PROFILE_METRIC_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace qtipd {

// At most 256 names of 1 to 200 letters, digits, '_' and '.': whether a chip has them is the
// helper's answer. Errors: InvalidArgument/TOO_MANY_METRICS, METRIC_INVALID.
absl::Status CheckMetrics(const std::vector<std::string>& names);

// The same of a chip's name, of 1 to 64 characters. Errors: InvalidArgument/CHIP_UNKNOWN.
absl::Status CheckChip(const std::string& chip);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_PROFILE_METRIC_NAMES_H_
