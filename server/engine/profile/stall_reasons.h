// Why warps wait, in words.
#ifndef QTIPD_SERVER_ENGINE_PROFILE_STALL_REASONS_H_
#define QTIPD_SERVER_ENGINE_PROFILE_STALL_REASONS_H_

#include <string>
#include <string_view>
#include <vector>

#include "server/profiler/profile_protocol.h"

namespace qtipd {

struct StallShare {
  std::string reason;   // "long_scoreboard"
  double percent = 0;   // of the resident warps, over the whole profile
  std::string meaning;  // one sentence
};

// The stall reasons among `metrics`, largest share first, without those that are parts of another
// (IsPartOfReason); a reason that this table does not know has CUPTI's own description.
std::vector<StallShare> StallBreakdown(const std::vector<MetricValue>& metrics);

// Empty for a reason that the table does not know.
// Source: https://docs.nvidia.com/nsight-compute/ProfilingGuide/ (warp stall reasons)
std::string_view StallMeaning(std::string_view reason);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_PROFILE_STALL_REASONS_H_
