// What `qtipctl profile export` writes of a profile.
#ifndef QTIPD_CLIENT_PROFILE_FILES_H_
#define QTIPD_CLIENT_PROFILE_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "qtipd/v1/profile.pb.h"

namespace qtipd {

// metric,label,pct: the stall reasons, largest first, as ncu_stall_K{k}.csv of the published
// benchmark has them. Errors: FailedPrecondition/STALLS_NOT_COUNTED.
// Source: https://github.com/852866031/qtip-eval (results/RTX_5090/fused/ncu_stall_K2.csv)
absl::StatusOr<std::string> StallCsv(const v1::Profile& profile);

// For people: what was profiled, what limits it and by which numbers, the stall reasons with their
// meaning, the hottest instructions, the other counters. Says of a reader's likely mistake that it
// is one: its times are counted under a profiler.
std::string ProfileSummary(const v1::Profile& profile);

// Writes ncu_stall_K{bits}.csv, where stall reasons were counted, and ncu_stall_summary_K{bits}.txt
// into `directory`/<device name>/<path>/ and returns their paths; an artefact without a rate gives
// its name instead of K{bits}. Errors: FILE_NOT_WRITABLE.
absl::StatusOr<std::vector<std::string>> WriteProfileFiles(const v1::Profile& profile,
                                                           const std::string& directory);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_PROFILE_FILES_H_
