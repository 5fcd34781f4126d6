#include "server/transport/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <mutex>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/transport/io_pool.h"
#include "server/transport/listen_address.h"
#include "server/transport/operations_service.h"
#include "server/transport/qtip_service.h"
#include "server/transport/unknown_method.h"

namespace qtipd {
namespace {

constexpr char kField[] = "listen";
constexpr int kIoThreads = 4;
constexpr int kMaxReceiveBytes = 16 << 20;
constexpr size_t kBufferQuotaBytes = size_t{256} << 20;

// Dead clients are noticed within 80 s; live ones may ping every 10 s, also on an idle connection
// (gRPC's default would answer that with "too many pings").
void SetChannelArguments(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  builder.SetResourceQuota(grpc::ResourceQuota("qtipd").Resize(kBufferQuotaBytes));
}

class GrpcServerImpl final : public GrpcServer {
 public:
  explicit GrpcServerImpl(const RpcEnvironment& environment)
      : io_(kIoThreads), environment_(environment), qtip_(environment_), operations_(environment_) {
    environment_.io = &io_;
  }

  ~GrpcServerImpl() override { Stop(std::chrono::milliseconds(0)); }

  absl::Status Listen(ListenAddress address) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    SetChannelArguments(builder);
    int port = 0;
    builder.AddListeningPort(address.Text(), grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&qtip_);
    builder.RegisterService(&operations_);
    builder.RegisterCallbackGenericService(&unknown_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      server_.reset();
      return WhyNotListening(address, kField);
    }
    address.port = port;
    address_ = address.Text();
    SetServing(false);
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

  void SetServing(bool is_serving) override {
    grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
    health->SetServingStatus(is_serving);  // "" and every service that was named before
    health->SetServingStatus(v1::QtipService::service_full_name(), is_serving);
    health->SetServingStatus(google::longrunning::Operations::service_full_name(), is_serving);
  }

  void Stop(std::chrono::milliseconds grace) override {
    std::lock_guard lock(stop_mutex_);
    if (server_ == nullptr || is_stopped_) return;
    is_stopped_ = true;
    server_->Shutdown(std::chrono::system_clock::now() + grace);
    server_->Wait();
  }

 private:
  // In the order of need: the server goes first, then what its calls use.
  IoPool io_;
  RpcEnvironment environment_;
  QtipServiceImpl qtip_;
  OperationsService operations_;
  UnknownMethodService unknown_;
  std::string address_;
  std::mutex stop_mutex_;
  bool is_stopped_ = false;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const std::string& listen,
                                                              const RpcEnvironment& environment) {
  QTIPD_ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(listen, kField));
  QTIPD_RETURN_IF_ERROR(CheckLoopback(address, kField));
  auto server = std::make_unique<GrpcServerImpl>(environment);
  QTIPD_RETURN_IF_ERROR(server->Listen(address));
  return server;
}

}  // namespace qtipd
