#include "client/speed_suite.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/benchmark.h"
#include "client/frontier.h"
#include "client/operation_wait.h"
#include "client/present.h"
#include "client/published_findings.h"
#include "client/rpc_status.h"
#include "client/speed_table.h"
#include "client/suite_files.h"
#include "client/suite_run.h"
#include "client/sweep_table.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr char kComputeShare[] = "sm__throughput.avg.pct_of_peak_sustained_elapsed";
constexpr char kMemoryShare[] = "dram__throughput.avg.pct_of_peak_sustained_elapsed";

// Where every part of a suite runs.
struct Bench {
  Session& session;
  Connection& connection;
  const v1::Device& device;
};

// The shares of a path's peak; an error where the device gives no such counters.
absl::StatusOr<PeakShares> ReadShares(const Bench& bench, const std::string& artifact,
                                      const std::string& path, int64_t batch) {
  v1::StartProfileRequest request;
  request.set_request_id(NewRequestId());
  request.set_artifact(artifact);
  request.set_device(bench.device.id());
  request.set_path(path);
  request.set_batch(batch);
  request.add_metrics(kComputeShare);
  request.add_metrics(kMemoryShare);
  QTIPD_ASSIGN_OR_RETURN(const Operation started,
                         bench.connection.Call(&v1::QtipService::Stub::StartProfile, request));
  QTIPD_ASSIGN_OR_RETURN(const auto profile,
                         AwaitResult<v1::Profile>(bench.session, bench.connection, started));
  PeakShares shares;
  for (const v1::MetricValue& metric : profile.metrics()) {
    if (metric.name() == kComputeShare) shares.compute = metric.value() / 100;
    if (metric.name() == kMemoryShare) shares.memory = metric.value() / 100;
  }
  return shares;
}

// Of paths dense and fused at every batch. The first refusal is told, and ends it: a device that
// gives one no counters gives none to any.
absl::Status AddShares(const Bench& bench, SpeedResult& result) {
  for (const std::string path : {"dense", "fused"}) {
    for (const int64_t batch : result.speed_case.batches) {
      QTIPD_ASSIGN_OR_RETURN((result.shares[{path, batch}]),
                             ReadShares(bench, result.artifact.name(), path, batch));
    }
  }
  return absl::OkStatus();
}

absl::Status Measure(const Bench& bench, const Suite& suite, SpeedResult& result) {
  v1::StartQuantizeRequest quantize = SpeedQuantizeRequest(suite, result.speed_case);
  quantize.set_device(bench.device.id());
  QTIPD_ASSIGN_OR_RETURN(result.artifact,
                         QuantizeForSuite(bench.session, bench.connection, quantize));
  v1::StartBenchmarkRequest request = suite.benchmark;
  request.set_artifact(result.artifact.name());
  request.set_device(bench.device.id());
  const std::vector<int64_t>& batches = result.speed_case.batches;
  request.mutable_batches()->Add(batches.begin(), batches.end());
  for (int64_t i = 0; i < suite.repeats; ++i) {
    QTIPD_ASSIGN_OR_RETURN(result.runs.emplace_back(),
                           RunBenchmark(bench.session, bench.connection, request));
  }
  return absl::OkStatus();
}

// What the case asks of a device or a format and does not get; anything else ends the suite.
bool IsOfTheCase(const absl::Status& status) {
  return absl::IsUnimplemented(status) || absl::IsInvalidArgument(status) ||
         absl::IsResourceExhausted(status);
}

absl::StatusOr<std::vector<SpeedResult>> MeasureAll(const Bench& bench, const Suite& suite,
                                                    const std::vector<SpeedCase>& cases) {
  std::vector<SpeedResult> results;
  bool has_counters = suite.report == SpeedReport::kTinyGemm;
  for (const SpeedCase& speed_case : cases) {
    SpeedResult& result = results.emplace_back();
    result.speed_case = speed_case;
    result.status = Measure(bench, suite, result);
    if (!result.status.ok() && !IsOfTheCase(result.status)) return result.status;
    if (!result.status.ok()) {
      bench.session.err() << SpeedCaseText(speed_case)
                          << " was not measured: " << ErrorLine(result.status).substr(7) << "\n";
    } else if (has_counters) {
      const absl::Status status = AddShares(bench, result);
      has_counters = status.ok();
      if (!status.ok()) {
        result.shares.clear();
        bench.session.err() << "no shares of the peak: " << ErrorLine(status).substr(7) << "\n";
      }
    }
  }
  return results;
}

// What is printed, in order; empty tables are left out.
std::vector<Table> Report(SpeedReport report, const std::vector<SpeedResult>& results) {
  switch (report) {
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

using Files = std::vector<std::pair<std::string, std::string>>;  // name and text

Files FilesOf(SpeedReport report, const std::vector<SpeedResult>& results,
              const std::vector<Table>& tables, const nlohmann::ordered_json& json) {
  std::vector<std::string> markdown;
  for (const Table& table : tables) {
    if (!table.empty()) markdown.push_back(RenderTable(table, OutputFormat::kMarkdown));
  }
  Files files = {{"report.md", absl::StrJoin(markdown, "\n")}, {"runs.json", json.dump(1) + "\n"}};
  if (report == SpeedReport::kSpeeds) {
    files.emplace_back("speeds.csv", RenderTable(SpeedRunsTable(results), OutputFormat::kCsv));
    return files;
  }
  const Table records = SweepRecords(results);
  files.emplace_back("cases.csv", RenderTable(records, OutputFormat::kCsv));
  files.emplace_back("cases.jsonl", JsonLines(records));
  return files;
}

absl::StatusOr<std::vector<std::string>> Write(const Files& files,
                                               const std::filesystem::path& folder) {
  std::vector<std::string> written;
  for (const auto& [name, text] : files) {
    QTIPD_RETURN_IF_ERROR(WriteTextFile(folder / name, text));
    written.push_back((folder / name).string());
  }
  return written;
}

void Present(Session& session, const Suite& suite, const std::vector<Table>& tables,
             const std::vector<std::string>& files) {
  bool is_first = true;
  for (const Table& table : tables) {
    if (table.empty()) continue;
    if (!std::exchange(is_first, false)) session.PrintNote("");
    session.Print(table);
  }
  session.PrintNote(absl::StrCat("\nwritten: ", absl::StrJoin(files, ", ")));
  session.PrintNote(absl::StrCat("kept for the next run: suite/", suite.name,
                                 "/*, see 'qtipctl artifacts list'"));
}

}  // namespace

absl::StatusOr<int> RunSpeedSuite(Session& session, const Suite& suite, const CaseFilter& filter,
                                  const std::string& out) {
  QTIPD_ASSIGN_OR_RETURN(const std::vector<SpeedCase> cases, ChooseCases(suite, filter));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const v1::Device device, ChooseSuiteDevice(session, *connection));
  QTIPD_ASSIGN_OR_RETURN(const std::vector<SpeedResult> results,
                         MeasureAll({session, *connection, device}, suite, cases));
  std::vector<v1::Run> runs;
  bool is_whole = true;
  for (const SpeedResult& result : results) {
    runs.insert(runs.end(), result.runs.begin(), result.runs.end());
    is_whole = is_whole && result.status.ok();
  }
  nlohmann::ordered_json json = {{"suite", suite.name}, {"device", ToJson(device)}};
  json.update(ToJsonList("runs", runs));
  const std::vector<Table> tables = Report(suite.report, results);
  const std::filesystem::path folder =
      std::filesystem::path(out) / FolderName(device.name()) / suite.name;
  QTIPD_ASSIGN_OR_RETURN(const std::vector<std::string> files,
                         Write(FilesOf(suite.report, results, tables, json), folder));
  if (session.is_json()) {
    json["files"] = files;
    session.PrintJson(json);
  } else {
    Present(session, suite, tables, files);
  }
  const int code = JudgeRuns(session, runs);
  return code == kExitDone && !is_whole ? kExitInconclusive : code;
}

}  // namespace qtipd
