// A daemon within the test's process that answers at once, with made-up figures or as it is told.
#ifndef QTIPD_TESTS_CLIENT_FAKE_DAEMON_H_
#define QTIPD_TESTS_CLIENT_FAKE_DAEMON_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "client/rpc_status.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "qtipd/v1/qtip_service.grpc.pb.h"
#include "tests/client/sample_runs.h"

namespace qtipd {

// One GPU, "cuda:0". Every operation that it starts is done. One client calls at a time.
class FakeDaemon : public v1::QtipService::Service {
 public:
  FakeDaemon() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    target_ = "127.0.0.1:" + std::to_string(port);
  }
  ~FakeDaemon() override { server_->Shutdown(); }

  const std::string& target() const { return target_; }

  std::string commit = "1a2b3c4d5e6f";
  int benchmarks = 0;                    // that were started
  std::map<int, absl::Status> failures;  // of benchmarks, by number
  std::function<void(int)> on_benchmark = [](int) {};
  absl::Status profile_failure;

 private:
  using Operation = google::longrunning::Operation;

  static void Finish(const google::protobuf::Message& resource, Operation* operation) {
    operation->set_name("operations/1");
    operation->set_done(true);
    operation->mutable_response()->PackFrom(resource);
  }
  static void Fail(const absl::Status& status, Operation* operation) {
    operation->set_name("operations/1");
    operation->set_done(true);
    *operation->mutable_error() = ToRpcStatus(status);
  }

  grpc::Status GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                             v1::ServerInfo* info) override {
    info->set_git_commit(commit);
    return grpc::Status::OK;
  }
  grpc::Status ListDevices(grpc::ServerContext*, const v1::ListDevicesRequest*,
                           v1::ListDevicesResponse* response) override {
    v1::Device& device = *response->add_devices();
    device.set_id("cuda:0");
    device.set_name("Some GPU");
    device.set_healthy(true);
    return grpc::Status::OK;
  }
  grpc::Status StartQuantize(grpc::ServerContext*, const v1::StartQuantizeRequest* request,
                             Operation* operation) override {
    v1::Artifact artifact;
    artifact.set_name(request->name());
    artifact.set_bits_per_weight(2.01);
    Finish(artifact, operation);
    return grpc::Status::OK;
  }
  grpc::Status StartBenchmark(grpc::ServerContext*, const v1::StartBenchmarkRequest* request,
                              Operation* operation) override {
    const int number = benchmarks++;
    on_benchmark(number);
    if (const auto failure = failures.find(number); failure != failures.end()) {
      Fail(failure->second, operation);
      return grpc::Status::OK;
    }
    v1::Run run = SampleRun(request->artifact(), 2);
    run.set_id(std::to_string(number));
    Finish(run, operation);
    return grpc::Status::OK;
  }
  grpc::Status StartProfile(grpc::ServerContext*, const v1::StartProfileRequest*,
                            Operation* operation) override {
    if (!profile_failure.ok()) {
      Fail(profile_failure, operation);
      return grpc::Status::OK;
    }
    v1::Profile profile;
    for (const auto& [name, percent] : std::map<std::string, double>{
             {"sm__throughput.avg.pct_of_peak_sustained_elapsed", 25},
             {"dram__throughput.avg.pct_of_peak_sustained_elapsed", 75}}) {
      v1::MetricValue& metric = *profile.add_metrics();
      metric.set_name(name);
      metric.set_value(percent);
    }
    Finish(profile, operation);
    return grpc::Status::OK;
  }

  std::unique_ptr<grpc::Server> server_;
  std::string target_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_CLIENT_FAKE_DAEMON_H_
