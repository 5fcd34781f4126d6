// CUPTI's real host half, which needs no device; skipped where CUPTI is not installed.
#include "server/profiler/metric_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/api/error.h"
#include "server/profiler/cupti_profile.h"
#include "server/profiler/metric_presets.h"
#include "tests/server/profiler/cupti_fixture.h"

namespace qtipd {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MetricHostTest : public CuptiFixture {
 protected:
  void SetUp() override {
    CuptiFixture::SetUp();
    if (IsSkipped()) return;
    auto host = MetricHost::Open(api_, "GH100", {});
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
  }
  int Passes(const std::string& preset) {
    const auto config = host_->Configure(*PresetMetrics(preset, host_->bases()));
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? config->passes : 0;
  }

  std::unique_ptr<MetricHost> host_;
};

TEST_F(MetricHostTest, KnowsTheStallReasonsOfAHopper) {
  std::vector<std::string> reasons;
  for (const std::string& base : host_->bases()) {
    if (const std::string reason = StallReasonOf(base); !reason.empty()) reasons.push_back(reason);
  }
  EXPECT_EQ(reasons.size(), 19u);
  EXPECT_THAT(reasons, Contains("gmma"));
  EXPECT_THAT(reasons, Contains("math_pipe_throttle"));
}

TEST_F(MetricHostTest, FindsOtherReasonsOnAnotherChip) {
  const auto ada = MetricHost::Open(api_, "AD102", {});
  ASSERT_TRUE(ada.ok()) << ada.status();
  const auto metrics = PresetMetrics("stalls", (*ada)->bases());
  EXPECT_THAT(*metrics, ::testing::Not(Contains(HasSubstr("gmma"))));
  EXPECT_THAT(*metrics, Contains(HasSubstr("long_scoreboard")));
}

TEST_F(MetricHostTest, TakesNoPartOfAReasonBesideTheWhole) {
  for (const char* chip : {"AD102", "GB202"}) {
    const auto host = MetricHost::Open(api_, chip, {});
    if (GetErrorInfo(host.status()).reason == "CHIP_UNKNOWN") continue;  // an older CUPTI
    ASSERT_TRUE(host.ok()) << host.status();
    ASSERT_THAT((*host)->bases(), Contains(HasSubstr("long_scoreboard_pipe_l1tex"))) << chip;
    const auto metrics = PresetMetrics("stalls", (*host)->bases());
    EXPECT_THAT(*metrics, ::testing::Not(Contains(HasSubstr("long_scoreboard_pipe_")))) << chip;
    EXPECT_THAT(*metrics, ::testing::Not(Contains(HasSubstr("mio_throttle_pipe_")))) << chip;
    EXPECT_THAT(*metrics, Contains(HasSubstr("_long_scoreboard_per_"))) << chip;
    EXPECT_THAT(*metrics, Contains(HasSubstr("_mio_throttle_per_"))) << chip;
    EXPECT_THAT(*metrics, Contains(HasSubstr("_math_pipe_throttle_per_"))) << chip;
  }
}

TEST(MetricPresets, TellsAPartOfAReasonFromAWhole) {
  const std::vector<std::string> bases = {"smsp__warp_issue_stalled_mio_throttle_per_warp_active",
                                          "smsp__warp_issue_stalled_math_per_warp_active.pct"};
  EXPECT_TRUE(IsPartOfReason("mio_throttle_pipe_mio", bases));
  EXPECT_TRUE(IsPartOfReason("math_pipe_throttle", bases));
  EXPECT_FALSE(IsPartOfReason("math_pipe_throttle", {bases[0]}));
  EXPECT_FALSE(IsPartOfReason("long_scoreboard_pipe_l1tex", bases));
  EXPECT_FALSE(IsPartOfReason("mio_throttle", bases));
}

TEST_F(MetricHostTest, HasEveryMetricOfEveryPresetOnAHopper) {
  for (const std::string& preset : PresetNames()) {
    const MetricSelection selection = host_->Select(*PresetMetrics(preset, host_->bases()));
    EXPECT_THAT(selection.unavailable, IsEmpty()) << preset;
  }
}

TEST_F(MetricHostTest, TellsThePassesOfThePresetsBeforehand) {
  EXPECT_LE(Passes("memory"), 4);
  EXPECT_EQ(Passes("stalls"), 6);
  EXPECT_GT(Passes("full"), 6);
  EXPECT_LE(Passes("full"), 20);
}

TEST_F(MetricHostTest, SortsUnknownNamesAndBaseNamesOut) {
  const MetricSelection selection =
      host_->Select({"dram__bytes_read.sum", "no__such.sum", "dram__bytes_read",
                     "dram__bytes_read.bogus", "dram__bytes_read.sum"});
  EXPECT_THAT(selection.available, ElementsAre("dram__bytes_read.sum"));
  EXPECT_THAT(selection.unavailable,
              ElementsAre("no__such.sum", "dram__bytes_read", "dram__bytes_read.bogus"));
}

TEST_F(MetricHostTest, ConfiguresAgainAfterAnUnknownName) {
  const auto refused = host_->Configure({"dram__byte_read.sum"});
  EXPECT_EQ(GetErrorInfo(refused.status()).reason, "METRIC_UNKNOWN");
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("dram__bytes_read"));
  EXPECT_TRUE(host_->Configure({"dram__bytes_read.sum"}).ok());
}

TEST_F(MetricHostTest, SaysUnitsInItsOwnWords) {
  EXPECT_EQ(host_->Describe("gpu__time_duration.sum")->unit, "seconds");
  EXPECT_EQ(host_->Describe("dram__bytes_read.sum")->unit, "bytes");
  EXPECT_EQ(host_->Describe("smsp__warp_issue_stalled_wait_per_warp_active.pct")->unit, "percent");
}

TEST_F(MetricHostTest, RefusesAnUnknownChipAndNeverTakesAnother) {
  const auto host = MetricHost::Open(api_, "gh100", {});
  EXPECT_EQ(GetErrorInfo(host.status()).reason, "CHIP_UNKNOWN");
  EXPECT_THAT(std::string(host.status().message()), HasSubstr("GH100"));
}

TEST_F(MetricHostTest, AChipThatTheRequestDoesNotNameIsNoMistakeOfIt) {
  CatalogueTask task;
  task.device = "cuda:0";
  EXPECT_EQ(GetErrorInfo(ReadCuptiCatalogue(api_, "GX999", task).status()).reason,
            "PROFILING_UNSUPPORTED");
  task.chip = "GX999";
  EXPECT_EQ(GetErrorInfo(ReadCuptiCatalogue(api_, "GX999", task).status()).reason, "CHIP_UNKNOWN");
}

TEST_F(MetricHostTest, CatalogueTellsPassesAndWhatIsUnavailable) {
  CatalogueTask task;
  task.chip = "GH100";
  task.preset = "stalls";
  task.metrics = {"no__such.sum"};
  const auto catalogue = ReadCuptiCatalogue(api_, "GH100", task);
  ASSERT_TRUE(catalogue.ok()) << catalogue.status();
  EXPECT_EQ(catalogue->passes, 6);
  EXPECT_EQ(catalogue->selected_metrics.size(), 21u);
  EXPECT_THAT(catalogue->unavailable_metrics, ElementsAre("no__such.sum"));
  EXPECT_GT(catalogue->metrics.size(), 3000u);
}

}  // namespace
}  // namespace qtipd
