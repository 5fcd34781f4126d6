#include "client/speed_suite.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/interrupt.h"
#include "client/present.h"
#include "client/progress.h"
#include "client/rpc_status.h"
#include "client/speed_loop.h"
#include "client/speed_meter.h"
#include "client/speed_record.h"
#include "client/speed_report.h"
#include "client/suite_files.h"
#include "client/suite_run.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

namespace fs = std::filesystem;

// The cases of an earlier run whose files are in `folder`.
absl::Status Resume(Session& session, const fs::path& folder, SpeedRecord& record) {
  const fs::path path = folder / "runs.json";
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    session.err() << path.string() << " is not there: every case is measured\n";
    return absl::OkStatus();
  }
  std::ostringstream text;
  text << stream.rdbuf();
  return TakeFinished(text.str(), record);
}

// What a person at a terminal is told of a case that is finished.
void TellCase(Session& session, const SpeedRecord& record, const SpeedResult& result) {
  const std::string text = SpeedCaseText(result.speed_case);
  if (!result.status.ok()) {
    session.err() << text << " was not measured: " << ErrorLine(result.status).substr(7) << "\n";
  }
  const SuiteExtent extent = ExtentOf(record);
  TellPart(session.err(), IsStderrTerminal(), extent.finished, extent.total,
           absl::StrCat(text, " batch ", absl::StrJoin(result.speed_case.batches, ",")));
}

// Measures what the record lacks. Its files are written after every case, so that whatever ends
// this program loses no more than the case that it is in; after the last one they are the caller's.
absl::Status MeasureRest(Session& session, Connection& connection, const fs::path& folder,
                         const InterruptScope& interrupt, SpeedRecord& record) {
  SpeedMeter meter(session, connection, record.suite, record.device.id(), interrupt);
  return MeasureCases(
      record.results, [&](SpeedResult& result) { return meter.Measure(result); },
      [&](const SpeedResult& result) -> absl::Status {
        if (ExtentOf(record).is_partial()) {
          QTIPD_RETURN_IF_ERROR(WriteSpeedFiles(record, folder).status());
        }
        TellCase(session, record, result);
        return absl::OkStatus();
      });
}

void Present(Session& session, const SpeedRecord& record, const std::vector<std::string>& files) {
  if (session.is_json()) {
    nlohmann::ordered_json json = ToJson(record);
    json["files"] = files;
    return session.PrintJson(json);
  }
  bool is_first = true;
  if (const std::string partial = PartialSpeedText(record); !partial.empty()) {
    session.PrintNote(partial);
    is_first = false;
  }
  for (const Table& table : SpeedTables(record)) {
    if (table.empty()) continue;
    if (!std::exchange(is_first, false)) session.PrintNote("");
    session.Print(table);
  }
  if (!files.empty()) session.PrintNote(absl::StrCat("\nwritten: ", absl::StrJoin(files, ", ")));
  session.PrintNote(absl::StrCat("kept for the next run: suite/", record.suite.name,
                                 "/*, see 'qtipctl artifacts list'"));
}

// Writes and prints what there is, and judges it. Errors: what ended the suite; that of the files.
absl::StatusOr<int> Conclude(Session& session, const SpeedRecord& record, const fs::path& folder) {
  std::vector<v1::Run> runs;
  bool is_whole = true;
  for (const SpeedResult& result : record.results) {
    runs.insert(runs.end(), result.runs.begin(), result.runs.end());
    is_whole = is_whole && result.status.ok();
  }
  if (runs.empty() && !record.end.ok()) return record.end;
  const absl::StatusOr<std::vector<std::string>> files = WriteSpeedFiles(record, folder);
  Present(session, record, files.ok() ? *files : std::vector<std::string>());
  const int code = JudgeRuns(session, runs);
  QTIPD_RETURN_IF_ERROR(record.end);
  QTIPD_RETURN_IF_ERROR(files.status());
  return code == kExitDone && !is_whole ? kExitInconclusive : code;
}

}  // namespace

absl::StatusOr<int> RunSpeedSuite(Session& session, const Suite& suite, const CaseFilter& filter,
                                  const std::string& out, bool is_resuming) {
  QTIPD_ASSIGN_OR_RETURN(const std::vector<SpeedCase> cases, ChooseCases(suite, filter));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const v1::Device device, ChooseSuiteDevice(session, *connection));
  QTIPD_ASSIGN_OR_RETURN(
      const v1::ServerInfo info,
      connection->Call(&v1::QtipService::Stub::GetServerInfo, v1::GetServerInfoRequest()));
  SpeedRecord record = NewSpeedRecord(suite, cases, device, info.git_commit());
  const fs::path folder = fs::path(out) / FolderName(device.name()) / suite.name;
  if (is_resuming) QTIPD_RETURN_IF_ERROR(Resume(session, folder, record));
  const InterruptScope interrupt;  // also between the operations, and while files are written
  record.end = MeasureRest(session, *connection, folder, interrupt, record);
  return Conclude(session, record, folder);
}

}  // namespace qtipd
