#include "client/rate_suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/api/error.h"
#include "tests/client/fake_daemon.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

// One matrix at 2 and 3 bits.
class RateSuite : public ::testing::Test {
 protected:
  RateSuite() {
    suite_.name = "rates";
    suite_.format = "qtip";
    suite_.size = 64;
    suite_.bits = {2, 3};
  }
  absl::StatusOr<int> Run() {
    GlobalOptions options;
    options.targets = {daemon_.target()};
    Session session(options, out_, err_);
    return RunRateSuite(session, suite_, out_folder_.string());
  }
  std::string File(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(out_folder_ / "Some_GPU" / name).rdbuf();
    return text.str();
  }

  FakeDaemon daemon_;
  Suite suite_;
  std::ostringstream out_;
  std::ostringstream err_;
  const TempDir directory_;
  const std::filesystem::path out_folder_ = directory_.path();
};

TEST_F(RateSuite, MeasuresEveryRate) {
  const absl::StatusOr<int> code = Run();
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, kExitDone);
  EXPECT_EQ(daemon_.benchmarks, 2);
}

TEST_F(RateSuite, KeepsAndPrintsTheRatesItHad) {
  daemon_.failures[1] = MakeError(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "it stops");
  EXPECT_EQ(GetErrorInfo(Run().status()).reason, "SERVER_DRAINING");
  EXPECT_THAT(out_.str(), StartsWith("Partial: 1 of 2 rates were finished, until SERVER_DRAINING"));
  EXPECT_THAT(File("dequant/results.csv"), EndsWith(",800.000\nK=3,,,,,,\n"));
}

}  // namespace
}  // namespace qtipd
