// What quantizing on the CPU takes beside W, H and the result, measured: the most memory that the
// process had resident meanwhile. A program of its own, so that nothing else is measured.
#include <gtest/gtest.h>

#include "kernels/api/random.h"
#include "kernels/cpu/openblas_dense.h"
#include "kernels/formats/int4/int4_format.h"
#include "kernels/formats/int4/int4_quantize.h"
#include "tests/kernels/resident_memory.h"

namespace qtipd {
namespace {

constexpr int kThreads = 2;

class Int4Workspace : public testing::TestWithParam<bool> {};

TEST_P(Int4Workspace, IsNoMoreThanAdmissionCountsOn) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer's own memory cannot be told apart";
  SetOpenBlasThreads(kThreads);
  const auto format = MakeInt4Format();
  const Options options = *CheckOptions(format->schema(), {{"symmetric", false}});
  const bool has_hessian = GetParam();
  const Shape shape = {8192, 2048};
  const int64_t n = shape.in_features;
  std::vector<float> weights(shape.out_features * n);
  FillNormal(1, RandomStream::kTest, 0, std::span(weights).first(n));
  for (size_t i = n; i < weights.size(); ++i) weights[i] = weights[i % n];
  std::vector<float> hessian(has_hessian ? n * n : 0);
  for (int64_t i = 0; i < static_cast<int64_t>(hessian.size()); ++i) {
    hessian[i] = i % (n + 1) == 0 ? 1.0F : 0.25F;
  }
  ThreadPool pool(kThreads);
  NoProgress progress;
  QuantizeReport report;
  if (!ForgetPeak()) GTEST_SKIP() << "this system does not reset the peak of resident memory";
  const int64_t before = StatusBytes("VmRSS");
  const auto layer = QuantizeInt4OnCpu(
      pool, {.shape = shape, .weights = weights, .hessian = hessian, .options = options}, progress,
      report);
  const int64_t grown = StatusBytes("VmHWM") - before;
  ASSERT_TRUE(layer.ok()) << layer.status();

  const auto result = static_cast<int64_t>(format->PackedBytes(options, shape));
  const auto workspace = static_cast<int64_t>(Int4CpuWorkspaceBytes(shape, has_hessian, kThreads));
  RecordProperty("grown_bytes", std::to_string(grown));
  RecordProperty("bound_bytes", std::to_string(workspace + result));
  EXPECT_LE(grown, workspace + result);
  EXPECT_GE(grown, result) << "the measurement sees the result at least";
  // The bound tells something: it has no room for a second W.
  EXPECT_LT(workspace, static_cast<int64_t>(sizeof(float) * weights.size()));
}

INSTANTIATE_TEST_SUITE_P(Hessian, Int4Workspace, testing::Bool());

}  // namespace
}  // namespace qtipd
