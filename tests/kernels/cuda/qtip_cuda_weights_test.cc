// The resident layer's kernels against double precision, on random bits.
#include "kernels/formats/qtip/qtip_cuda_weights.h"

#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.h"
#include "kernels/formats/qtip/qtip_incoherence.h"
#include "kernels/formats/qtip/qtip_reference.h"
#include "tests/kernels/cuda/cuda_test.h"

namespace qtipd {
namespace {

TEST(FusedConfig, GivesEveryRowBlockToOneOfAtMostAllMultiprocessors) {
  for (int64_t out = 32; out <= kQtipMaxFeatures; out *= 2) {
    const FusedConfig config =
        ChooseFusedConfig({.out_features = out, .in_features = 4096, .bits = 2, .batch = 1}, 132);
    EXPECT_LE(config.grid, 132) << config.ToString();
    EXPECT_GE(config.grid * ((out / 16 + config.grid - 1) / config.grid), out / 16);
  }
}

TEST(FusedConfig, CoversEveryColumn) {
  for (int64_t in = 32; in <= kQtipMaxFeatures; in *= 2) {
    for (int64_t batch : {1, 2, 16}) {
      const FusedConfig config = ChooseFusedConfig(
          {.out_features = 4096, .in_features = in, .bits = 4, .batch = batch}, 132);
      if (batch > 4) {
        EXPECT_EQ(UnitsPerRow(in) % config.warps_per_row, 0);
      } else if (in <= 8192) {
        EXPECT_EQ(config.warps_per_row * config.units_per_warp, UnitsPerRow(in));
      } else {
        EXPECT_EQ(UnitsPerRow(in) % (16 * 8), 0);
        EXPECT_GT(config.rows_in_flight, 0);
      }
      EXPECT_LE(config.shared_bytes, 163 * 1024) << "more than an A100 has: " << config.ToString();
    }
  }
}

TEST(RotationConfig, SplitsVectorsOverAtMostEightBlocks) {
  for (int64_t n = 32; n <= kQtipMaxFeatures; n *= 2) {
    const RotationConfig config = ChooseRotationConfig(n);
    EXPECT_EQ(int64_t{config.local} * config.blocks, n);
    EXPECT_LE(config.blocks, 8);
    EXPECT_LE(config.local, 16384);
  }
}

struct LayerCase {
  Shape shape;
  int bits;
  int64_t batch;
};

std::vector<LayerCase> Cases() {
  std::vector<LayerCase> cases;
  for (int bits : {2, 3, 4}) {
    for (int64_t batch : {1, 3}) {
      // Smallest, padded units, several row blocks a warp, partial rings, looping over columns.
      for (Shape shape : {Shape{32, 32}, Shape{32, 64}, Shape{64, 128}, Shape{256, 256},
                          Shape{4096, 64}, Shape{32, 4096}, Shape{2048, 8192}, Shape{8192, 2048},
                          Shape{1024, 16384}, Shape{8192, 16384}, Shape{32, 65536}}) {
        cases.push_back({shape, bits, batch});
      }
    }
    cases.push_back({{4096, 4096}, bits, 1});
    cases.push_back({{131072, 256}, bits, 1});
    for (int64_t batch : {5, 9, 16}) {
      for (Shape shape : {Shape{32, 32}, Shape{64, 256}, Shape{512, 1024}, Shape{4096, 128},
                          Shape{8192, 2048}, Shape{32, 32768}}) {
        cases.push_back({shape, bits, batch});
      }
    }
  }
  return cases;
}

std::string CaseName(const testing::TestParamInfo<LayerCase>& info) {
  const LayerCase& c = info.param;
  return "K" + std::to_string(c.bits) + "_" + std::to_string(c.shape.out_features) + "x" +
         std::to_string(c.shape.in_features) + "_batch" + std::to_string(c.batch);
}

class QtipCudaWeightsTest : public CudaTest, public testing::WithParamInterface<LayerCase> {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) return;
    auto weights = LoadQtipOnCuda(device(), layer_);
    ASSERT_TRUE(weights.ok()) << weights.status();
    weights_ = std::move(*weights);
  }

  const LayerCase& case_ = GetParam();
  const QtipLayer layer_ = RandomLayer(case_.shape, case_.bits, 11);
  std::unique_ptr<ResidentWeights> weights_;
};

TEST_P(QtipCudaWeightsTest, FusedKernelAgreesWithDoublePrecision) {
  const auto [out, in] = case_.shape;
  const std::vector<uint16_t> u = ToHalf(NormalValues(case_.batch * in, 5));
  const std::vector<float> uf = ToFloat(u);
  const std::vector<float> w = QtipTrellisWeights(layer_);
  std::vector<double> expected(case_.batch * out);
  for (int64_t b = 0; b < case_.batch; ++b) {
    for (int64_t r = 0; r < out; ++r) {
      double sum = 0;
      for (int64_t i = 0; i < in; ++i) sum += double{w[r * in + i]} * uf[b * in + i];
      expected[b * out + r] = sum;
    }
  }
  const Buffer activations = Upload(u);
  GuardedOutput<float> z(device(), expected.size());
  ASSERT_OK(weights_->Multiply(0, case_.batch, activations.data(), z.data()));
  const std::vector<float> first = z.Take();
  EXPECT_LT(RelativeError(first, expected), 2e-6);
  ASSERT_OK(weights_->Multiply(0, case_.batch, activations.data(), z.data()));
  EXPECT_EQ(z.Take(), first) << "not deterministic";
}

TEST_P(QtipCudaWeightsTest, DecodesEveryWeightExactly) {
  if (case_.batch > 1) GTEST_SKIP() << "decoding has no batch";
  GuardedOutput<uint16_t> w(device(), case_.shape.out_features * case_.shape.in_features);
  ASSERT_OK(weights_->Decode(0, w.data()));
  const std::vector<float> expected = QtipTrellisWeights(layer_);
  EXPECT_TRUE(ToFloat(w.Take()) == expected);
}

INSTANTIATE_TEST_SUITE_P(Layers, QtipCudaWeightsTest, testing::ValuesIn(Cases()), CaseName);

class QtipCudaLinear : public CudaTest {
 protected:
  void Load(Shape shape, int bits) {
    layer_ = RandomLayer(shape, bits, 21);
    auto weights = LoadQtipOnCuda(device(), layer_);
    ASSERT_TRUE(weights.ok()) << weights.status();
    weights_ = std::move(*weights);
  }

  QtipLayer layer_;
  std::unique_ptr<ResidentWeights> weights_;
};

TEST_F(QtipCudaLinear, DecodesTheOriginalBasisToFp32Rounding) {
  for (Shape shape : {Shape{32, 64}, Shape{256, 256}, Shape{512, 1024}}) {
    Load(shape, 3);
    const std::vector<float> expected = QtipReferenceWeights(layer_);
    GuardedOutput<float> wide(device(), expected.size());
    ASSERT_OK(weights_->DecodeOriginal(wide.data(), DType::kF32));
    EXPECT_LT(RelativeError(wide.Take(), expected), 5e-7);
    GuardedOutput<uint16_t> narrow(device(), expected.size());
    ASSERT_OK(weights_->DecodeOriginal(narrow.data(), DType::kF16));
    EXPECT_LT(RelativeError(ToFloat(narrow.Take()), expected), 5e-4);
  }
}

TEST_F(QtipCudaLinear, TheWholeLinearAgreesWithDoublePrecisionInAGraph) {
  for (Shape shape : {Shape{64, 32}, Shape{256, 512}, Shape{2048, 1024}}) {
    for (int64_t batch : {1, 4}) {
      Load(shape, 2);
      const std::vector<uint16_t> x = ToHalf(NormalValues(batch * shape.in_features, 6));
      const std::vector<double> expected = QtipReferenceMultiply(layer_, ToFloat(x), batch);
      const Buffer activations = Upload(x);
      GuardedOutput<uint16_t> u(device(), batch * shape.in_features);
      GuardedOutput<float> z(device(), batch * shape.out_features);
      GuardedOutput<uint16_t> y(device(), batch * shape.out_features);
      const auto replicas = weights_->Replicate(2);
      ASSERT_TRUE(replicas.ok()) << replicas.status();
      auto recording = device().Record([&]() -> absl::Status {
        for (int i = 0; i < 6; ++i) {
          QTIPD_RETURN_IF_ERROR(
              (*replicas)->InputTransform(batch, activations.data(), u.data(), 1));
          QTIPD_RETURN_IF_ERROR((*replicas)->Multiply(i % 2, batch, u.data(), z.data()));
          QTIPD_RETURN_IF_ERROR((*replicas)->OutputTransform(batch, z.data(), y.data(), 2));
        }
        return absl::OkStatus();
      });
      ASSERT_TRUE(recording.ok()) << recording.status();
      ASSERT_TRUE((*recording)->Replay().ok());
      EXPECT_LT(RelativeError(ToFloat(y.Take()), expected), 1e-3);
      u.Take();
      z.Take();
    }
  }
}

TEST_F(QtipCudaLinear, RefusesABatchItHasNoKernelFor) {
  Load({32, 32}, 2);
  const absl::Status status = weights_->Multiply(0, kMaxFusedBatch + 1, nullptr, nullptr);
  EXPECT_EQ(GetErrorInfo(status).reason, "BATCH_UNSUPPORTED");
}

class QtipCudaRotation : public CudaTest, public testing::WithParamInterface<int64_t> {};

TEST_P(QtipCudaRotation, TransformsAgreeWithDoublePrecision) {
  const int64_t n = GetParam();
  const int64_t batch = 2;
  const std::vector<uint16_t> x = ToHalf(NormalValues(batch * n, 7));
  const std::vector<float> z = NormalValues(batch * n, 8);
  const std::vector<float> scale = NormalValues(n, 9);
  const std::vector<float> xf = ToFloat(x);
  std::vector<double> u_expected(batch * n), z_expected(batch * n), y_expected(batch * n);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < n; ++i) {
      u_expected[b * n + i] = double{xf[b * n + i]} * scale[i] / 32;
      z_expected[b * n + i] = z[b * n + i];
    }
    HadamardTransform(std::span(u_expected).subspan(b * n, n));
    HadamardTransform(std::span(z_expected).subspan(b * n, n));
    for (int64_t i = 0; i < n; ++i) {
      y_expected[b * n + i] = z_expected[b * n + i] * scale[i] * 32;
    }
  }
  const Buffer x_device = Upload(x);
  const Buffer scale_device = Upload(scale);
  GuardedOutput<uint16_t> u(device(), batch * n);
  ASSERT_OK(
      LaunchInputRotation(device(), n, batch, x_device.data(), scale_device.data(), u.data()));
  EXPECT_LT(RelativeError(ToFloat(u.Take()), u_expected), 5e-4);
  GuardedOutput<float> z_device(device(), batch * n);
  ASSERT_OK(device().CopyToDevice(z_device.data(), z.data(), z.size() * sizeof(float)));
  GuardedOutput<uint16_t> y(device(), batch * n);
  ASSERT_OK(
      LaunchOutputRotation(device(), n, batch, z_device.data(), scale_device.data(), y.data()));
  EXPECT_LT(RelativeError(ToFloat(y.Take()), y_expected), 5e-4);
  ASSERT_OK(LaunchRotation(device(), n, batch, z_device.data()));
  EXPECT_LT(RelativeError(z_device.Take(), z_expected), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Sizes, QtipCudaRotation,
                         testing::Values(32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
                                         32768, 65536, 131072));

}  // namespace
}  // namespace qtipd
