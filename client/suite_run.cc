#include "client/suite_run.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/benchmark.h"
#include "client/distortion.h"
#include "client/operation_wait.h"
#include "client/present.h"
#include "client/rpc_status.h"
#include "client/speed_table.h"
#include "client/suite_files.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

// Every matrix of a cell is deleted again: only its error is wanted.
absl::StatusOr<DistortionResult> MeasureCell(Session& session, Connection& connection,
                                             const Suite& suite, const DistortionCell& cell,
                                             const std::string& device) {
  DistortionResult result{.cell = cell};
  for (int64_t i = 0; i < suite.matrices; ++i) {
    v1::StartQuantizeRequest request = DistortionQuantizeRequest(suite, cell, i);
    request.set_device(device);
    const absl::StatusOr<v1::Artifact> artifact = QuantizeForSuite(session, connection, request);
    if (absl::IsUnimplemented(artifact.status())) {
      result.errors.clear();
      result.status = artifact.status();
      return result;
    }
    QTIPD_RETURN_IF_ERROR(artifact.status());
    result.errors.push_back(artifact->quality().relative_weight_mse());
    v1::DeleteArtifactRequest deletion;
    deletion.set_name(artifact->name());
    QTIPD_RETURN_IF_ERROR(
        connection.Call(&v1::QtipService::Stub::DeleteArtifact, deletion).status());
  }
  return result;
}

nlohmann::ordered_json DistortionJson(const Suite& suite, const v1::Device& device,
                                      const std::vector<DistortionResult>& results) {
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (const DistortionResult& result : results) {
    nlohmann::ordered_json cell = {{"cell", OptionsText(result.cell.options)},
                                   {"published", result.cell.published},
                                   {"verdict", VerdictName(JudgeDistortion(result))}};
    if (!result.errors.empty()) {
      cell["relativeMse"] = DistortionError(result);
      cell["standardError"] = DistortionStandardError(result);
    }
    cells.push_back(cell);
  }
  return {{"suite", suite.name}, {"device", ToJson(device)}, {"cells", cells}};
}

std::string TextOf(const DistortionCell& cell) { return OptionsText(cell.options); }
std::string TextOf(const SpeedCase& speed_case) { return SpeedCaseText(speed_case); }

// The cells or cases whose text contains `only`.
template <typename Cell>
absl::StatusOr<std::vector<Cell>> Choose(const std::vector<Cell>& all, const std::string& only) {
  std::vector<Cell> chosen;
  for (const Cell& cell : all) {
    if (TextOf(cell).find(only) != std::string::npos) chosen.push_back(cell);
  }
  if (!chosen.empty()) return chosen;
  return UsageError("--only", only,
                    all.empty() ? "no such flag: this suite has no cells"
                                : absl::StrCat("a part of a cell's text, for example '",
                                               TextOf(all.front()), "'"));
}

absl::StatusOr<SpeedResult> MeasureCase(Session& session, Connection& connection,
                                        const Suite& suite, const SpeedCase& speed_case,
                                        const std::string& device) {
  v1::StartQuantizeRequest quantize = SpeedQuantizeRequest(suite, speed_case);
  quantize.set_device(device);
  QTIPD_ASSIGN_OR_RETURN(const v1::Artifact artifact,
                         QuantizeForSuite(session, connection, quantize));
  v1::StartBenchmarkRequest request = suite.benchmark;
  request.set_artifact(artifact.name());
  request.set_device(device);
  request.mutable_batches()->Add(speed_case.batches.begin(), speed_case.batches.end());
  SpeedResult result{.speed_case = speed_case, .runs = {}};
  for (int64_t i = 0; i < suite.repeats; ++i) {
    QTIPD_ASSIGN_OR_RETURN(result.runs.emplace_back(), RunBenchmark(session, connection, request));
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> WriteSpeedFiles(const Suite& suite,
                                                         const std::vector<SpeedResult>& results,
                                                         const nlohmann::ordered_json& json,
                                                         const std::filesystem::path& device) {
  const std::string markdown =
      absl::StrCat(RenderTable(SpeedTable(results), OutputFormat::kMarkdown), "\n",
                   RenderTable(CrossoverTable(results), OutputFormat::kMarkdown));
  std::vector<std::string> written;
  const std::pair<const char*, std::string> files[] = {
      {"speeds.csv", RenderTable(SpeedRunsTable(results), OutputFormat::kCsv)},
      {"speeds.md", markdown},
      {"runs.json", json.dump(1) + "\n"}};
  for (const auto& [name, text] : files) {
    const std::filesystem::path file = device / suite.name / name;
    QTIPD_RETURN_IF_ERROR(WriteTextFile(file, text));
    written.push_back(file.string());
  }
  return written;
}

}  // namespace

absl::StatusOr<v1::Device> ChooseSuiteDevice(Session& session, Connection& connection) {
  QTIPD_ASSIGN_OR_RETURN(
      const v1::ListDevicesResponse response,
      connection.Call(&v1::QtipService::Stub::ListDevices, v1::ListDevicesRequest()));
  const std::string& wanted = session.options().device;
  std::vector<std::string> ids;
  for (const v1::Device& device : response.devices()) {
    if (wanted.empty() ? device.healthy() : device.id() == wanted) return device;
    ids.push_back(device.id());
  }
  return FieldError(absl::StatusCode::kNotFound, "DEVICE_NOT_FOUND", "device",
                    wanted.empty() ? "no healthy device" : wanted, absl::StrJoin(ids, ", "));
}

absl::StatusOr<v1::Artifact> QuantizeForSuite(Session& session, Connection& connection,
                                              v1::StartQuantizeRequest request) {
  request.set_request_id(NewRequestId());
  QTIPD_ASSIGN_OR_RETURN(const Operation started,
                         connection.Call(&v1::QtipService::Stub::StartQuantize, request));
  return AwaitResult<v1::Artifact>(session, connection, started);
}

absl::StatusOr<int> RunDistortionSuite(Session& session, const Suite& suite,
                                       const std::string& only, const std::string& out) {
  QTIPD_ASSIGN_OR_RETURN(const std::vector<DistortionCell> cells, Choose(suite.cells, only));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const v1::Device device, ChooseSuiteDevice(session, *connection));
  std::vector<DistortionResult> results;
  for (const DistortionCell& cell : cells) {
    QTIPD_ASSIGN_OR_RETURN(results.emplace_back(),
                           MeasureCell(session, *connection, suite, cell, device.id()));
    if (!results.back().status.ok()) {
      session.err() << OptionsText(cell.options)
                    << " was not measured: " << ErrorLine(results.back().status).substr(7) << "\n";
    }
  }
  const std::filesystem::path file =
      std::filesystem::path(out) / FolderName(device.name()) / "distortion.csv";
  const Table table = DistortionTable(results);
  QTIPD_RETURN_IF_ERROR(WriteTextFile(file, RenderTable(table, OutputFormat::kCsv)));
  if (session.is_json()) {
    session.PrintJson(DistortionJson(suite, device, results));
  } else {
    session.Print(table);
    session.PrintNote(absl::StrCat("\nwritten: ", file.string()));
  }
  return DistortionExitCode(results);
}

absl::StatusOr<int> RunSpeedSuite(Session& session, const Suite& suite, const std::string& only,
                                  const std::string& out) {
  QTIPD_ASSIGN_OR_RETURN(const std::vector<SpeedCase> cases, Choose(suite.cases, only));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const v1::Device device, ChooseSuiteDevice(session, *connection));
  std::vector<SpeedResult> results;
  std::vector<v1::Run> runs;
  for (const SpeedCase& speed_case : cases) {
    QTIPD_ASSIGN_OR_RETURN(results.emplace_back(),
                           MeasureCase(session, *connection, suite, speed_case, device.id()));
    runs.insert(runs.end(), results.back().runs.begin(), results.back().runs.end());
  }
  nlohmann::ordered_json json = {{"suite", suite.name}, {"device", ToJson(device)}};
  json.update(ToJsonList("runs", runs));
  QTIPD_ASSIGN_OR_RETURN(const std::vector<std::string> files,
                         WriteSpeedFiles(suite, results, json,
                                         std::filesystem::path(out) / FolderName(device.name())));
  if (session.is_json()) {
    json["files"] = files;
    session.PrintJson(json);
  } else {
    session.Print(SpeedTable(results));
    if (const Table crossovers = CrossoverTable(results); !crossovers.empty()) {
      session.PrintNote("");
      session.Print(crossovers);
    }
    session.PrintNote(absl::StrCat("\nwritten: ", absl::StrJoin(files, ", ")));
    session.PrintNote(absl::StrCat("kept for the next run: suite/", suite.name,
                                   "/*, see 'qtipctl artifacts list'"));
  }
  return JudgeRuns(session, runs);
}

}  // namespace qtipd
