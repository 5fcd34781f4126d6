// qtipctl suite list | run NAME [--size N] [--only TEXT] [--out DIR]
#include <filesystem>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/benchmark.h"
#include "client/commands/commands.h"
#include "client/distortion.h"
#include "client/operation_wait.h"
#include "client/present.h"
#include "client/rpc_status.h"
#include "client/run_view.h"
#include "client/suite.h"
#include "client/suite_files.h"

namespace qtipd {
namespace {

absl::StatusOr<int> List(Session& session) {
  Table table({{"suite", "suite"}, {"about", "about"}});
  nlohmann::ordered_json suites = nlohmann::ordered_json::array();
  for (const SuiteSource& source : BuiltinSuites()) {
    QTIPD_ASSIGN_OR_RETURN(const Suite suite, ParseSuite(source));
    table.AddRow({suite.name, suite.summary});
    suites.push_back({{"name", suite.name}, {"summary", suite.summary}});
  }
  if (session.is_json()) {
    session.PrintJson({{"suites", suites}});
  } else {
    session.Print(table);
  }
  return kExitDone;
}

// The smallest that a format takes today; above it the daemon says what its formats take.
constexpr int64_t kMinSize = 32;

struct RunFlags {
  std::string name;
  std::optional<int64_t> size;  // else the suite's own
  std::string only;             // part of the cells' texts; empty: all
  std::string out = "results";
};

// The device that the suite runs on, so that all its parts use the same one.
absl::StatusOr<v1::Device> ChooseDevice(Session& session, Connection& connection) {
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

absl::StatusOr<v1::Artifact> Quantize(Session& session, Connection& connection,
                                      v1::StartQuantizeRequest request) {
  request.set_request_id(NewRequestId());
  QTIPD_ASSIGN_OR_RETURN(const Operation started,
                         connection.Call(&v1::QtipService::Stub::StartQuantize, request));
  return AwaitResult<v1::Artifact>(session, connection, started);
}

absl::StatusOr<SuiteResults> Measure(Session& session, Connection& connection, const Suite& suite) {
  SuiteResults results;
  QTIPD_ASSIGN_OR_RETURN(results.device, ChooseDevice(session, connection));
  for (int64_t bits : suite.bits) {
    v1::StartQuantizeRequest request = SuiteQuantizeRequest(suite, bits);
    request.set_device(results.device.id());
    QTIPD_ASSIGN_OR_RETURN(results.artifacts.emplace_back(),
                           Quantize(session, connection, request));
  }
  for (const v1::Artifact& artifact : results.artifacts) {
    v1::StartBenchmarkRequest request = suite.benchmark;
    request.set_artifact(artifact.name());
    request.set_device(results.device.id());
    QTIPD_ASSIGN_OR_RETURN(results.runs.emplace_back(), RunBenchmark(session, connection, request));
  }
  return results;
}

// Every matrix of a cell is deleted again: only its error is wanted.
absl::StatusOr<DistortionResult> MeasureCell(Session& session, Connection& connection,
                                             const Suite& suite, const DistortionCell& cell,
                                             const std::string& device) {
  DistortionResult result{.cell = cell};
  for (int64_t i = 0; i < suite.matrices; ++i) {
    v1::StartQuantizeRequest request = DistortionQuantizeRequest(suite, cell, i);
    request.set_device(device);
    const absl::StatusOr<v1::Artifact> artifact = Quantize(session, connection, request);
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

absl::StatusOr<int> RunDistortion(Session& session, const Suite& suite, const RunFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(const std::vector<DistortionCell> cells, ChooseCells(suite, flags.only));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const v1::Device device, ChooseDevice(session, *connection));
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
      std::filesystem::path(flags.out) / FolderName(device.name()) / "distortion.csv";
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

absl::StatusOr<int> Run(Session& session, const RunFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(Suite suite, FindSuite(flags.name));
  if (flags.size && *flags.size < kMinSize) {
    return UsageError("--size", std::to_string(*flags.size),
                      absl::StrCat("at least ", kMinSize, ", and a size that the format takes"));
  }
  suite.size = flags.size.value_or(suite.size);
  if (!suite.cells.empty() || !flags.only.empty()) return RunDistortion(session, suite, flags);
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const SuiteResults results, Measure(session, *connection, suite));
  QTIPD_ASSIGN_OR_RETURN(const std::vector<std::string> files, WriteSuiteFiles(results, flags.out));
  if (session.is_json()) {
    nlohmann::ordered_json json = {{"suite", suite.name}, {"files", files}};
    json["device"] = ToJson(results.device);
    json.update(ToJsonList("artifacts", results.artifacts));
    json.update(ToJsonList("runs", results.runs));
    session.PrintJson(json);
  } else {
    PresentRuns(session, results.runs);
    session.PrintNote(absl::StrCat("\nwritten: ", absl::StrJoin(files, ", ")));
    session.PrintNote(absl::StrCat("kept for the next run: suite/", suite.name, "/", suite.size,
                                   "/k*, see 'qtipctl artifacts list'"));
  }
  return JudgeRuns(session, results.runs);
}

}  // namespace

void AddSuiteCommand(CLI::App& root, Action& action) {
  CLI::App* verb = AddVerb(root, "suite", "Whole benchmarks, kept as data");
  verb->require_subcommand(1);
  AddVerb(*verb, "list", "All of them")->callback([&action] { action = List; });
  auto flags = std::make_shared<RunFlags>();
  CLI::App* run = AddVerb(*verb, "run", "Quantize, measure, print, and write CSV files");
  run->add_option("NAME", flags->name, "The suite's name")->required();
  run->add_option("--size", flags->size, "out_features and in_features, instead of the suite's");
  run->add_option("--only", flags->only, "Of distortion, the cells whose text contains this");
  run->add_option("--out", flags->out, "Files go to DIR/<device name>/")->capture_default_str();
  run->callback(
      [&action, flags] { action = [flags](Session& session) { return Run(session, *flags); }; });
}

}  // namespace qtipd
