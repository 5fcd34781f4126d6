// qtipctl health: the standard health check, exit code 1 unless the daemon serves
#include "client/commands/commands.h"
#include "client/rpc_status.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

absl::StatusOr<Reply> Check(Connection& connection) {
  QTIPD_ASSIGN_OR_RETURN(
      const HealthCheckResponse response,
      connection.Call(connection.health(), &Health::Stub::Check, HealthCheckRequest()));
  Table table(std::vector<Column>{{"health", "health"}});
  table.AddRow({HealthCheckResponse::ServingStatus_Name(response.status())});
  const bool is_serving = response.status() == HealthCheckResponse::SERVING;
  return Reply{ToJson(response), std::move(table), is_serving ? kExitDone : kExitCheckFailed};
}

}  // namespace

void AddHealthCommand(CLI::App& root, Action& action) {
  AddVerb(root, "health", "Whether the daemon serves; exit code 1 if not")->callback([&action] {
    action = [](Session& session) { return ReadFromTargets(session, Check); };
  });
}

}  // namespace qtipd
