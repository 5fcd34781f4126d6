// Rate and distortion of the codes on Gaussian weights, against what the published encoder reaches;
// a million for hyb with the golden table.
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

// Rounding to a grid adds a twelfth of a step squared, of which the search takes some back.
TEST_P(QtipDistortion, OfTheInt8TableIsWorseByItsRoundingAtMost) {
  const double measured = Measure(QtipInt8Table());
  RecordProperty("relative_mse", std::to_string(measured));
  EXPECT_LE(measured, Measure(QtipDefaultTlut()) + kQtipInt8Step * kQtipInt8Step / 12);
}

INSTANTIATE_TEST_SUITE_P(Bits, QtipDistortion, testing::Values(2, 3, 4));

struct PublishedCell {
  const char* code;
  int bits;
  int state_bits;
  int vector_dim;
  double scale;
  double relative_mse;
};

// QTIP's own encoder on 2^20 samples.
class PublishedDistortion : public testing::TestWithParam<PublishedCell> {};

TEST_P(PublishedDistortion, IsReachedWithinThreeStandardErrors) {
  constexpr int kSmallTiles = 192;
  const PublishedCell cell = GetParam();
  const QtipCode code = *FindQtipCode(cell.code);
  const int table_bits = QtipCodeInfoOf(code).table_bits;
  const QtipCodeSpec spec{code, cell.bits, cell.state_bits, cell.vector_dim,
                          table_bits < 0 ? cell.state_bits : table_bits};
  const std::vector<uint16_t> tlut = QtipDefaultTable(spec);
  const QtipTable table = MakeQtipTable(spec, tlut);
  std::vector<float> samples(kSmallTiles * kQtipTileWeights);
  FillNormal(5, RandomStream::kTest, 0, samples);
  const double rms = table.Rms() * cell.scale;
  for (float& sample : samples) sample *= static_cast<float>(rms);
  std::vector<uint16_t> states(kSmallTiles * spec.steps());
  ThreadPool pool(2);
  QtipEncoder(spec, tlut).Encode(pool, samples, states, [](int64_t) { return true; });

  const double energy_a_tile = kQtipTileWeights * rms * rms;
  double sum = 0, squares = 0;
  for (int tile = 0; tile < kSmallTiles; ++tile) {
    const double error =
        QtipPathCost(std::span(samples).subspan(tile * kQtipTileWeights, kQtipTileWeights),
                     std::span(states).subspan(tile * spec.steps(), spec.steps()), table) /
        energy_a_tile;
    sum += error;
    squares += error * error;
  }
  const double mean = sum / kSmallTiles;
  const double standard_error = std::sqrt((squares / kSmallTiles - mean * mean) / kSmallTiles);
  RecordProperty("relative_mse", std::to_string(mean));
  EXPECT_LE(mean, cell.relative_mse + 3 * standard_error);
  EXPECT_LT(standard_error, 0.02 * mean);
}

INSTANTIATE_TEST_SUITE_P(Cells, PublishedDistortion,
                         testing::Values(PublishedCell{"hyb", 1, 16, 2, 1.0, .27504},
                                         PublishedCell{"1mad", 2, 16, 1, 1.0, .06894},
                                         PublishedCell{"1mad", 4, 16, 1, 0.9, .00453},
                                         PublishedCell{"3inst", 3, 16, 1, 1.0, .01794},
                                         PublishedCell{"3inst", 2, 12, 1, 1.0, .07311},
                                         PublishedCell{"2mad", 2, 16, 1, 1.0, .06829},
                                         PublishedCell{"lut", 1, 16, 1, 1.0, .27184},
                                         PublishedCell{"lut", 2, 12, 1, 1.0, .07350},
                                         PublishedCell{"lut", 3, 16, 2, 1.0, .01806},
                                         PublishedCell{"quantlut", 2, 16, 1, 1.0, .06815}),
                         [](const auto& info) {
                           const PublishedCell& cell = info.param;
                           return "code_" + std::string(cell.code) + "_K" +
                                  std::to_string(cell.bits) + "_L" +
                                  std::to_string(cell.state_bits) + "_V" +
                                  std::to_string(cell.vector_dim);
                         });

// The table is frozen, so that the same weights become the same artefact in every version, while a
// search that decides near ties otherwise moves what the program makes.
TEST(QtipDefaultCodebook, IsWhatItsProgramMakesUpToNearTies) {
  ThreadPool pool(2);
  const std::vector<uint16_t> trained = TrainHybCodebook(pool);
  double squares = 0;
  for (int i = 0; i < kQtipLutValues; ++i) {
    const double change = HalfToFloat(trained[i]) - HalfToFloat(QtipDefaultTlut()[i]);
    EXPECT_NEAR(change, 0, 0.05) << "row " << i / 2;
    squares += change * change;
  }
  EXPECT_LT(std::sqrt(squares / kQtipLutValues), 0.005);
}

TEST(QtipDefaultCodebook, HasTheRmsOfAnIdealReconstruction) {
  EXPECT_NEAR(QtipCodebookRms(QtipDefaultTlut()), std::sqrt(15.0 / 16.0), 1e-3);
}

}  // namespace
}  // namespace qtipd
