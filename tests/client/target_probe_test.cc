#include "client/target_probe.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace qtipd {
namespace {

// A port of loopback where something listens, but no gRPC.
class Listener {
 public:
  Listener() : descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(descriptor_, 1), 0);
    EXPECT_EQ(getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = std::to_string(ntohs(address.sin_port));
  }
  ~Listener() { close(descriptor_); }
  const std::string& port() const { return port_; }

 private:
  const int descriptor_;
  std::string port_;
};

TEST(ProbeTarget, APortWhereNobodyListens) {
  const auto findings = ProbeTarget("127.0.0.1:1", absl::Seconds(1));
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].severity(), v1::SEVERITY_OK);
  EXPECT_EQ(findings[1].id(), "target_port");
  EXPECT_EQ(findings[1].severity(), v1::SEVERITY_PROBLEM);
  EXPECT_NE(findings[1].what().find("Connection refused"), std::string::npos);
}

TEST(ProbeTarget, APortWhereSomethingElseListens) {
  const Listener listener;
  for (const std::string scheme : {"", "dns:///"}) {
    const auto findings = ProbeTarget(scheme + "127.0.0.1:" + listener.port(), absl::Seconds(1));
    ASSERT_EQ(findings.size(), 3u);
    EXPECT_EQ(findings[1].severity(), v1::SEVERITY_OK);
    EXPECT_EQ(findings[2].id(), "target_tls");
  }
}

TEST(ProbeTarget, ANameThatDoesNotResolve) {
  const auto findings = ProbeTarget("no-such-host.invalid:7070", absl::Seconds(1));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity(), v1::SEVERITY_PROBLEM);
  EXPECT_EQ(findings[0].cure_command(), "getent hosts no-such-host.invalid");
}

TEST(ProbeTarget, AnotherSchemeIsNotOursToResolve) {
  const auto findings = ProbeTarget("unix:/run/qtipd.sock", absl::Seconds(1));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity(), v1::SEVERITY_WARNING);
}

}  // namespace
}  // namespace qtipd
