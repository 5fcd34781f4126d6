#include "client/speed_report.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/frontier.h"
#include "client/published_findings.h"
#include "client/suite_files.h"
#include "client/sweep_table.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

std::string ReportText(const SpeedRecord& record) {
  std::vector<std::string> parts;
  if (std::string partial = PartialSpeedText(record); !partial.empty()) {
    parts.push_back(std::move(partial) + "\n");
  }
  for (const Table& table : SpeedTables(record)) {
    if (!table.empty()) parts.push_back(RenderTable(table, OutputFormat::kMarkdown));
  }
  return absl::StrJoin(parts, "\n");
}

std::string JsonText(const SpeedRecord& record) {
  return ToJson(record).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

using Files = std::vector<std::pair<std::string, std::string>>;  // name and text

Files FilesOf(const SpeedRecord& record) {
  Files files = {{"runs.json", JsonText(record)}, {"report.md", ReportText(record)}};
  if (record.suite.report == SpeedReport::kSpeeds) {
    files.emplace_back("speeds.csv",
                       RenderTable(SpeedRunsTable(record.results), OutputFormat::kCsv));
    return files;
  }
  const Table cases = SweepRecords(record.results);
  files.emplace_back("cases.csv", RenderTable(cases, OutputFormat::kCsv));
  files.emplace_back("cases.jsonl", JsonLines(cases));
  return files;
}

}  // namespace

std::vector<Table> SpeedTables(const SpeedRecord& record) {
  const std::vector<SpeedResult>& results = record.results;
  switch (record.suite.report) {
    case SpeedReport::kSpeeds:
      return {SpeedTable(results), CrossoverTable(results)};
    case SpeedReport::kTinyGemm:
      return {SweepTable(results), PublishedFindingsTable(results)};
    case SpeedReport::kFrontier:
      return {FrontierTable(results)};
    case SpeedReport::kSweep:
      break;
  }
  return {SweepTable(results)};
}

std::string PartialSpeedText(const SpeedRecord& record) {
  std::string text = PartialText(ExtentOf(record));
  if (text.empty()) return text;
  for (const SpeedResult& result : record.results) {
    if (result.is_finished || result.runs.empty()) continue;
    absl::StrAppend(&text, "; ", result.runs.size(), " of ", record.suite.repeats, " runs of '",
                    SpeedCaseText(result.speed_case), "' are in it");
  }
  return text + ". The same command with --resume measures the rest.";
}

absl::StatusOr<std::vector<std::string>> WriteSpeedFiles(const SpeedRecord& record,
                                                         const std::filesystem::path& folder) {
  std::vector<std::string> written;
  for (const auto& [name, text] : FilesOf(record)) {
    QTIPD_RETURN_IF_ERROR(WriteTextFile(folder / name, text));
    written.push_back((folder / name).string());
  }
  return written;
}

}  // namespace qtipd
