// qtipctl jobs list | watch ID | cancel ID
#include <memory>

#include "client/commands/commands.h"
#include "client/operation_wait.h"
#include "client/pages.h"
#include "client/present.h"
#include "client/rpc_status.h"
#include "client/units.h"

namespace qtipd {
namespace {

// An operation without its envelope: what -o json prints of it.
nlohmann::ordered_json JobJson(const Operation& operation) {
  v1::OperationMetadata metadata;
  operation.metadata().UnpackTo(&metadata);
  nlohmann::ordered_json json = {{"id", operation.name().substr(operation.name().find('/') + 1)}};
  json.update(ToJson(metadata));
  if (operation.has_error()) json["error"] = ToJson(operation.error());
  return json;
}

Table JobTable(const std::vector<Operation>& operations) {
  Table table({{"job", "job"},
               {"kind", "kind"},
               {"artifact", "artifact"},
               {"device", "device"},
               {"state", "state"},
               {"progress", "progress", Align::kRight},
               {"stage", "stage"},
               {"created", "create_time"},
               {"updated", "update_time"},
               {"error", "error"}});
  for (const Operation& operation : operations) {
    v1::OperationMetadata metadata;
    operation.metadata().UnpackTo(&metadata);
    const std::string reason =
        operation.has_error() ? GetErrorInfo(FromRpcStatus(operation.error())).reason : "";
    table.AddRow({operation.name().substr(operation.name().find('/') + 1), metadata.kind(),
                  metadata.target(), metadata.device(), v1::OperationState_Name(metadata.state()),
                  Cell(FormatPercent(metadata.progress()), ExactNumber(metadata.progress())),
                  metadata.stage(), FormatTime(metadata.create_time()),
                  FormatTime(metadata.update_time()), reason});
  }
  return table;
}

absl::StatusOr<Reply> List(Connection& connection) {
  google::longrunning::ListOperationsRequest request;
  request.set_page_size(1000);
  QTIPD_ASSIGN_OR_RETURN(const std::vector<Operation> operations,
                         ListAll<Operation>(
                             connection, connection.operations(), &Operations::Stub::ListOperations,
                             request, [](const auto& page) -> auto& { return page.operations(); }));
  nlohmann::ordered_json jobs = nlohmann::ordered_json::array();
  for (const Operation& operation : operations) jobs.push_back(JobJson(operation));
  return Reply{{{"jobs", std::move(jobs)}}, JobTable(operations)};
}

absl::StatusOr<Operation> Get(Connection& connection, const std::string& id) {
  google::longrunning::GetOperationRequest request;
  request.set_name(OperationName(id));
  return connection.Call(connection.operations(), &Operations::Stub::GetOperation, request);
}

void PrintJob(Session& session, const Operation& operation) {
  if (session.is_json()) {
    session.PrintJson(JobJson(operation));
  } else {
    session.Print(JobTable({operation}));
  }
}

absl::StatusOr<int> Watch(Session& session, const std::string& id) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const Operation started, Get(*connection, id));
  QTIPD_ASSIGN_OR_RETURN(const Operation done,
                         AwaitOperation(session, *connection, started, OnInterrupt::kLeaveRunning));
  if (v1::Run run; done.response().UnpackTo(&run)) {
    PresentRuns(session, {run});
    return JudgeRuns(session, {run});
  }
  if (v1::Profile profile; done.response().UnpackTo(&profile)) {
    PresentProfile(session, profile);
    return kExitDone;
  }
  if (v1::Artifact artifact; done.response().UnpackTo(&artifact)) {
    PresentArtifact(session, artifact);
  } else {
    PrintJob(session, done);
  }
  return kExitDone;
}

absl::StatusOr<int> CancelJob(Session& session, const std::string& id) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  google::longrunning::CancelOperationRequest request;
  request.set_name(OperationName(id));
  QTIPD_RETURN_IF_ERROR(
      connection->Call(connection->operations(), &Operations::Stub::CancelOperation, request)
          .status());
  QTIPD_ASSIGN_OR_RETURN(const Operation operation, Get(*connection, id));
  PrintJob(session, operation);
  return kExitDone;
}

}  // namespace

void AddJobsCommand(CLI::App& root, Action& action) {
  CLI::App* verb = AddVerb(root, "jobs", "Work that the daemon does or has done");
  verb->require_subcommand(1);
  AddVerb(*verb, "list", "All of it, newest first")->callback([&action] {
    action = [](Session& session) { return ReadFromTargets(session, List); };
  });
  const auto add = [&](const std::string& name, const std::string& help, auto run) {
    auto id = std::make_shared<std::string>();
    CLI::App* sub = AddVerb(*verb, name, help);
    sub->add_option("ID", *id, "The job's id")->required();
    sub->callback(
        [&action, id, run] { action = [id, run](Session& session) { return run(session, *id); }; });
  };
  add("watch", "Follow one to its end and print what it made; Ctrl-C leaves it running", Watch);
  add("cancel", "Ask for one to stop; it does between two tiles or samples", CancelJob);
}

}  // namespace qtipd
