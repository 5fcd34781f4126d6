// Named sets of metrics. What a set holds is found in the chip's catalogue: stall reasons differ
// from chip to chip.
#ifndef QTIPD_SERVER_PROFILER_METRIC_PRESETS_H_
#define QTIPD_SERVER_PROFILER_METRIC_PRESETS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace qtipd {

// A stall metric is kStallPrefix, the reason, kStallSuffix: the share of the resident warps that
// wait for that reason. All of a chip's together are 100 %, but for the parts of others.
inline constexpr std::string_view kStallPrefix = "smsp__warp_issue_stalled_";
inline constexpr std::string_view kStallSuffix = "_per_warp_active";

// "smsp__warp_issue_stalled_wait_per_warp_active" (with or without ".pct") -> "wait"; else "".
std::string StallReasonOf(std::string_view metric);

// Whether `reason` is a part of another one among `bases`, a catalogue's names with or without
// ".pct": "long_scoreboard_pipe_l1tex" is one of "long_scoreboard" and counted there already.
// "math_pipe_throttle" stands for itself.
bool IsPartOfReason(std::string_view reason, const std::vector<std::string>& bases);

// "memory", "stalls", "full".
const std::vector<std::string>& PresetNames();

// The metrics of `preset` on a chip with the catalogue `bases`; what the chip lacks is left out of
// discovered families and kept among the named ones, so that it is reported as unavailable.
// Errors: InvalidArgument/PRESET_UNKNOWN.
absl::StatusOr<std::vector<std::string>> PresetMetrics(std::string_view preset,
                                                       const std::vector<std::string>& bases);

// The same of the processor's counters, for "memory" and "stalls"; "full" is their whole catalogue,
// and empty here. Errors: InvalidArgument/PRESET_UNKNOWN.
absl::StatusOr<std::vector<std::string>> CpuPresetMetrics(std::string_view preset);

// Errors: InvalidArgument/PRESET_UNKNOWN unless `preset` is one of PresetNames().
absl::Status CheckPreset(std::string_view preset);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_METRIC_PRESETS_H_
