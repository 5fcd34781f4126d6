// What is kept of a table of speeds, so that another program reads it and a later command goes on.
#ifndef QTIPD_CLIENT_SPEED_RECORD_H_
#define QTIPD_CLIENT_SPEED_RECORD_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/speed_table.h"
#include "client/suite.h"
#include "client/suite_extent.h"
#include "nlohmann/json.hpp"
#include "qtipd/v1/common.pb.h"

namespace qtipd {

// A table of speeds as far as it was measured.
struct SpeedRecord {
  Suite suite;
  v1::Device device;
  std::string daemon_commit;         // "1a2b3c4d5e6f", as ServerInfo has it
  std::vector<SpeedResult> results;  // one a case
  absl::Status end;                  // what ended it before all of them were finished
};

// None of the cases is begun.
SpeedRecord NewSpeedRecord(const Suite& suite, const std::vector<SpeedCase>& cases,
                           const v1::Device& device, const std::string& daemon_commit);

SuiteExtent ExtentOf(const SpeedRecord& record);

// All runs, samples included, as {"suite", the extent, "device", "conditions", "cases", "runs"}.
// "conditions" is what runs of one table have in common; a case has its "batches", whether it is
// "finished", its "artifact" and "shares", the places of its "runs" in the list, and the "error"
// that it ended with.
nlohmann::ordered_json ToJson(const SpeedRecord& record);

// Takes what an earlier record, ToJson's text, has of the cases of this one. A case that it has not
// finished, or whose error another attempt may not meet again, keeps its runs and is not finished.
// Errors: FailedPrecondition/SUITE_NOT_RESUMABLE where a condition differs, naming it; where the
// earlier record has runs of a case that this one has not, or with other batches, for they would be
// lost; where the text is no record.
absl::Status TakeFinished(const std::string& earlier, SpeedRecord& record);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SPEED_RECORD_H_
