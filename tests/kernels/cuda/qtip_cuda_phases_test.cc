// The phases of the fused kernel, and what it is counted to do.
#include "kernels/formats/qtip/qtip_cuda_phases.h"

#include <numeric>

#include "kernels/formats/qtip/qtip_cuda_weights.h"
#include "tests/kernels/cuda/cuda_test.h"

namespace qtipd {
namespace {

using ::testing::Pair;

double Sum(const PhaseTimes& times) {
  return std::accumulate(times.phases.begin(), times.phases.end(), 0.0,
                         [](double sum, const auto& phase) { return sum + phase.second; });
}

TEST(SummarisePhases, GivesMeansOverBlocksAndWhatTheyWaited) {
  // Two blocks of 1000 cycles in 1000 ns each, the second one 200 ns later.
  const std::vector<PhaseRecord> blocks = {{5000, 6000, 100, 700, 200},
                                           {5200, 6200, 300, 600, 100}};
  const PhaseTimes times = SummarisePhases(blocks);
  EXPECT_NEAR(times.kernel_seconds, 1200e-9, 1e-15);
  ASSERT_EQ(times.phases.size(), 4u);
  EXPECT_THAT(times.phases[0], Pair("codebook", testing::DoubleNear(200e-9, 1e-15)));
  EXPECT_THAT(times.phases[1], Pair("loop", testing::DoubleNear(650e-9, 1e-15)));
  EXPECT_THAT(times.phases[2], Pair("reduce", testing::DoubleNear(150e-9, 1e-15)));
  EXPECT_THAT(times.phases[3], Pair("launch_skew", testing::DoubleNear(200e-9, 1e-15)));
}

TEST(SummarisePhases, IsZeroWhereNothingRan) {
  const std::vector<PhaseRecord> blocks(3);
  EXPECT_EQ(Sum(SummarisePhases(blocks)), 0);
}

TEST(FusedOperations, CountsOneLookupForTwoWeightsAndTheTables) {
  const FusedProblem problem = {.out_features = 4096, .in_features = 4096, .bits = 2, .batch = 1};
  const OperationCounts operations = FusedOperations(problem, 132);
  EXPECT_EQ(operations.at("launch"), 1);
  EXPECT_DOUBLE_EQ(operations.at("shared_memory"), 4096.0 * 4096 / 64 + 128 * 1024);
  EXPECT_DOUBLE_EQ(operations.at("issue"), 4096.0 * 4096 / 32 * 2.770);
}

TEST(FusedOperations, GrowsWithTheMatrixAndNeverShrinksWithTheBatch) {
  for (int bits : {2, 3, 4}) {
    double before = 0;
    for (int64_t batch : {1, 4, 8, 16}) {
      const FusedProblem small = {
          .out_features = 4096, .in_features = 16384, .bits = bits, .batch = batch};
      FusedProblem large = small;
      large.out_features *= 2;
      const double issue = FusedOperations(small, 132).at("issue");
      EXPECT_DOUBLE_EQ(FusedOperations(large, 132).at("issue"), 2 * issue);
      EXPECT_GE(issue, before);
      before = issue;
    }
  }
}

struct PhaseCase {
  Shape shape;
  int bits;
  int64_t batch;
};

class QtipCudaPhases : public CudaTest, public testing::WithParamInterface<PhaseCase> {};

TEST_P(QtipCudaPhases, AddUpToTheKernelAndLeaveItsOutputAlone) {
  const PhaseCase& c = GetParam();
  const auto weights = LoadQtipOnCuda(device(), RandomLayer(c.shape, c.bits, 1));
  ASSERT_TRUE(weights.ok()) << weights.status();
  const Buffer u = Upload(ToHalf(NormalValues(c.batch * c.shape.in_features, 2)));
  const size_t count = c.batch * c.shape.out_features;
  GuardedOutput<float> shipped(device(), count);
  GuardedOutput<float> traced(device(), count);
  ASSERT_OK((*weights)->Multiply(0, c.batch, u.data(), shipped.data()));
  const auto times = (*weights)->MeasurePhases(0, c.batch, u.data(), traced.data());
  ASSERT_TRUE(times.ok()) << times.status();
  EXPECT_EQ(traced.Take(), shipped.Take());
  EXPECT_GT(times->kernel_seconds, 1e-6);
  EXPECT_LT(times->kernel_seconds, 1e-2);
  EXPECT_NEAR(Sum(*times), times->kernel_seconds, 0.05 * times->kernel_seconds);
  for (const auto& [name, seconds] : times->phases) {
    EXPECT_GE(seconds, 0) << name;
    std::cout << name << " " << seconds * 1e6 << " us, ";
  }
  std::cout << "kernel " << times->kernel_seconds * 1e6 << " us\n";
}

std::vector<PhaseCase> PhaseCases() {
  std::vector<PhaseCase> cases;
  for (int bits : {2, 3, 4}) {
    for (int64_t batch : {1, 4, 8, 16}) cases.push_back({{4096, 4096}, bits, batch});
    cases.push_back({{8192, 8192}, bits, 1});
    cases.push_back({{8192, 32768}, bits, 1});
    cases.push_back({{64, 32}, bits, 1});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Shapes, QtipCudaPhases, testing::ValuesIn(PhaseCases()),
                         [](const testing::TestParamInfo<PhaseCase>& info) {
                           const PhaseCase& c = info.param;
                           return "K" + std::to_string(c.bits) + "_" +
                                  std::to_string(c.shape.out_features) + "x" +
                                  std::to_string(c.shape.in_features) + "_batch" +
                                  std::to_string(c.batch);
                         });

}  // namespace
}  // namespace qtipd
