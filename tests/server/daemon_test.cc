// What surrounds the services: the order of the end, signals, logs, the service manager, backends.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <future>

#include "grpc/health/v1/health.grpc.pb.h"
#include "kernels/api/error.h"
#include "server/backends.h"
#include "server/build_info.h"
#include "server/logging.h"
#include "server/sd_notify.h"
#include "server/shutdown.h"
#include "server/signals.h"
#include "tests/server/transport/server_fixture.h"

namespace qtipd {
namespace {

class Shutdown : public ServerFixture {
 protected:
  grpc::health::v1::HealthCheckResponse::ServingStatus Health() {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckResponse response;
    const grpc::Status status =
        grpc::health::v1::Health::NewStub(channel_)->Check(&context, {}, &response);
    EXPECT_TRUE(status.ok());
    return response.status();
  }
  grpc::Status ListPaths() {
    grpc::ClientContext context;
    v1::ListPathsResponse response;
    return qtip_->ListPaths(&context, {}, &response);
  }
};

TEST_F(Shutdown, TellsBalancersFirstAndServesReadsWhileTheEngineDrains) {
  bool was_told = false;
  bool was_served = false;
  engine_.on_shutdown = [&] {
    was_told = Health() == grpc::health::v1::HealthCheckResponse::NOT_SERVING;
    was_served = ListPaths().ok();
  };
  StopInOrder(*server_, engine_, nullptr);
  EXPECT_TRUE(was_told);
  EXPECT_TRUE(was_served);
  EXPECT_TRUE(engine_.is_shut_down);
  EXPECT_EQ(ListPaths().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Shutdown, AWatcherSeesItsOperationEnd) {
  engine_.SetOperation(Operation("1", OperationState::kRunning));
  engine_.on_shutdown = [&] { engine_.SetOperation(Operation("1", OperationState::kCancelled)); };
  grpc::ClientContext context;
  v1::WatchOperationRequest request;
  request.set_name("operations/1");
  const auto reader = qtip_->WatchOperation(&context, request);
  google::longrunning::Operation operation;
  ASSERT_TRUE(reader->Read(&operation));
  StopInOrder(*server_, engine_, nullptr);
  while (reader->Read(&operation)) {
  }
  EXPECT_TRUE(operation.done());
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(Shutdown, MetricsOutliveGrpc) {
  auto http = HttpServer::Start("127.0.0.1:0",
                                HttpPages{[] { return std::string(); }, [] { return false; }});
  ASSERT_TRUE(http.ok());
  StopInOrder(*server_, engine_, http->get());
  // Its port is free again.
  EXPECT_TRUE(HttpServer::Start((*http)->address(), HttpPages{}).ok());
}

TEST(Watchdog, BarksOnlyWhenTimeIsUp) {
  std::promise<void> barked;
  {
    Watchdog patient(3600, [] { FAIL(); });
    Watchdog strict(0, [&] { barked.set_value(); });
    barked.get_future().wait();
  }
}

TEST(SignalThread, PassesSignalsOn) {
  std::promise<int> received;
  SignalThread signals([&](int signal) { received.set_value(signal); });
  kill(getpid(), SIGINT);
  EXPECT_EQ(received.get_future().get(), SIGINT);
}

TEST(StopEvent, TheFirstRequestCounts) {
  StopEvent stop;
  std::thread requester([&] {
    stop.Request(70);
    stop.Request(0);
  });
  EXPECT_EQ(stop.Wait(), 70);
  requester.join();
  EXPECT_EQ(stop.Wait(), 70);
}

TEST(SignalThread, EndsWithoutASignal) {
  SignalThread signals([](int) { FAIL(); });
}

TEST(SdNotify, SendsOneDatagram) {
  const std::string path = testing::TempDir() + "/notify_" + std::to_string(getpid());
  const int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(receiver, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_TRUE(SdNotify(path, "READY=1").ok());
  char buffer[64] = {};
  EXPECT_EQ(recv(receiver, buffer, sizeof(buffer), 0), 7);
  EXPECT_STREQ(buffer, "READY=1");
  close(receiver);
  std::filesystem::remove(path);
}

TEST(SdNotify, SaysWhatIsWrong) {
  EXPECT_TRUE(SdNotify("", "READY=1").ok());
  EXPECT_EQ(GetErrorInfo(SdNotify("/no/such/socket", "READY=1")).reason, "NOTIFY_FAILED");
  EXPECT_EQ(GetErrorInfo(SdNotify(std::string(200, 'x'), "READY=1")).reason, "NOTIFY_FAILED");
}

TEST(Logging, JsonEscapesWhatWouldBreakTheObject) {
  EXPECT_EQ(JsonEscape("a \"b\" \\ c\n"), "a \\\"b\\\" \\\\ c\\u000a");
}

TEST(BuildInfo, NamesVersionAndCommit) {
  const auto info = BuildInfo();
  EXPECT_FALSE(info.at("version").empty());
  EXPECT_FALSE(info.at("git_commit").empty());
  EXPECT_NE(VersionText().find(info.at("git_commit")), std::string::npos);
}

TEST(OpenBackends, CpuLooksForNothingElse) {
  Registry registry;
  const auto backends = OpenBackends("cpu", "/no/such/module.so", registry);
  ASSERT_TRUE(backends.ok());
  EXPECT_EQ(backends->usable.size(), 1u);
  EXPECT_EQ(backends->status[0].id, "cpu");
  EXPECT_TRUE(backends->status[0].is_available);
  EXPECT_FALSE(backends->status[1].is_available);
}

TEST(OpenBackends, AutoRecordsWhyThereIsNoCuda) {
  Registry registry;
  const auto backends = OpenBackends("auto", "/no/such/module.so", registry);
  ASSERT_TRUE(backends.ok());
  EXPECT_EQ(backends->usable.size(), 1u);
  EXPECT_EQ(backends->status[1].id, "cuda");
  EXPECT_NE(backends->status[1].reason.find("/no/such/module.so"), std::string::npos);
}

TEST(OpenBackends, CudaIsAnErrorWithoutItsModule) {
  Registry registry;
  for (const char* device : {"cuda", "cuda:0"}) {
    EXPECT_EQ(GetErrorInfo(OpenBackends(device, "/no/such/module.so", registry).status()).reason,
              "BACKEND_UNAVAILABLE");
  }
}

}  // namespace
}  // namespace qtipd
