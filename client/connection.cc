#include "client/connection.h"

#include <utility>

#include "absl/time/clock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

// A run with every sample of many cells is larger than gRPC's default of 4 MiB.
constexpr int kMaxResponseBytes = 64 << 20;

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return arguments;
}

}  // namespace

Connection::Connection(std::string target, std::shared_ptr<grpc::Channel> channel,
                       absl::Duration call_timeout)
    : target_(std::move(target)),
      call_timeout_(call_timeout),
      qtip_(v1::QtipService::NewStub(channel)),
      operations_(Operations::NewStub(channel)),
      health_(grpc::health::v1::Health::NewStub(channel)) {}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& target,
                                                             absl::Duration connect_timeout,
                                                             absl::Duration call_timeout) {
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), Arguments());
  if (!channel->WaitForConnected(absl::ToChronoTime(absl::Now() + connect_timeout))) {
    return FieldError(
        absl::StatusCode::kUnavailable, "TARGET_UNREACHABLE", "target", target,
        "a running qtipd (none answered within " + absl::FormatDuration(connect_timeout) + ")");
  }
  return std::unique_ptr<Connection>(new Connection(target, std::move(channel), call_timeout));
}

void Connection::SetDeadline(grpc::ClientContext& context) const {
  context.set_deadline(absl::ToChronoTime(absl::Now() + call_timeout_));
}

}  // namespace qtipd
