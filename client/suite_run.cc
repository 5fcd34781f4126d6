#include "client/suite_run.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/distortion.h"
#include "client/interrupt.h"
#include "client/operation_wait.h"
#include "client/progress.h"
#include "client/rpc_status.h"
#include "client/suite_extent.h"
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

// Cells that were not reached have neither errors nor a status.
SuiteExtent ExtentOf(const std::vector<DistortionResult>& results, const absl::Status& end) {
  return {.finished = std::ranges::count_if(results,
                                            [](const DistortionResult& result) {
                                              return !result.errors.empty() || !result.status.ok();
                                            }),
          .total = std::ssize(results),
          .unit = "cells",
          .end = end};
}

absl::Status WriteCells(const std::filesystem::path& file,
                        const std::vector<DistortionResult>& results) {
  return WriteTextFile(file, RenderTable(DistortionTable(results), OutputFormat::kCsv));
}

// Measures one cell after the other and writes `file` after each. The cells keep what they got
// whatever ends it.
absl::Status MeasureCells(Session& session, Connection& connection, const Suite& suite,
                          const std::string& device, const std::filesystem::path& file,
                          std::vector<DistortionResult>& results) {
  const InterruptScope interrupt;  // also between the operations
  for (DistortionResult& result : results) {
    const std::string text = OptionsText(result.cell.options);
    if (interrupt.WasInterrupted()) return InterruptedByUser(text, "it was not begun");
    QTIPD_ASSIGN_OR_RETURN(result, MeasureCell(session, connection, suite, result.cell, device));
    if (!result.status.ok()) {
      session.err() << text << " was not measured: " << ErrorLine(result.status).substr(7) << "\n";
    }
    QTIPD_RETURN_IF_ERROR(WriteCells(file, results));
    const SuiteExtent extent = ExtentOf(results, absl::OkStatus());
    TellPart(session.err(), IsStderrTerminal(), extent.finished, extent.total, text);
  }
  return absl::OkStatus();
}

nlohmann::ordered_json DistortionJson(const Suite& suite, const v1::Device& device,
                                      const std::vector<DistortionResult>& results,
                                      const SuiteExtent& extent) {
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
  nlohmann::ordered_json json = {{"suite", suite.name}};
  json.update(ExtentJson(extent));
  json["device"] = ToJson(device);
  json["cells"] = cells;
  return json;
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
  for (const DistortionCell& cell : cells) results.push_back({.cell = cell});
  const std::filesystem::path file =
      std::filesystem::path(out) / FolderName(device.name()) / "distortion.csv";
  const absl::Status end = MeasureCells(session, *connection, suite, device.id(), file, results);
  const SuiteExtent extent = ExtentOf(results, end);
  if (extent.finished == 0) return end;
  const absl::Status written = WriteCells(file, results);
  if (session.is_json()) {
    session.PrintJson(DistortionJson(suite, device, results, extent));
  } else {
    if (extent.is_partial()) session.PrintNote(PartialText(extent) + "\n");
    session.Print(DistortionTable(results));
    if (written.ok()) session.PrintNote(absl::StrCat("\nwritten: ", file.string()));
  }
  QTIPD_RETURN_IF_ERROR(end);
  QTIPD_RETURN_IF_ERROR(written);
  return DistortionExitCode(results);
}

}  // namespace qtipd
