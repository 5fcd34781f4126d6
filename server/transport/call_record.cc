#include "server/transport/call_record.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "kernels/api/error.h"
#include "server/base/log_text.h"
#include "server/transport/status_conversion.h"

namespace qtipd {

CallRecord::CallRecord(const RpcEnvironment& environment, RpcName name,
                       const grpc::CallbackServerContext& context)
    : environment_(environment),
      name_(std::move(name)),
      context_(context),
      peer_(context.peer()),
      start_seconds_(environment.clock.MonotonicSeconds()) {
  environment_.metrics.RpcStarted(name_);
}

CallContext CallRecord::Context() const {
  CallContext context;
  const auto deadline = context_.deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) context.deadline = deadline;
  context.is_cancelled = [this] { return context_.IsCancelled(); };
  context.peer = peer_;
  return context;
}

grpc::Status CallRecord::Finish(const absl::Status& status) {
  const double seconds = environment_.clock.MonotonicSeconds() - start_seconds_;
  grpc::Status converted = ToGrpc(status);
  const std::string code = GrpcCodeName(converted.error_code());
  environment_.metrics.RpcHandled(name_, code, seconds);
  spdlog::info("rpc_finished method={} peer={} seconds={:.6f} code={} {}", name_.method, peer_,
               seconds, code, LogStatus(status));
  return converted;
}

grpc::Status CallRecord::FinishCancelled() {
  absl::Status why = Context().Check();
  if (why.ok()) {
    why = MakeError(absl::StatusCode::kCancelled, "CALL_CANCELLED", "the client left the call");
  }
  return Finish(why);
}

}  // namespace qtipd
