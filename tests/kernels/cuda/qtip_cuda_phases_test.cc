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

constexpr CudaLimits kH200 = {
    .multiprocessors = 132, .shared_bytes = 227 * 1024, .compute_capability = 90};

TEST(FusedOperations, CountsOneLookupForTwoWeightsAndTheTables) {
  const FusedProblem problem = {.out_features = 4096, .in_features = 4096, .bits = 2, .batch = 1};
  const OperationCounts operations = FusedOperations(problem, kH200);
  EXPECT_EQ(operations.at("launch"), 1);
  EXPECT_DOUBLE_EQ(operations.at("shared_memory"), 4096.0 * 4096 / 64 + 132 * 1024);
  EXPECT_DOUBLE_EQ(operations.at("issue"), 4096.0 * 4096 / 32 * 2.684);
}

TEST(FusedOperations, GrowsWithTheMatrixAndNeverShrinksWithTheBatch) {
  for (int bits : {1, 2, 3, 4}) {
    double before = 0;
    for (int64_t batch : {1, 4, 8, 16}) {
      const FusedProblem small = {
          .out_features = 4096, .in_features = 4096, .bits = bits, .batch = batch};
      FusedProblem large = small;
      large.out_features *= 2;
      const double issue = FusedOperations(small, kH200).at("issue");
      EXPECT_DOUBLE_EQ(FusedOperations(large, kH200).at("issue"), 2 * issue);
      EXPECT_GE(issue, before);
      before = issue;
    }
  }
}

TEST(FusedOperations, CountsInstructionsOfTheMachineCodeThatTheyWereCountedIn) {
  const FusedProblem problem = {.out_features = 4096, .in_features = 4096, .bits = 2, .batch = 1};
  for (const int capability : {80, 89, 100, 120}) {
    CudaLimits limits = kH200;
    limits.compute_capability = capability;
    const OperationCounts operations = FusedOperations(problem, limits);
    EXPECT_FALSE(operations.contains("issue")) << capability;
    EXPECT_TRUE(operations.contains("shared_memory")) << capability;
  }
}

TEST(FusedOperations, CountAllLaunchesOfABatchAndTheirInstructions) {
  const FusedProblem problem = {.out_features = 4096, .in_features = 16384, .bits = 2, .batch = 70};
  const OperationCounts operations = FusedOperations(problem, kH200);
  // Two of 32 vectors, whose activations are arranged before, and one of 6.
  EXPECT_EQ(operations.at("launch"), 5);
  EXPECT_DOUBLE_EQ(operations.at("issue"), 4096.0 * 16384 / 32 * (3.430 + 3.430 + 2.938));
}

struct PhaseCase {
  Shape shape;
  int bits;
  int64_t batch;
};

class QtipCudaPhases : public CudaTest, public testing::WithParamInterface<PhaseCase> {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) return;
    const PhaseCase& c = GetParam();
    auto weights = LoadQtipOnCuda(device(), RandomLayer(c.shape, c.bits, 1));
    ASSERT_TRUE(weights.ok()) << weights.status();
    weights_ = *std::move(weights);
    u_ = Upload(ToHalf(NormalValues(c.batch * c.shape.in_features, 2)));
  }
  std::unique_ptr<ResidentWeights> weights_;
  Buffer u_;
};

TEST_P(QtipCudaPhases, AddUpToTheKernelAndLeaveItsOutputAlone) {
  const PhaseCase& c = GetParam();
  const size_t count = c.batch * c.shape.out_features;
  GuardedOutput<float> shipped(device(), count);
  GuardedOutput<float> alone(device(), count);
  GuardedOutput<float> traced(device(), count);
  ASSERT_OK(weights_->Multiply(0, c.batch, u_.data(), shipped.data()));
  const auto to_alone = weights_->PreparePhases(c.batch, u_.data(), alone.data(), 1);
  const auto to_traced = weights_->PreparePhases(c.batch, u_.data(), traced.data(), 3);
  ASSERT_TRUE(to_alone.ok() && to_traced.ok());
  ASSERT_OK((*to_alone)->Enqueue(PhaseTracer::Build::kShipped, 0, 0));
  ASSERT_OK((*to_traced)->Enqueue(PhaseTracer::Build::kTraced, 1, 0));
  const auto times = (*to_traced)->Read();
  ASSERT_TRUE(times.ok()) << times.status();
  const std::vector<float> z = shipped.Take();
  EXPECT_EQ(alone.Take(), z);
  EXPECT_EQ(traced.Take(), z);
  ASSERT_EQ(times->size(), 3u);
  EXPECT_EQ((*times)[0].kernel_seconds, 0);  // nothing ran in that slot
  const PhaseTimes& run = (*times)[1];
  EXPECT_GT(run.kernel_seconds, 1e-6);
  EXPECT_LT(run.kernel_seconds, 1e-2);
  EXPECT_NEAR(Sum(run), run.kernel_seconds, 0.05 * run.kernel_seconds);
  for (const auto& [name, seconds] : run.phases) EXPECT_GE(seconds, 0) << name;
}

TEST_P(QtipCudaPhases, AHollowKernelIsALaunchAndNothingElse) {
  const auto tracer = weights_->PreparePhases(GetParam().batch, u_.data(), nullptr, 1);
  ASSERT_TRUE(tracer.ok()) << tracer.status();
  ASSERT_OK((*tracer)->Enqueue(PhaseTracer::Build::kHollow, 0, 0));
  const auto times = (*tracer)->Read();
  ASSERT_TRUE(times.ok()) << times.status();
  EXPECT_GT((*times)[0].kernel_seconds, 0);
  EXPECT_LT((*times)[0].kernel_seconds, 20e-6);
}

std::string CaseName(const testing::TestParamInfo<PhaseCase>& info) {
  const PhaseCase& c = info.param;
  return "K" + std::to_string(c.bits) + "_" + std::to_string(c.shape.out_features) + "x" +
         std::to_string(c.shape.in_features) + "_batch" + std::to_string(c.batch);
}

std::vector<PhaseCase> PhaseCases() {
  std::vector<PhaseCase> cases;
  for (int bits : {1, 2, 3, 4}) {
    for (int64_t batch : {1, 4, 8, 16}) cases.push_back({{4096, 4096}, bits, batch});
    cases.push_back({{8192, 8192}, bits, 1});
    cases.push_back({{8192, 32768}, bits, 1});
    cases.push_back({{64, 32}, bits, 1});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Shapes, QtipCudaPhases, testing::ValuesIn(PhaseCases()), CaseName);

// The time of the shipped kernel is known here without any time stamp inside it: a row of it,
// between two events, less what a row of hollow kernels takes for launching.
class QtipCudaPhasesOfARow : public QtipCudaPhases {
 protected:
  static constexpr int kRuns = 96;
  static constexpr int kReplays = 15;

  // A row over rotating copies, as often as a median needs.
  struct Row {
    std::vector<double> seconds = {};   // per run, by the events
    std::vector<PhaseTimes> runs = {};  // of all replays
  };
  Row Replay(PhaseTracer& tracer, PhaseTracer::Build build) {
    Row row;
    const auto recording = device().Record([&]() -> absl::Status {
      for (int run = 0; run < kRuns; ++run) {
        QTIPD_RETURN_IF_ERROR(tracer.Enqueue(build, run, run % weights_->copies()));
      }
      return absl::OkStatus();
    });
    EXPECT_TRUE(recording.ok()) << recording.status();
    for (int i = -3; recording.ok() && i < kReplays; ++i) {
      const auto timing = (*recording)->Replay();
      const auto runs = tracer.Read();
      EXPECT_TRUE(timing.ok() && runs.ok()) << timing.status() << runs.status();
      if (i < 0 || !timing.ok() || !runs.ok()) continue;
      row.seconds.push_back(timing->seconds / kRuns);
      row.runs.insert(row.runs.end(), runs->begin(), runs->end());
    }
    return row;
  }
  static double Median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }
  template <typename SecondsOf>
  static double Median(const Row& row, const SecondsOf& seconds_of) {
    std::vector<double> seconds;
    for (const PhaseTimes& run : row.runs) seconds.push_back(seconds_of(run));
    return Median(std::move(seconds));
  }
};

TEST_P(QtipCudaPhasesOfARow, AddUpToTheShippedKernelWithinFivePercent) {
  const PhaseCase& c = GetParam();
  const int copies = static_cast<int>(kColdBytesOnGpu / weights_->multiply_bytes()) + 1;
  auto replicas = weights_->Replicate(copies);
  ASSERT_TRUE(replicas.ok()) << replicas.status();
  weights_ = *std::move(replicas);
  const Buffer z = Upload(std::vector<float>(c.batch * c.shape.out_features));
  const auto tracer = weights_->PreparePhases(c.batch, u_.data(), z.data(), kRuns);
  ASSERT_TRUE(tracer.ok()) << tracer.status();
  const Row shipped = Replay(**tracer, PhaseTracer::Build::kShipped);
  const Row traced = Replay(**tracer, PhaseTracer::Build::kTraced);
  const Row hollow = Replay(**tracer, PhaseTracer::Build::kHollow);
  ASSERT_FALSE(shipped.seconds.empty() || traced.runs.empty() || hollow.runs.empty());
  const auto kernel_of = [](const PhaseTimes& run) { return run.kernel_seconds; };
  const double launch = Median(hollow.seconds) - Median(hollow, kernel_of);
  const double kernel = Median(shipped.seconds) - launch;
  const double phases = Median(traced, [](const PhaseTimes& run) { return Sum(run); });
  std::cout << "row of shipped " << Median(shipped.seconds) * 1e6 << " us, traced "
            << Median(traced.seconds) * 1e6 << ", hollow " << Median(hollow.seconds) * 1e6
            << "; launch " << launch * 1e6 << ", shipped kernel " << kernel * 1e6 << ", phases "
            << phases * 1e6 << "\n";
  EXPECT_GT(launch, 0);
  // The time stamps may not change the kernel; what they cost is told as instrumented_overhead.
  EXPECT_NEAR(Median(traced.seconds), Median(shipped.seconds), 0.1 * Median(shipped.seconds));
  EXPECT_NEAR(phases, kernel, 0.05 * kernel);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, QtipCudaPhasesOfARow,
    testing::Values(PhaseCase{{4096, 4096}, 2, 1}, PhaseCase{{4096, 4096}, 3, 1},
                    PhaseCase{{4096, 4096}, 4, 1}, PhaseCase{{8192, 8192}, 2, 1},
                    PhaseCase{{8192, 8192}, 3, 1}, PhaseCase{{8192, 8192}, 4, 1}),
    CaseName);

}  // namespace
}  // namespace qtipd
