#include "client/suite_run.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/distortion.h"
#include "client/operation_wait.h"
#include "client/rpc_status.h"
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

// The cells whose text contains `only`.
absl::StatusOr<std::vector<DistortionCell>> ChooseCells(const Suite& suite,
                                                        const std::string& only) {
  std::vector<DistortionCell> chosen;
  for (const DistortionCell& cell : suite.cells) {
    if (OptionsText(cell.options).find(only) != std::string::npos) chosen.push_back(cell);
  }
  if (!chosen.empty()) return chosen;
  return UsageError("--only", only,
                    suite.cells.empty()
                        ? "no such flag: this suite has no cells"
                        : absl::StrCat("a part of a cell's text, for example '",
                                       OptionsText(suite.cells.front().options), "'"));
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
  QTIPD_ASSIGN_OR_RETURN(const std::vector<DistortionCell> cells, ChooseCells(suite, only));
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

}  // namespace qtipd
