// A table of speeds for people and spreadsheets: its tables, and its files.
#ifndef QTIPD_CLIENT_SPEED_REPORT_H_
#define QTIPD_CLIENT_SPEED_REPORT_H_

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/output.h"
#include "client/speed_record.h"

namespace qtipd {

// What is printed, in order, by the suite's kind of report; a table may be empty. A case that was
// not measured has empty cells.
std::vector<Table> SpeedTables(const SpeedRecord& record);

// PartialText of its extent, with the case that was begun, and how to go on; empty of a whole one.
std::string PartialSpeedText(const SpeedRecord& record);

// Writes report.md (the tables, below a sentence where the record is partial), runs.json
// (everything), and speeds.csv (every run) or, of a sweep, cases.csv and cases.jsonl (a row a case
// and batch). Each file appears whole; runs.json, the one to go on from, is the first. Returns
// their paths. Errors: FILE_NOT_WRITABLE, DISK_FULL.
absl::StatusOr<std::vector<std::string>> WriteSpeedFiles(const SpeedRecord& record,
                                                         const std::filesystem::path& folder);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SPEED_REPORT_H_
