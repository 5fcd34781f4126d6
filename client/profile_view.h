// Hardware profiles as tables and text.
#ifndef QTIPD_CLIENT_PROFILE_VIEW_H_
#define QTIPD_CLIENT_PROFILE_VIEW_H_

#include <string>
#include <vector>

#include "client/output.h"
#include "qtipd/v1/profile.pb.h"

namespace qtipd {

// What a metric says of one run of the path: a total over all runs, divided by them. Absent for
// shares, ratios and averages.
Cell PerRunCell(const v1::Profile& profile, const v1::MetricValue& metric);
// The value with its unit, as a person reads it: "71.2 %", "4.03 MiB".
std::string MetricText(double value, const std::string& unit);
// A metric that is a total over all runs of a replay.
bool IsTotal(const v1::Profile& profile, const v1::MetricValue& metric);
// One of the stall reasons, which a table of their own shows.
bool IsStall(const v1::MetricValue& metric);
// Every stall reason's percentage together; 100 unless the chip has reasons that were not counted.
double StallSum(const v1::Profile& profile);

// "profile 3: w2 qtip/hyb 2 bits 4096x4096, path fused, batch 1, on cuda:0, NVIDIA H200 (GH100)"
std::string ProfileTitle(const v1::Profile& profile);
// "preset full: 35 metrics in 6 passes of 320 runs over 80 copies of the weights, by cupti in 0.7
// s"
std::string ProfileMethod(const v1::Profile& profile);

// One row a metric: value, unit, of one run, what it is.
Table MetricTable(const v1::Profile& profile, bool with_stalls);
// One row a stall reason, largest first, with its meaning.
Table StallTable(const v1::Profile& profile);
// One row an instruction, most samples first, with the reasons that held it up most.
Table InstructionTable(const v1::Profile& profile);
// The three largest reasons of an instruction: "long_scoreboard 62 %, wait 20 %".
std::string DominantStalls(const v1::HotInstruction& instruction);
// One paragraph a rule that fired: its sentence, and below it the numbers that fired it. Says so
// where none fired.
std::string BottleneckText(const v1::Profile& profile);
// Everything about a profile but its counters, one row a fact.
Table ProfileDetails(const v1::Profile& profile);
// One row a profile.
Table ProfileTable(const std::vector<v1::Profile>& profiles);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_PROFILE_VIEW_H_
