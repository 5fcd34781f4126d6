// qtipctl artifacts list | show NAME | delete NAME | load NAME | unload NAME
#include <memory>

#include "client/artifact_view.h"
#include "client/commands/commands.h"
#include "client/operation_wait.h"
#include "client/pages.h"
#include "client/rpc_status.h"

namespace qtipd {
namespace {

using Stub = v1::QtipService::Stub;

absl::StatusOr<Reply> List(Connection& connection) {
  v1::ListArtifactsRequest request;
  request.set_page_size(1000);
  QTIPD_ASSIGN_OR_RETURN(const std::vector<v1::Artifact> artifacts,
                         ListAll<v1::Artifact>(
                             connection, connection.qtip(), &Stub::ListArtifacts, request,
                             [](const auto& page) -> auto& { return page.artifacts(); }));
  return Reply{ToJsonList("artifacts", artifacts), ArtifactTable(artifacts)};
}

void Print(Session& session, const v1::Artifact& artifact) {
  if (session.is_json()) {
    session.PrintJson(ToJson(artifact));
  } else {
    session.Print(ArtifactDetails(artifact));
  }
}

absl::StatusOr<int> Show(Session& session, const std::string& name) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  v1::GetArtifactRequest request;
  request.set_name(name);
  QTIPD_ASSIGN_OR_RETURN(const v1::Artifact artifact,
                         connection->Call(&Stub::GetArtifact, request));
  Print(session, artifact);
  return kExitDone;
}

struct DeleteFlags {
  std::string name;
  bool is_model = false;
};

absl::StatusOr<int> Delete(Session& session, const DeleteFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  v1::DeleteArtifactRequest request;
  request.set_name(flags.name);
  request.set_model(flags.is_model);
  QTIPD_ASSIGN_OR_RETURN(const v1::DeleteArtifactResponse response,
                         connection->Call(&Stub::DeleteArtifact, request));
  if (session.is_json()) session.PrintJson(ToJson(response));
  session.PrintNote((flags.is_model ? "deleted model " : "deleted ") + flags.name);
  return kExitDone;
}

// Load and unload: the same but for the call.
template <typename Request>
absl::StatusOr<int> Move(Session& session, const std::string& name,
                         grpc::Status (Stub::*start)(grpc::ClientContext*, const Request&,
                                                     Operation*)) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  Request request;
  request.set_name(name);
  request.set_device(session.options().device);
  QTIPD_ASSIGN_OR_RETURN(const Operation started, connection->Call(start, request));
  QTIPD_ASSIGN_OR_RETURN(const v1::Artifact artifact,
                         AwaitResult<v1::Artifact>(session, *connection, started));
  Print(session, artifact);
  return kExitDone;
}

void AddDeleteVerb(CLI::App& artifacts, Action& action) {
  auto flags = std::make_shared<DeleteFlags>();
  CLI::App* verb = AddVerb(artifacts, "delete", "Remove one for good");
  verb->add_option("NAME", flags->name, "The artefact's name")->required();
  verb->add_flag("--model", flags->is_model,
                 "Remove a model: every artefact whose name begins with NAME and a slash");
  verb->callback(
      [&action, flags] { action = [flags](Session& session) { return Delete(session, *flags); }; });
}

}  // namespace

void AddArtifactsCommand(CLI::App& root, Action& action) {
  CLI::App* verb = AddVerb(root, "artifacts", "Quantized matrices that the daemon keeps");
  verb->require_subcommand(1);
  AddVerb(*verb, "list", "All of them")->callback([&action] {
    action = [](Session& session) { return ReadFromTargets(session, List); };
  });
  const auto add = [&](const std::string& name, const std::string& help, auto run) {
    auto artifact = std::make_shared<std::string>();
    CLI::App* sub = AddVerb(*verb, name, help);
    sub->add_option("NAME", *artifact, "The artefact's name")->required();
    sub->callback([&action, artifact, run] {
      action = [artifact, run](Session& session) { return run(session, *artifact); };
    });
  };
  add("show", "Everything about one", Show);
  AddDeleteVerb(*verb, action);
  add("load", "Make one resident in a device's memory", [](Session& session, const auto& name) {
    return Move(session, name, &Stub::StartLoadArtifact);
  });
  add("unload", "Free the device memory of one", [](Session& session, const auto& name) {
    return Move(session, name, &Stub::StartUnloadArtifact);
  });
}

}  // namespace qtipd
