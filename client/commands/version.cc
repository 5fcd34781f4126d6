// qtipctl version: of this client always, of the daemons where they answer
#include "client/build_info.h"
#include "client/commands/commands.h"
#include "client/rpc_status.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

// Nobody waits longer to learn a version.
constexpr absl::Duration kPatience = absl::Seconds(2);

absl::StatusOr<v1::ServerInfo> AskServer(Session& session, const std::string& target) {
  const auto connection = session.Connect(target, kPatience);
  if (!connection.ok()) return connection.status();
  return (*connection)->Call(&v1::QtipService::Stub::GetServerInfo, v1::GetServerInfoRequest());
}

absl::StatusOr<int> Version(Session& session) {
  const std::string version(ClientVersion());
  const std::string commit(ClientGitCommit());
  Table table({{"program", "program"}, {"version", "version"}, {"commit", "git_commit"}});
  table.AddRow({"qtipctl", version, commit});
  nlohmann::ordered_json json = {{"version", version}, {"gitCommit", commit}};
  json["servers"] = nlohmann::ordered_json::array();
  for (const std::string& target : session.options().targets) {
    const absl::StatusOr<v1::ServerInfo> info = AskServer(session, target);
    if (info.ok()) {
      table.AddRow({"qtipd at " + target, info->version(), info->git_commit()});
      json["servers"].push_back(
          {{"target", target}, {"version", info->version()}, {"gitCommit", info->git_commit()}});
    } else {
      table.AddRow({"qtipd at " + target, Absent(), GetErrorInfo(info.status()).reason});
      json["servers"].push_back(
          {{"target", target}, {"error", ToJson(ToRpcStatus(info.status()))}});
    }
  }
  if (session.is_json()) {
    session.PrintJson(json);
  } else {
    session.Print(table);
  }
  return kExitDone;
}

}  // namespace

void AddVersionCommand(CLI::App& root, Action& action) {
  AddVerb(root, "version", "Of this client, and of the daemon if it answers")->callback([&action] {
    action = Version;
  });
}

}  // namespace qtipd
