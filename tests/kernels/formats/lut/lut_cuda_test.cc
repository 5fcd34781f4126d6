// The resident layer's kernels on a GPU against double precision, on random indices.
#include "kernels/api/error.h"
#include "kernels/cuda/upload.h"
#include "kernels/formats/lut/lut_cuda_fused.h"
#include "kernels/formats/lut/lut_cuda_matrix.h"
#include "kernels/formats/lut/lut_cuda_warpgroup.h"
#include "kernels/formats/lut/lut_cuda_weights.h"
#include "kernels/formats/lut/lut_reference.h"
#include "tests/kernels/cuda/cuda_test.h"
#include "tests/kernels/formats/lut/lut_test_layers.h"
#include "tests/kernels/formats/qtip/cuda_gpus.h"

namespace qtipd {
namespace {

struct LayerCase {
  LutSpec spec;
  Shape shape;
  std::vector<int64_t> batches;
};

// Smallest, rows and columns that are no whole unit, fewer steps than warps, several row blocks
// and columns a warp, uneven shares.
constexpr Shape kShapes[] = {{1, 256},   {16, 256},   {17, 384},   {40, 1152},
                             {96, 4096}, {2130, 512}, {4224, 256}, {5000, 1280}};

std::vector<LayerCase> Cases() {
  std::vector<LayerCase> cases;
  const std::vector<int64_t> batches = {1, 2, 3, 5, 8, 9, 16};
  for (int bits : {1, 2, 3, 4, 8}) {
    for (const Shape shape : kShapes) cases.push_back({{.bits = bits}, shape, batches});
    cases.push_back({{.bits = bits}, {4096, 4096}, {1, 16}});
    for (const Shape shape : {Shape{24, 256}, Shape{40, 1152}, Shape{2130, 512}}) {
      for (int64_t block : {0, 32, 64, 128}) {
        for (bool is_per_channel : {false, true}) {
          for (DType dtype : {DType::kF16, DType::kBF16}) {
            if (block == 0 && dtype == DType::kBF16) continue;
            cases.push_back({{bits, block, is_per_channel, dtype}, shape, {1, 4, 9, 15}});
          }
        }
      }
    }
    // The narrowest rows of each block size, and several passes over the weights.
    cases.push_back({{.bits = bits, .block = 0}, {300, 16}, {1, 16}});
    cases.push_back({{.bits = bits, .block = 32}, {300, 32}, {1, 16}});
    cases.push_back({{.bits = bits, .block = 0}, {64, 2000}, {1, 7, 16}});
    cases.push_back({{.bits = bits}, {300, 512}, {17, 33, 64}});
    // More row blocks than the sums of one chunk have room for.
    cases.push_back({{.bits = bits}, {60000, 256}, {1, 8, 16}});
    // Two to four row blocks a warp of a warpgroup, units that do not split evenly, scales.
    cases.push_back({{.bits = bits}, {9000, 2304}, {9, 16, 17}});
    cases.push_back({{.bits = bits}, {20000, 1024}, {13}});
    cases.push_back({{.bits = bits}, {28672, 512}, {16}});
    for (int64_t block : {0, 64, 128}) {
      const DType dtype = block == 0 ? DType::kF16 : DType::kBF16;
      cases.push_back({{bits, block, false, dtype}, {6000, 640}, {10, 16}});
    }
  }
  return cases;
}

std::string CaseName(const testing::TestParamInfo<LayerCase>& info) {
  const auto& [spec, shape, batches] = info.param;
  return "B" + std::to_string(spec.bits) + "_" + std::to_string(shape.out_features) + "x" +
         std::to_string(shape.in_features) + "_block" + std::to_string(spec.block) +
         (spec.is_per_channel ? "_channel" : "") +
         (spec.scale_dtype == DType::kBF16 ? "_bf16" : "") + "_batches" +
         std::to_string(batches.front()) + "to" + std::to_string(batches.back());
}

LutLayer RandomLayerOf(const LutSpec& spec, Shape shape) {
  return ParseLutLayer(RandomLutLayer(spec, shape, 7)).value();
}

// [batch, out] of W [out, in] and x [batch, in].
std::vector<double> Product(const std::vector<float>& w, const std::vector<float>& x, Shape shape,
                            int64_t batch) {
  const auto [out, in] = shape;
  std::vector<double> y(batch * out);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t r = 0; r < out; ++r) {
      double sum = 0;
      for (int64_t i = 0; i < in; ++i) sum += double{w[r * in + i]} * x[b * in + i];
      y[b * out + r] = sum;
    }
  }
  return y;
}

// What the fused kernels read, beside ResidentWeights, which writes fp16 alone.
struct DeviceLayer {
  Buffer table;
  Buffer packed;
  Buffer arranged;
};

DeviceLayer PutOnDevice(CudaDevice& device, const LutCudaLayout& layout, const LutLayer& layer) {
  DeviceLayer result = {.table = Upload(device, LutCudaTable(layout, layer)).value(),
                        .packed = device.Allocate(layout.packed_bytes()).value(),
                        .arranged = device.Allocate(LutArrangedBytes(layout.in_features)).value()};
  const Buffer scales = Upload(device, layer.scales).value();
  const Buffer indices = Upload(device, layer.indices.bytes()).value();
  EXPECT_TRUE(
      LaunchLutRepack(device, layout, indices.data(), scales.data(), result.packed.data()).ok());
  EXPECT_TRUE(device.Synchronize().ok());
  return result;
}

class LutCudaTest : public CudaTest, public testing::WithParamInterface<LayerCase> {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) return;
    layer_ = RandomLayerOf(GetParam().spec, GetParam().shape);
    auto weights = LoadLutOnCuda(device(), layer_);
    ASSERT_TRUE(weights.ok()) << weights.status();
    weights_ = std::move(*weights);
  }

  LutLayer layer_;
  std::unique_ptr<ResidentWeights> weights_;
};

// fp32 sums of exact products of fp16 numbers, scaled in fp32.
constexpr double kTolerance = 2e-6;

TEST_P(LutCudaTest, FusedKernelAgreesWithDoublePrecisionAndWithItself) {
  const auto& [spec, shape, batches] = GetParam();
  const std::vector<float> w = LutReferenceWeights(layer_);
  const DeviceLayer on_device = PutOnDevice(device(), LutCudaLayoutOf(spec, shape), layer_);
  for (const int64_t batch : batches) {
    SCOPED_TRACE(testing::Message() << "batch " << batch);
    const LutFusedProblem problem = {LutCudaLayoutOf(spec, shape), batch, DType::kF32};
    const std::vector<uint16_t> u = ToHalf(NormalValues(batch * shape.in_features, 5));
    const std::vector<double> expected = Product(w, ToFloat(u), shape, batch);
    const Buffer activations = Upload(u);
    GuardedOutput<float> first(device(), expected.size());
    GuardedOutput<float> second(device(), expected.size());
    for (const auto* z : {&first, &second}) {
      ASSERT_OK(LaunchLutFused(device(), problem, on_device.packed.data(), on_device.table.data(),
                               activations.data(), z->data(), on_device.arranged.data()));
    }
    const std::vector<float> z = first.Take();
    EXPECT_LT(RelativeError(z, expected), kTolerance);
    EXPECT_EQ(second.Take(), z) << "not deterministic";
    GuardedOutput<uint16_t> rounded(device(), expected.size());
    ASSERT_OK(weights_->Multiply(0, batch, activations.data(), rounded.data()));
    EXPECT_EQ(rounded.Take(), ToHalf(z));
  }
}

TEST_P(LutCudaTest, DecodesEveryWeight) {
  const std::vector<float> expected = LutReferenceWeights(layer_);
  GuardedOutput<float> wide(device(), expected.size());
  ASSERT_OK(weights_->DecodeOriginal(wide.data(), DType::kF32, NoProgress()));
  EXPECT_TRUE(wide.Take() == expected);
  GuardedOutput<uint16_t> narrow(device(), expected.size());
  ASSERT_OK(weights_->Decode(0, narrow.data()));
  EXPECT_TRUE(narrow.Take() == ToHalf(expected));
}

INSTANTIATE_TEST_SUITE_P(Layers, LutCudaTest, testing::ValuesIn(Cases()), CaseName);

class LutCudaConfigurations : public CudaTest {
 protected:
  // Multiplies with every configuration that `gpu` or another number of warps would have.
  void CompareConfigurations(const LutSpec& spec, Shape shape, int64_t batch) {
    const LutLayer layer = RandomLayerOf(spec, shape);
    const LutFusedProblem problem = {LutCudaLayoutOf(spec, shape), batch, DType::kF32};
    const std::vector<uint16_t> u = ToHalf(NormalValues(batch * shape.in_features, 5));
    const std::vector<double> expected =
        Product(LutReferenceWeights(layer), ToFloat(u), shape, batch);
    const Buffer activations = Upload(u);
    const DeviceLayer on_device = PutOnDevice(device(), problem.layout, layer);
    const LutFusedConfig chosen = ChooseLutFusedConfig(problem, device().limits());
    CudaLimits slice = LimitsOf("H100 slice");
    slice.has_warpgroup_mma &= device().limits().has_warpgroup_mma;
    std::vector<LutFusedConfig> configs = {chosen,
                                           ChooseLutFusedConfig(problem, LimitsOf("A10")),
                                           ChooseLutFusedConfig(problem, slice),
                                           ChooseLutFusedConfig(problem, LimitsOf("B200")),
                                           WithLutBlocks(problem, device().limits(), chosen, 8, 1),
                                           WithLutBlocks(problem, device().limits(), chosen, 8, 2)};
    if (LutHasRowPieces(spec.bits) && !spec.is_per_channel && batch == 1) {
      LutFusedConfig other = chosen;
      other.uses_sums = !chosen.uses_sums;
      configs.push_back(WithLutBlocks(problem, device().limits(), other, 16, 1));
    }
    if (TakesLutWarpgroups(problem.layout, device().limits())) {
      configs.push_back(LutWarpgroupConfig(problem.layout, device().limits()));
    }
    for (const LutFusedConfig& config : configs) {
      SCOPED_TRACE(config.ToString());
      GuardedOutput<float> z(device(), expected.size());
      ASSERT_OK(LaunchLutFusedAs(device(), config, problem, on_device.packed.data(),
                                 on_device.table.data(), activations.data(), z.data(),
                                 on_device.arranged.data()));
      EXPECT_LT(RelativeError(z.Take(), expected), kTolerance);
    }
  }
};

TEST_F(LutCudaConfigurations, OfOtherGpusGiveTheSameSums) {
  for (int bits : {1, 2, 3, 4, 8}) {
    for (int64_t batch : {1, 8, 16}) {
      for (const Shape shape : {Shape{2130, 512}, Shape{40, 1152}}) {
        SCOPED_TRACE(testing::Message() << bits << " bits, batch " << batch);
        CompareConfigurations({.bits = bits}, shape, batch);
        CompareConfigurations({.bits = bits, .is_per_channel = true}, shape, batch);
      }
    }
  }
}

// More row blocks than a block of a slice takes at once, more units than its rings hold.
TEST_F(LutCudaConfigurations, OfASliceGoThroughTheRowsInSeveralChunks) {
  for (int bits : {1, 2}) CompareConfigurations({.bits = bits}, {5120, 7424}, 16);
}

// Tables of sums of more columns than there is room for at once, and of strips of one row block.
TEST_F(LutCudaConfigurations, SumsInSeveralChunksOfColumnsAreThoseOfOne) {
  for (int bits : {1, 2}) {
    for (const Shape shape : {Shape{48, 14336}, Shape{2100, 8192}}) {
      SCOPED_TRACE(testing::Message() << bits << " bits");
      CompareConfigurations({.bits = bits}, shape, 1);
      CompareConfigurations({.bits = bits, .block = 32, .scale_dtype = DType::kBF16}, shape, 1);
    }
  }
}

TEST_F(LutCudaConfigurations, ReplicasInAGraphGiveTheSameBits) {
  for (int bits : {1, 2, 4}) {
    const Shape shape = {2130, 1280};
    const auto weights = LoadLutOnCuda(device(), RandomLayerOf({.bits = bits}, shape)).value();
    const Buffer u = Upload(ToHalf(NormalValues(shape.in_features, 5)));
    GuardedOutput<uint16_t> alone(device(), shape.out_features);
    ASSERT_OK(weights->Multiply(0, 1, u.data(), alone.data()));
    const std::vector<uint16_t> expected = alone.Take();
    const auto replicas = weights->Replicate(3).value();
    GuardedOutput<uint16_t> z(device(), shape.out_features);
    const auto recording =
        device()
            .Record([&]() -> absl::Status {
              for (int i = 0; i < 6; ++i) {
                QTIPD_RETURN_IF_ERROR(replicas->Multiply(i % 3, 1, u.data(), z.data()));
              }
              return absl::OkStatus();
            })
            .value();
    ASSERT_OK(recording->Replay().status());
    EXPECT_EQ(z.Take(), expected);
  }
}

TEST_F(LutCudaConfigurations, BatchesThatNoKernelTakesAreRefused) {
  const auto weights = LoadLutOnCuda(device(), RandomLayerOf({}, {16, 256})).value();
  for (int64_t batch : {int64_t{0}, kLutMaxFusedBatch + 1}) {
    const absl::Status status = weights->Multiply(0, batch, nullptr, nullptr);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_EQ(GetErrorInfo(status).reason, "BATCH_UNSUPPORTED");
  }
}

}  // namespace
}  // namespace qtipd
