#include "kernels/formats/qtip/qtip_scale_search.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/formats/qtip/qtip_format.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

QtipScaleChoice Choose(const QtipCodeSpec& spec, double best) {
  const auto error_at = [best](double scale) -> absl::StatusOr<double> {
    return 0.07 + std::pow(scale - best, 2);
  };
  return ChooseQtipScale(spec, error_at).value();
}

TEST(QtipScaleSearch, FindsTheBottomOfAParabola) {
  const QtipCodeSpec spec{.bits = 3};
  const double best = QtipGaussianScale(spec) * 1.03;
  const QtipScaleChoice choice = Choose(spec, best);
  EXPECT_NEAR(choice.scale, best, 1e-9);
  EXPECT_EQ(choice.trials.size(), 5u);
  EXPECT_EQ(choice.trials.front().scale, kQtipFixedScale);
}

TEST(QtipScaleSearch, GoesNoFurtherThanItsNeighbours) {
  const QtipCodeSpec spec{.bits = 2};
  EXPECT_NEAR(Choose(spec, 3.0).scale, 1.06 * QtipGaussianScale(spec), 1e-9);
  EXPECT_LE(Choose(spec, 0.1).scale, 0.94 * QtipGaussianScale(spec) + 1e-9);
}

TEST(QtipScaleSearch, NeverChoosesAWorseScaleThanTheFixedOne) {
  for (double best : {0.5, 0.9, 0.95, 1.4}) {
    const QtipScaleChoice choice = Choose({.bits = 4}, best);
    for (const ScaleTrial& trial : choice.trials) {
      EXPECT_LE(0.07 + std::pow(choice.scale - best, 2), trial.error);
    }
  }
}

TEST(QtipScaleSearch, TriesNoScaleTwice) {
  const QtipCodeSpec spec{.code = QtipCode::k1Mad, .bits = 4, .vector_dim = 1, .table_bits = 0};
  ASSERT_EQ(QtipGaussianScale(spec), kQtipFixedScale);
  EXPECT_EQ(Choose(spec, 0.91).trials.size(), 4u);
}

TEST(QtipScaleSearch, PassesAnErrorOn) {
  const auto fail = [](double) -> absl::StatusOr<double> { return absl::CancelledError("no"); };
  EXPECT_EQ(ChooseQtipScale({}, fail).status().code(), absl::StatusCode::kCancelled);
}

TEST(QtipScaleSearch, SamplesStripsFromAllOverTheMatrix) {
  EXPECT_EQ(QtipSampleStrips({64, 128}), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(QtipSampleStrips({4096, 4096}), (std::vector<int64_t>{32, 96, 160, 224}));
  EXPECT_EQ(QtipSampleStrips({32, 131072}).size(), 1u);
}

TEST(QtipScaleSearch, TakesTheWordOrANumber) {
  const auto given = [](const OptionValue& value) {
    return QtipGivenScale(*CheckOptions(MakeQtipFormat()->schema(), {{"scale_override", value}}));
  };
  EXPECT_EQ(given(std::string("auto")), std::nullopt);
  EXPECT_EQ(given(std::string("0.8")), 0.8);
  EXPECT_EQ(given(1.1), 1.1);
  EXPECT_FALSE(
      CheckOptions(MakeQtipFormat()->schema(), {{"scale_override", std::string("best")}}).ok());
}

}  // namespace
}  // namespace qtipd
