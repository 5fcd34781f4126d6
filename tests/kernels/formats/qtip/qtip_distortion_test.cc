// Rate and distortion of the whole code on a million Gaussian weights, against what the published
// encoder reaches with the golden table.
#include <gtest/gtest.h>

#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_default_codebook.h"
#include "kernels/formats/qtip/qtip_viterbi.h"
#include "kernels/formats/qtip/tools/codebook_training.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

constexpr int kTiles = 4096;

class QtipDistortion : public testing::TestWithParam<int> {
 protected:
  // Relative squared error at the table's own rms (scale_override 1).
  double Measure(std::span<const uint16_t> tlut) {
    const QtipCodeSpec spec{.bits = GetParam()};
    ThreadPool pool(2);
    std::vector<float> samples(kTiles * kQtipTileWeights);
    FillNormal(2, RandomStream::kTest, 0, samples);
    const auto rms = static_cast<float>(QtipCodebookRms(tlut));
    for (float& sample : samples) sample *= rms;
    std::vector<uint16_t> states(kTiles * kQtipSteps);
    QtipEncoder(spec, tlut).Encode(pool, samples, states, [](int64_t) { return true; });
    const QtipTable table = MakeQtipTable(spec, tlut);
    double error = 0, energy = 0;
    for (int tile = 0; tile < kTiles; ++tile) {
      error += QtipPathCost(std::span(samples).subspan(tile * kQtipTileWeights, kQtipTileWeights),
                            std::span(states).subspan(tile * kQtipSteps, kQtipSteps), table);
    }
    for (float sample : samples) energy += double{sample} * sample;
    return error / energy;
  }

  // QTIP's own encoder, 2^20 samples of N(0,1), golden table.
  double Published() const { return GetParam() == 2 ? .0707 : GetParam() == 3 ? .0195 : .0067; }
};

TEST_P(QtipDistortion, OfTheGoldenTableIsThePublishedOne) {
  const double measured = Measure(GoldenFile("qtip_tables").Words("hyb_tlut_fp16"));
  RecordProperty("relative_mse", std::to_string(measured));
  EXPECT_NEAR(measured, Published(), 0.015 * Published());
}

TEST_P(QtipDistortion, OfTheDefaultTableIsNoWorse) {
  const double measured = Measure(QtipDefaultTlut());
  RecordProperty("relative_mse", std::to_string(measured));
  EXPECT_LE(measured, 1.005 * Published());  // three standard errors of the sample
}

INSTANTIATE_TEST_SUITE_P(Bits, QtipDistortion, testing::Values(2, 3, 4));

TEST(QtipDefaultCodebook, IsWhatItsProgramMakes) {
  ThreadPool pool(2);
  const std::vector<uint16_t> trained = TrainHybCodebook(pool);
  EXPECT_TRUE(std::ranges::equal(trained, QtipDefaultTlut()));
}

TEST(QtipDefaultCodebook, HasTheRmsOfAnIdealReconstruction) {
  EXPECT_NEAR(QtipCodebookRms(QtipDefaultTlut()), std::sqrt(15.0 / 16.0), 1e-3);
}

}  // namespace
}  // namespace qtipd
