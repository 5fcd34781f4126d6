// qtipctl runs list | show ID
#include <memory>

#include "client/commands/commands.h"
#include "client/pages.h"
#include "client/rpc_status.h"
#include "client/run_view.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

using Stub = v1::QtipService::Stub;

absl::StatusOr<Reply> List(Connection& connection) {
  v1::ListRunsRequest request;
  request.set_page_size(1000);
  QTIPD_ASSIGN_OR_RETURN(const std::vector<v1::Run> runs,
                         ListAll<v1::Run>(
                             connection, connection.qtip(), &Stub::ListRuns, request,
                             [](const auto& page) -> auto& { return page.runs(); }));
  return Reply{ToJsonList("runs", runs), RunTable(runs)};
}

struct ShowFlags {
  std::string id;
  bool samples = false;
};

absl::StatusOr<int> Show(Session& session, const ShowFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  v1::GetRunRequest request;
  request.set_id(flags.id);
  QTIPD_ASSIGN_OR_RETURN(const v1::Run run, connection->Call(&Stub::GetRun, request));
  if (session.is_json()) {
    session.PrintJson(ToJson(run));
    return kExitDone;
  }
  // CSV holds one table: the samples if they were asked for, else the results.
  if (session.options().output == OutputFormat::kCsv) {
    session.Print(flags.samples ? SampleTable(run) : ResultTable({run}));
    return kExitDone;
  }
  session.Print(RunDetails(run));
  session.PrintNote("");
  session.Print(ResultTable({run}));
  if (const Table steps = StepTable({run}); !steps.empty()) {
    session.PrintNote("");
    session.Print(steps);
  }
  if (flags.samples) {
    session.PrintNote("");
    session.Print(SampleTable(run));
  }
  return kExitDone;
}

}  // namespace

void AddRunsCommand(CLI::App& root, Action& action) {
  CLI::App* verb = AddVerb(root, "runs", "What was measured before");
  verb->require_subcommand(1);
  AddVerb(*verb, "list", "All of them, newest first")->callback([&action] {
    action = [](Session& session) { return ReadFromTargets(session, List); };
  });
  auto flags = std::make_shared<ShowFlags>();
  CLI::App* show = AddVerb(*verb, "show", "One with its environment, results and steps");
  show->add_option("ID", flags->id, "The run's id")->required();
  show->add_flag("--samples", flags->samples, "Every sample too");
  show->callback(
      [&action, flags] { action = [flags](Session& session) { return Show(session, *flags); }; });
}

}  // namespace qtipd
