#include "client/rate_suite.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/benchmark.h"
#include "client/interrupt.h"
#include "client/output.h"
#include "client/present.h"
#include "client/progress.h"
#include "client/suite_extent.h"
#include "client/suite_files.h"
#include "client/suite_run.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

absl::Status Quantize(Session& session, Connection& connection, const Suite& suite,
                      SuiteResults& results) {
  for (const int64_t bits : suite.bits) {
    v1::StartQuantizeRequest request = SuiteQuantizeRequest(suite, bits);
    request.set_device(results.device.id());
    QTIPD_ASSIGN_OR_RETURN(v1::Artifact artifact, QuantizeForSuite(session, connection, request));
    results.artifacts.push_back(std::move(artifact));
  }
  return absl::OkStatus();
}

// Everything, with the files written after each run. The results keep what they got whatever ends
// it.
absl::Status Measure(Session& session, Connection& connection, const Suite& suite,
                     const std::string& out, SuiteResults& results) {
  const InterruptScope interrupt;  // also between the operations
  QTIPD_RETURN_IF_ERROR(Quantize(session, connection, suite, results));
  for (const v1::Artifact& artifact : results.artifacts) {
    if (interrupt.WasInterrupted()) return InterruptedByUser(artifact.name(), "it was not begun");
    v1::StartBenchmarkRequest request = suite.benchmark;
    request.set_artifact(artifact.name());
    request.set_device(results.device.id());
    QTIPD_ASSIGN_OR_RETURN(v1::Run run, RunBenchmark(session, connection, request));
    results.runs.push_back(std::move(run));
    QTIPD_RETURN_IF_ERROR(WriteSuiteFiles(results, out).status());
    TellPart(session.err(), IsStderrTerminal(), std::ssize(results.runs),
             std::ssize(results.artifacts), artifact.name());
  }
  return absl::OkStatus();
}

void Present(Session& session, const Suite& suite, const SuiteResults& results,
             const SuiteExtent& extent, const std::vector<std::string>& files) {
  if (session.is_json()) {
    nlohmann::ordered_json json = {{"suite", suite.name}, {"files", files}};
    json.update(ExtentJson(extent));
    json["device"] = ToJson(results.device);
    json.update(ToJsonList("artifacts", results.artifacts));
    json.update(ToJsonList("runs", results.runs));
    return session.PrintJson(json);
  }
  if (extent.is_partial()) session.PrintNote(PartialText(extent) + "\n");
  PresentRuns(session, results.runs);
  if (!files.empty()) session.PrintNote(absl::StrCat("\nwritten: ", absl::StrJoin(files, ", ")));
  session.PrintNote(absl::StrCat("kept for the next run: suite/", suite.name, "/", suite.size,
                                 "/k*, see 'qtipctl artifacts list'"));
}

}  // namespace

absl::StatusOr<int> RunRateSuite(Session& session, const Suite& suite, const std::string& out) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  SuiteResults results{.bits = suite.bits};
  QTIPD_ASSIGN_OR_RETURN(results.device, ChooseSuiteDevice(session, *connection));
  const absl::Status end = Measure(session, *connection, suite, out, results);
  if (results.artifacts.empty()) return end;
  const SuiteExtent extent = {.finished = std::ssize(results.runs),
                              .total = std::ssize(results.bits),
                              .unit = "rates",
                              .end = end};
  const absl::StatusOr<std::vector<std::string>> files = WriteSuiteFiles(results, out);
  Present(session, suite, results, extent, files.ok() ? *files : std::vector<std::string>());
  const int code = JudgeRuns(session, results.runs);
  QTIPD_RETURN_IF_ERROR(end);
  QTIPD_RETURN_IF_ERROR(files.status());
  return code;
}

}  // namespace qtipd
