#include "client/connection.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

TEST(Connection, SaysInTimeThatNobodyAnswers) {
  const absl::Time begin = absl::Now();
  const auto connection =
      Connection::Open("127.0.0.1:1", absl::Milliseconds(300), absl::Seconds(60));
  EXPECT_EQ(GetErrorInfo(connection.status()).reason, "TARGET_UNREACHABLE");
  EXPECT_EQ(connection.status().message(),
            "target: got 127.0.0.1:1, allowed a running qtipd (none answered within 300ms)");
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
}

}  // namespace
}  // namespace qtipd
