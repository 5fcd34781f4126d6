// qtipctl compare --baseline RUN --candidate RUN
#include <algorithm>
#include <memory>

#include "client/commands/commands.h"
#include "client/comparison.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

using Stub = v1::QtipService::Stub;

struct CompareFlags {
  std::string baseline;
  std::string candidate;
  double threshold = 0.01;
};

absl::StatusOr<v1::Run> GetRun(Connection& connection, const std::string& id) {
  v1::GetRunRequest request;
  request.set_id(id);
  return connection.Call(&Stub::GetRun, request);
}

nlohmann::ordered_json ComparisonJson(const CompareFlags& flags,
                                      const std::vector<CaseComparison>& cases) {
  auto list = nlohmann::ordered_json::array();
  for (const CaseComparison& one : cases) {
    nlohmann::ordered_json json = {{"path", one.path}, {"batch", one.batch}};
    if (one.baseline) json["baselineSeconds"] = one.baseline->latency().median();
    if (one.candidate) json["candidateSeconds"] = one.candidate->latency().median();
    if (one.baseline && one.candidate) json["ratio"] = one.ratio;
    json["verdict"] = VerdictName(one.verdict);
    list.push_back(std::move(json));
  }
  return {{"baseline", flags.baseline},
          {"candidate", flags.candidate},
          {"threshold", flags.threshold},
          {"cases", list}};
}

int ExitCode(const std::vector<CaseComparison>& cases) {
  const auto any = [&](Verdict verdict) {
    return std::any_of(cases.begin(), cases.end(),
                       [&](const CaseComparison& one) { return one.verdict == verdict; });
  };
  if (any(Verdict::kSlower) || any(Verdict::kFailed)) return kExitCheckFailed;
  return any(Verdict::kInconclusive) ? kExitInconclusive : kExitDone;
}

absl::StatusOr<int> Compare(Session& session, const CompareFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const v1::Run baseline, GetRun(*connection, flags.baseline));
  QTIPD_ASSIGN_OR_RETURN(const v1::Run candidate, GetRun(*connection, flags.candidate));
  QTIPD_ASSIGN_OR_RETURN(const std::vector<CaseComparison> cases,
                         CompareRuns(baseline, candidate, flags.threshold));
  if (session.is_json()) {
    session.PrintJson(ComparisonJson(flags, cases));
  } else {
    session.Print(ComparisonTable(cases));
  }
  return ExitCode(cases);
}

}  // namespace

void AddCompareCommand(CLI::App& root, Action& action) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* verb = AddVerb(root, "compare", "Whether one run is slower or faster than another");
  verb->add_option("--baseline", flags->baseline, "A run's id")->required();
  verb->add_option("--candidate", flags->candidate, "The id of the run to judge")->required();
  verb->add_option("--threshold", flags->threshold,
                   "Differences of medians up to this fraction are noise")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return Compare(session, *flags); };
  });
}

}  // namespace qtipd
