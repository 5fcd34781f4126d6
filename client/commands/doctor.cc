// qtipctl doctor: what would spoil a measurement or stop a profile, and the command that mends it
#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/finding_view.h"
#include "client/rpc_status.h"
#include "client/target_probe.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

// How long the port of a daemon that does not answer is tried.
constexpr absl::Duration kProbeLimit = absl::Seconds(2);

struct Diagnosis {
  std::string target;
  std::vector<v1::Finding> findings;
  absl::Status status;  // not OK: the daemon did not answer, and the findings are of the target
};

absl::StatusOr<std::vector<v1::Finding>> Ask(Session& session, const std::string& target) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.Connect(target));
  v1::RunDoctorRequest request;
  request.set_device(session.options().device);
  QTIPD_ASSIGN_OR_RETURN(const v1::RunDoctorResponse response,
                         connection->Call(&v1::QtipService::Stub::RunDoctor, request));
  return std::vector<v1::Finding>(response.findings().begin(), response.findings().end());
}

Diagnosis Examine(Session& session, const std::string& target) {
  auto findings = Ask(session, target);
  if (findings.ok()) return {target, *std::move(findings), absl::OkStatus()};
  Diagnosis diagnosis{target, {}, findings.status()};
  // Others came from a daemon that answered: nothing is wrong with the way to it.
  if (GetErrorInfo(findings.status()).reason == "TARGET_UNREACHABLE") {
    diagnosis.findings = ProbeTarget(target, std::min(kProbeLimit, session.options().timeout));
  }
  return diagnosis;
}

nlohmann::ordered_json AsJson(const Diagnosis& diagnosis, bool is_fan_out) {
  nlohmann::ordered_json json;
  if (is_fan_out) json["target"] = diagnosis.target;
  json.update(ToJsonList("findings", diagnosis.findings));
  return json;
}

void PrintAll(Session& session, const std::vector<Diagnosis>& all, bool is_all) {
  const bool is_fan_out = all.size() > 1;
  if (session.is_json()) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Diagnosis& diagnosis : all) list.push_back(AsJson(diagnosis, is_fan_out));
    session.PrintJson(is_fan_out ? nlohmann::ordered_json{{"targets", list}} : list[0]);
    return;
  }
  if (session.options().output == OutputFormat::kTable) {
    for (const Diagnosis& diagnosis : all) {
      if (is_fan_out) session.out() << diagnosis.target << "\n";
      session.out() << FindingText(diagnosis.findings, is_all || !diagnosis.status.ok());
    }
    return;
  }
  Table whole = FindingTable({}, is_all);
  if (is_fan_out) whole.Prepend({"target", "target"}, "");
  for (const Diagnosis& diagnosis : all) {
    Table table = FindingTable(diagnosis.findings, is_all || !diagnosis.status.ok());
    if (is_fan_out) table.Prepend({"target", "target"}, diagnosis.target);
    whole.Append(table);
  }
  session.Print(whole);
}

int ExitCode(const Diagnosis& diagnosis) {
  if (!diagnosis.status.ok()) return kExitError;
  const bool has_problem = std::any_of(
      diagnosis.findings.begin(), diagnosis.findings.end(),
      [](const v1::Finding& finding) { return finding.severity() == v1::SEVERITY_PROBLEM; });
  return has_problem ? kExitCheckFailed : kExitDone;
}

absl::StatusOr<int> Doctor(Session& session, bool is_all) {
  std::vector<Diagnosis> all;
  int exit_code = kExitDone;
  for (const std::string& target : session.options().targets) {
    all.push_back(Examine(session, target));
    exit_code = std::max(exit_code, ExitCode(all.back()));
    if (!all.back().status.ok()) session.PrintError(all.back().status);
  }
  const bool has_findings = std::any_of(all.begin(), all.end(), [](const Diagnosis& diagnosis) {
    return diagnosis.status.ok() || !diagnosis.findings.empty();
  });
  if (has_findings) PrintAll(session, all, is_all);
  return exit_code;
}

}  // namespace

void AddDoctorCommand(CLI::App& root, Action& action) {
  CLI::App* verb = AddVerb(root, "doctor",
                           "What on the host would spoil a measurement or stop a profile, and the "
                           "command that mends it; exit code 1 with a problem");
  const auto is_all = std::make_shared<bool>(false);
  verb->add_flag("--all", *is_all, "Show what is well too");
  verb->callback([&action, is_all] {
    action = [is_all](Session& session) { return Doctor(session, *is_all); };
  });
}

}  // namespace qtipd
