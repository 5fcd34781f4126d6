#include "server/metrics/http_server.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = HttpServer::Start(
        "127.0.0.1:0",
        {.metrics = [] { return "qtipd_x 1\n"; }, .is_ready = [this] { return is_ready_.load(); }});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  httplib::Result Get(const std::string& path) {
    return httplib::Client("127.0.0.1", server_->port()).Get(path.c_str());
  }

  std::atomic<bool> is_ready_{true};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, ServesMetricsAsPrometheusText) {
  const httplib::Result result = Get("/metrics");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, "qtipd_x 1\n");
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
}

TEST_F(HttpServerTest, ReadinessFollowsTheDaemonAndLivenessDoesNot) {
  EXPECT_EQ(Get("/readyz")->status, 200);
  is_ready_ = false;
  EXPECT_EQ(Get("/readyz")->status, 503);
  EXPECT_EQ(Get("/healthz")->status, 200);
}

TEST_F(HttpServerTest, OffersNothingElse) {
  EXPECT_EQ(Get("/")->status, 404);
  EXPECT_EQ(httplib::Client("127.0.0.1", server_->port()).Post("/metrics")->status, 404);
}

TEST_F(HttpServerTest, RefusesAPortInUse) {
  const auto second = HttpServer::Start(server_->address(), {});
  EXPECT_EQ(GetErrorInfo(second.status()).reason, "PORT_IN_USE");
}

TEST_F(HttpServerTest, FreesItsPortWhenStopped) {
  const std::string address = server_->address();
  ASSERT_TRUE(Get("/healthz"));
  server_->Stop();
  server_->Stop();
  EXPECT_FALSE(Get("/healthz"));
  EXPECT_TRUE(HttpServer::Start(address, {}).ok());
}

TEST(HttpServer, RefusesAnAddressThatIsNone) {
  for (const char* address : {"", "9464", ":9464", "host:", "host:x", "host:70000", "host:-1"}) {
    const auto server = HttpServer::Start(address, {});
    EXPECT_EQ(GetErrorInfo(server.status()).reason, "ADDRESS_INVALID") << address;
  }
}

}  // namespace
}  // namespace qtipd
