// What quantizing takes beside W, H and the result, measured: the most memory that the process had
// resident meanwhile. A program of its own, so that nothing else is measured.
#include <gtest/gtest.h>

#include "kernels/formats/lut/lut_quantize.h"
#include "tests/kernels/formats/lut/lut_test_layers.h"
#include "tests/kernels/resident_memory.h"

namespace qtipd {
namespace {

constexpr int kThreads = 2;

struct WorkspaceCase {
  bool has_hessian;
  bool is_per_channel;
};

void PrintTo(const WorkspaceCase& workspace, std::ostream* stream) {
  *stream << (workspace.has_hessian ? "hessian" : "identity") << "_"
          << (workspace.is_per_channel ? "channel" : "tensor");
}

class LutWorkspace : public testing::TestWithParam<WorkspaceCase> {};

TEST_P(LutWorkspace, IsNoMoreThanAdmissionCountsOn) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer's own memory cannot be told apart";
  const Shape shape = {4096, 2560};
  const int64_t n = shape.in_features;
  const Options options =
      LutOptions({{"codebook_per", std::string(GetParam().is_per_channel ? "channel" : "tensor")}});
  std::vector<float> weights = Normal(shape.out_features * n, 1);
  std::vector<float> hessian(GetParam().has_hessian ? n * n : 0);
  for (int64_t i = 0; i < static_cast<int64_t>(hessian.size()); ++i) {
    hessian[i] = i % (n + 1) == 0 ? 1.0f : 0.25f;
  }
  const QuantizeProblem problem = {
      .shape = shape, .weights = weights, .hessian = hessian, .options = options};
  ThreadPool pool(kThreads);
  NoProgress progress;
  QuantizeReport report;
  if (!ForgetPeak()) GTEST_SKIP() << "this system does not reset the peak of resident memory";
  const int64_t before = StatusBytes("VmRSS");
  const auto layer = QuantizeLutOnCpu(pool, problem, progress, report);
  const int64_t grown = StatusBytes("VmHWM") - before;
  ASSERT_TRUE(layer.ok()) << layer.status();

  const LutSpec spec = LutSpecOf(options);
  const auto result = static_cast<int64_t>(LutPackedBytes(spec, shape));
  const auto workspace =
      static_cast<int64_t>(LutCpuWorkspaceBytes(spec, shape, GetParam().has_hessian, kThreads));
  RecordProperty("grown_bytes", std::to_string(grown));
  RecordProperty("bound_bytes", std::to_string(workspace + result));
  EXPECT_LE(grown, workspace + result);
  EXPECT_GE(grown, result) << "the measurement sees the result at least";
  // The bound tells something: it has no room for a second W.
  EXPECT_LT(workspace, static_cast<int64_t>(sizeof(float) * weights.size()));
}

INSTANTIATE_TEST_SUITE_P(Kinds, LutWorkspace,
                         testing::Values(WorkspaceCase{false, false}, WorkspaceCase{true, false},
                                         WorkspaceCase{false, true}));

}  // namespace
}  // namespace qtipd
