// What quantizing on the CPU takes beside W, H and the result, measured: the most memory that the
// process had resident meanwhile. A program of its own, so that nothing else is measured.
#include <gtest/gtest.h>

#include "kernels/api/random.h"
#include "kernels/cpu/openblas_dense.h"
#include "kernels/formats/qtip/qtip_cpu_workspace.h"
#include "kernels/formats/qtip/qtip_format.h"
#include "kernels/formats/qtip/qtip_quantize.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "tests/kernels/resident_memory.h"

namespace qtipd {
namespace {

constexpr int kThreads = 2;

class QtipWorkspace : public testing::TestWithParam<bool> {
 protected:
  // Few states, so that the search is short and its memory small.
  const Options options_ = *CheckOptions(
      MakeQtipFormat()->schema(), {{"code", std::string("1mad")}, {"state_bits", int64_t{8}}});
};

TEST_P(QtipWorkspace, IsNoMoreThanAdmissionCountsOn) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer's own memory cannot be told apart";
  SetOpenBlasThreads(kThreads);
  const bool has_hessian = GetParam();
  const Shape shape = {8192, 4096};
  const int64_t n = shape.in_features;
  std::vector<float> weights(shape.out_features * n);
  FillNormal(1, RandomStream::kTest, 0, std::span(weights).first(n));
  for (size_t i = n; i < weights.size(); ++i) weights[i] = weights[i % n];
  std::vector<float> hessian(has_hessian ? n * n : 0);
  for (int64_t i = 0; i < static_cast<int64_t>(hessian.size()); ++i) {
    hessian[i] = i % (n + 1) == 0 ? 1.0f : 0.25f;
  }
  const QuantizeProblem problem = {
      .shape = shape, .weights = weights, .hessian = hessian, .options = options_};
  ThreadPool pool(kThreads);
  NoProgress progress;
  QuantizeReport report;
  if (!ForgetPeak()) GTEST_SKIP() << "this system does not reset the peak of resident memory";
  const int64_t before = StatusBytes("VmRSS");
  const auto layer = QuantizeQtipOnCpu(pool, problem, progress, report);
  const int64_t grown = StatusBytes("VmHWM") - before;
  ASSERT_TRUE(layer.ok()) << layer.status();

  const auto result = static_cast<int64_t>(MakeQtipFormat()->PackedBytes(options_, shape));
  const auto workspace = static_cast<int64_t>(QtipCpuWorkspaceBytes(
      *QtipSpecOf(options_), shape, has_hessian, /*finds_scale=*/false, kThreads));
  RecordProperty("grown_bytes", std::to_string(grown));
  RecordProperty("bound_bytes", std::to_string(workspace + result));
  EXPECT_LE(grown, workspace + result);
  EXPECT_GE(grown, result) << "the measurement sees the result at least";
  // The bound tells something: it has no room for a second W.
  EXPECT_LT(workspace, static_cast<int64_t>(sizeof(float) * weights.size()));
}

INSTANTIATE_TEST_SUITE_P(Hessian, QtipWorkspace, testing::Bool());

}  // namespace
}  // namespace qtipd
