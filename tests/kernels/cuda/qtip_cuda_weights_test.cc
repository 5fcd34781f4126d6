// The resident layer's kernels against double precision, on random bits.
#include "kernels/formats/qtip/qtip_cuda_weights.h"

#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_cuda_arrange.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"
#include "kernels/formats/qtip/qtip_cuda_hadamard.h"
#include "kernels/formats/qtip/qtip_cuda_matrix.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.h"
#include "kernels/formats/qtip/qtip_incoherence.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_reference.h"
#include "tests/kernels/cuda/cuda_test.h"
#include "tests/kernels/formats/qtip/cuda_gpus.h"

namespace qtipd {
namespace {

TEST(HadamardSigns, AreTheMatrixInBlocksOfFour) {
  for (const int order : kHadamardOrders) {
    const std::vector<int8_t> matrix = HadamardMatrix(order, HadamardDirection::kTransposed);
    const std::vector<uint16_t> words = PackHadamardSigns(order, HadamardDirection::kTransposed);
    ASSERT_EQ(words.size() * 16, matrix.size());
    EXPECT_LE(words.size() * sizeof(uint16_t), kMaxHadamardSignBytes);
    for (int i = 0; i < order * order; ++i) {
      const int row = i / order, col = i % order;
      const int word = words[col / 4 * (order / 4) + row / 4];
      ASSERT_EQ(word >> (4 * (col % 4) + row % 4) & 1, matrix[i] < 0) << order << " " << i;
    }
  }
}

struct LayerCase {
  Shape shape;
  int bits;
  int64_t batch;
};

std::vector<LayerCase> Cases() {
  std::vector<LayerCase> cases;
  for (int bits : {1, 2, 3, 4}) {
    for (int64_t batch : {1, 3}) {
      // Smallest, padded units, several row blocks a warp, partial rings, looping over columns.
      for (Shape shape : {Shape{32, 32}, Shape{32, 64}, Shape{64, 128}, Shape{256, 256},
                          Shape{4096, 64}, Shape{32, 4096}, Shape{2048, 8192}, Shape{8192, 2048},
                          Shape{1024, 16384}, Shape{8192, 16384}, Shape{32, 65536},
                          // Units that do not split evenly: fewer than warps, one or two a warp,
                          // several chains, with every number of row blocks in flight.
                          Shape{96, 96}, Shape{160, 288}, Shape{32, 2496}, Shape{1376, 3072},
                          Shape{224, 5120}, Shape{4096, 11008}, Shape{13824, 5120},
                          Shape{5120, 13824}, Shape{32, 53248}, Shape{11008, 14336}}) {
        cases.push_back({shape, bits, batch});
      }
    }
    cases.push_back({{4096, 4096}, bits, 1});
    cases.push_back({{131072, 256}, bits, 1});
    // Several rounds of sums of a warpgroup, of which the last has units of some groups alone.
    cases.push_back({{20480, 4992}, bits, 17});
    for (int64_t batch : {5, 9, 16, 17, 32, 37}) {
      for (Shape shape :
           {Shape{32, 32}, Shape{64, 256}, Shape{512, 1024}, Shape{4096, 128}, Shape{8192, 2048},
            Shape{2496, 4096}, Shape{2496, 8192}, Shape{32, 32768}, Shape{96, 96}, Shape{32, 288},
            Shape{1376, 2496}, Shape{4096, 11008},
            // Two to four row blocks a warp, some or all of the last ones missing;
            // several rounds.
            Shape{10240, 384}, Shape{16384, 1024}, Shape{28672, 512}, Shape{40960, 256}}) {
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

// As on devices whose blocks get 99 KiB, and on those whose warps multiply by themselves.
class QtipCudaOtherDevices : public CudaTest, public testing::WithParamInterface<LayerCase> {};

TEST_P(QtipCudaOtherDevices, GiveTheSameSumsToFp32Rounding) {
  const auto& [shape, bits, batch] = GetParam();
  const QtipLayer layer = RandomLayer(shape, bits, 12);
  const FusedProblem problem = {.out_features = shape.out_features,
                                .in_features = shape.in_features,
                                .bits = bits,
                                .batch = batch};
  const Buffer trellis = Upload(layer.trellis);
  const Buffer table = Upload(layer.tlut);
  const Buffer u = Upload(ToHalf(NormalValues(batch * shape.in_features, 5)));
  auto packed = device().Allocate(UnitLayerBytes(shape.out_features, shape.in_features, bits));
  ASSERT_OK(packed.status());
  ASSERT_OK(LaunchRepack(device(), shape, layer.spec, trellis.data(), packed->data()));
  GuardedOutput<float> here(device(), batch * shape.out_features);
  const auto scratch = device().Allocate(ArrangedBytes(shape.in_features, kMaxFusedColumns));
  ASSERT_OK(scratch.status());
  ASSERT_OK(LaunchFused(device(), problem, packed->data(), table.data(), u.data(), here.data(),
                        scratch->data()));
  const std::vector<float> expected = here.Take();
  for (const char* gpu : {"A10", "A100", "B200", "H100 slice"}) {
    CudaLimits limits = LimitsOf(gpu);
    limits.has_warpgroup_mma &= device().limits().has_warpgroup_mma;
    GuardedOutput<float> there(device(), expected.size());
    ASSERT_OK(LaunchFusedAs(device(), limits, problem, packed->data(), table.data(), u.data(),
                            there.data(), scratch->data()));
    EXPECT_LT(RelativeError(there.Take(), expected), 2e-6) << gpu;
  }
}

std::vector<LayerCase> OtherDeviceCases() {
  std::vector<LayerCase> cases;
  for (int bits : {1, 2, 3, 4}) {
    for (int64_t batch : {1, 3, 5, 16, 29}) {
      for (Shape shape : {Shape{32, 32}, Shape{4096, 4096}, Shape{1376, 2496}, Shape{64, 16384},
                          Shape{13824, 512}}) {
        cases.push_back({shape, bits, batch});
      }
    }
    // With the blocks of a slice two chunks of row blocks, each of two rounds.
    cases.push_back({{5120, 4352}, bits, 29});
  }
  return cases;
}

TEST_P(QtipCudaWeightsTest, DecodesEveryWeightExactly) {
  if (case_.batch > 1) GTEST_SKIP() << "decoding has no batch";
  GuardedOutput<uint16_t> w(device(), case_.shape.out_features * case_.shape.in_features);
  ASSERT_OK(weights_->Decode(0, w.data()));
  const std::vector<float> expected = QtipTrellisWeights(layer_);
  EXPECT_TRUE(ToFloat(w.Take()) == expected);
}

INSTANTIATE_TEST_SUITE_P(Layers, QtipCudaOtherDevices, testing::ValuesIn(OtherDeviceCases()),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(Layers, QtipCudaWeightsTest, testing::ValuesIn(Cases()), CaseName);

class QtipCudaLinear : public CudaTest {
 protected:
  void Load(Shape shape, int bits, int rcp = 0, int tp_rank = 8) {
    layer_ = RandomLayer(shape, bits, 21);
    layer_.rcp = rcp;
    layer_.tp_rank = tp_rank;
    auto weights = LoadQtipOnCuda(device(), layer_);
    ASSERT_TRUE(weights.ok()) << weights.status();
    weights_ = std::move(*weights);
  }

  QtipLayer layer_;
  std::unique_ptr<ResidentWeights> weights_;
};

struct LinearCase {
  Shape shape;
  int rcp = 0;
  int tp_rank = 8;
};

constexpr LinearCase kLinears[] = {
    {{64, 32}},         {{256, 512}},       {{2048, 1024}},    {{32, 96}},
    {{160, 288}},       {{1376, 864}},      {{64, 11008}},     {{11008, 96}},
    {{32, 28672}},      {{14336, 32}},      {{32, 57344}},     {{53248, 32}},
    {{96, 256}, 1},     {{64, 14336}, 1},   {{256, 96}, 2},    {{11008, 64}, 2},
    {{64, 2752}, 1, 2}, {{896, 160}, 2, 4}, {{96, 480}, 1, 5}, {{32, 131072}, 1, 2}};

TEST_F(QtipCudaLinear, DecodesTheOriginalBasisToFp32Rounding) {
  for (const auto& [shape, rcp, tp_rank] : kLinears) {
    SCOPED_TRACE(testing::Message() << shape.out_features << "x" << shape.in_features << " rcp "
                                    << rcp << " of " << tp_rank);
    Load(shape, 3, rcp, tp_rank);
    const std::vector<float> expected = QtipReferenceWeights(layer_);
    GuardedOutput<float> wide(device(), expected.size());
    ASSERT_OK(weights_->DecodeOriginal(wide.data(), DType::kF32, NoProgress()));
    EXPECT_LT(RelativeError(wide.Take(), expected), 5e-7);
    GuardedOutput<uint16_t> narrow(device(), expected.size());
    ASSERT_OK(weights_->DecodeOriginal(narrow.data(), DType::kF16, NoProgress()));
    EXPECT_LT(RelativeError(ToFloat(narrow.Take()), expected), 5e-4);
  }
}

// What rounding y adds to the error of what was computed in fp16: the bound for fp16 has it.
double HalfUlp(DType activations) { return activations == DType::kBF16 ? 0x1p-8 : 0; }

TEST_F(QtipCudaLinear, TakesBothHalfTypesAndNoOther) {
  Load({64, 128}, 2);
  EXPECT_EQ(weights_->activation_dtype(), DType::kF16);
  EXPECT_EQ(weights_->Replicate(1, DType::kBF16).value()->activation_dtype(), DType::kBF16);
  EXPECT_EQ(GetErrorInfo(weights_->Replicate(1, DType::kF32).status()).reason,
            "ACTIVATION_DTYPE_UNSUPPORTED");
}

// An x beyond fp16's range, which only the way in may narrow: rotated it is within it.
TEST_F(QtipCudaLinear, BF16ActivationsMayExceedFp16sRange) {
  for (const Shape shape : {Shape{256, 4096}, Shape{256, 2496}}) {
    Load(shape, 2);
    std::vector<float> values = NormalValues(shape.in_features, 6);
    values[5] = 100000;
    const std::vector<uint16_t> x = ToHalf(values, DType::kBF16);
    const std::vector<double> expected = QtipReferenceMultiply(layer_, ToFloat(x, DType::kBF16), 1);
    const Buffer activations = Upload(x);
    const Buffer u = device().Allocate(2 * shape.in_features).value();
    const Buffer z = device().Allocate(4 * shape.out_features).value();
    GuardedOutput<uint16_t> y(device(), shape.out_features);
    const auto weights = weights_->Replicate(1, DType::kBF16).value();
    ASSERT_OK(weights->Linear(0, 1, activations.data(), u.data(), z.data(), y.data()));
    const double bound = 1e-3 + HalfUlp(DType::kBF16);
    EXPECT_LT(RelativeError(ToFloat(y.Take(), DType::kBF16), expected), bound);
  }
}

TEST_F(QtipCudaLinear, TheWholeLinearAgreesWithDoublePrecisionInAGraph) {
  for (const auto& [shape, rcp, tp_rank] : kLinears) {
    for (int64_t batch : {1, 4, 9}) {
      SCOPED_TRACE(testing::Message() << shape.out_features << "x" << shape.in_features << " rcp "
                                      << rcp << " of " << tp_rank << " batch " << batch);
      Load(shape, 2, rcp, tp_rank);
      for (const DType dtype : {DType::kF16, DType::kBF16}) {
        const std::vector<uint16_t> x = ToHalf(NormalValues(batch * shape.in_features, 6), dtype);
        const std::vector<double> expected =
            QtipReferenceMultiply(layer_, ToFloat(x, dtype), batch);
        const Buffer activations = Upload(x);
        GuardedOutput<uint16_t> u(device(), batch * shape.in_features);
        GuardedOutput<float> z(device(), batch * shape.out_features);
        GuardedOutput<uint16_t> y(device(), batch * shape.out_features);
        const auto replicas = weights_->Replicate(2, dtype);
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
        EXPECT_LT(RelativeError(ToFloat(y.Take(), dtype), expected), 1e-3 + HalfUlp(dtype));
        u.Take();
        z.Take();
      }
    }
  }
}

// Power-of-two inputs that the fused kernel rotates, others, outputs of every kind of order, and
// what is left to the steps.
TEST_F(QtipCudaLinear, TheLinearInFewerKernelsAgreesWithDoublePrecision) {
  std::vector<LinearCase> cases(std::begin(kLinears), std::end(kLinears));
  for (const Shape shape :
       {Shape{4096, 2048}, Shape{4096, 4096}, Shape{1024, 8192}, Shape{256, 8192},
        Shape{14336, 2048}, Shape{28672, 256}, Shape{11008, 4096}, Shape{13824, 512},
        Shape{5120, 2048}, Shape{16, 4096}, Shape{96, 8192}, Shape{131072, 64},
        Shape{57344, 128}}) {
    if (CheckQtipShape(shape).ok()) cases.push_back({shape});
  }
  for (const auto& [shape, rcp, tp_rank] : cases) {
    for (const int bits : {1, 2, 3, 4}) {
      SCOPED_TRACE(testing::Message() << shape.out_features << "x" << shape.in_features << " rcp "
                                      << rcp << " of " << tp_rank << " K" << bits);
      if (bits != 2 && shape.out_features * shape.in_features > 1 << 22) continue;
      Load(shape, bits, rcp, tp_rank);
      for (const DType dtype : {DType::kF16, DType::kBF16}) {
        const std::vector<uint16_t> x = ToHalf(NormalValues(shape.in_features, 6), dtype);
        const std::vector<double> expected = QtipReferenceMultiply(layer_, ToFloat(x, dtype), 1);
        const Buffer activations = Upload(x);
        GuardedOutput<uint16_t> u(device(), shape.in_features);
        GuardedOutput<float> z(device(), shape.out_features);
        GuardedOutput<uint16_t> y(device(), shape.out_features);
        const auto weights = weights_->Replicate(1, dtype);
        ASSERT_TRUE(weights.ok()) << weights.status();
        auto recording = device().Record([&]() -> absl::Status {
          for (int i = 0; i < 3; ++i) {
            QTIPD_RETURN_IF_ERROR(
                (*weights)->Linear(0, 1, activations.data(), u.data(), z.data(), y.data()));
          }
          return absl::OkStatus();
        });
        ASSERT_TRUE(recording.ok()) << recording.status();
        ASSERT_TRUE((*recording)->Replay().ok());
        const std::vector<uint16_t> first = y.Take();
        EXPECT_LT(RelativeError(ToFloat(first, dtype), expected), 1e-3 + HalfUlp(dtype));
        ASSERT_TRUE((*recording)->Replay().ok());
        EXPECT_EQ(y.Take(), first) << "not deterministic";
        u.Take();
        z.Take();
      }
    }
  }
}

TEST_F(QtipCudaLinear, RefusesABatchItHasNoKernelFor) {
  Load({32, 32}, 2);
  const absl::Status status = weights_->Multiply(0, kMaxFusedBatch + 1, nullptr, nullptr);
  EXPECT_EQ(GetErrorInfo(status).reason, "BATCH_UNSUPPORTED");
}

class QtipCudaRotation : public CudaTest, public testing::WithParamInterface<int64_t> {
 protected:
  // With what is chosen for `as`.
  void Check(const CudaLimits& as, int64_t batch);
  void Check(const CudaLimits& as, int64_t batch, DType dtype);

  CudaRotation Rotation(HadamardDirection direction) {
    auto rotation = MakeCudaRotation(device(), {.size = GetParam()}, direction);
    EXPECT_TRUE(rotation.ok()) << rotation.status();
    return *std::move(rotation);
  }
};

void QtipCudaRotation::Check(const CudaLimits& as, int64_t batch) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) Check(as, batch, dtype);
}

void QtipCudaRotation::Check(const CudaLimits& as, int64_t batch, DType dtype) {
  SCOPED_TRACE(testing::Message() << "batch " << batch << " " << DTypeName(dtype));
  const double half_ulp = dtype == DType::kBF16 ? 4e-3 : 5e-4;
  const int64_t n = GetParam();
  const std::vector<uint16_t> x = ToHalf(NormalValues(batch * n, 7), dtype);
  const std::vector<float> z = NormalValues(batch * n, 8);
  const std::vector<float> scale = NormalValues(n, 9);
  const std::vector<float> xf = ToFloat(x, dtype);
  std::vector<double> u_expected(batch * n), z_expected(batch * n), y_expected(batch * n);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < n; ++i) {
      u_expected[b * n + i] = double{xf[b * n + i]} * scale[i] / 32;
      z_expected[b * n + i] = z[b * n + i];
    }
    HadamardTransform(std::span(u_expected).subspan(b * n, n), HadamardDirection::kTransposed);
    HadamardTransform(std::span(z_expected).subspan(b * n, n), HadamardDirection::kForward);
    for (int64_t i = 0; i < n; ++i) {
      y_expected[b * n + i] = z_expected[b * n + i] * scale[i] * 32;
    }
  }
  const CudaRotation input = Rotation(HadamardDirection::kTransposed);
  const CudaRotation output = Rotation(HadamardDirection::kForward);
  const Buffer x_device = Upload(x);
  const Buffer scale_device = Upload(scale);
  GuardedOutput<uint16_t> u(device(), batch * n);
  ASSERT_OK(LaunchInputRotationAs(device(), as, input, batch, x_device.data(), scale_device.data(),
                                  u.data(), dtype));
  EXPECT_LT(RelativeError(ToFloat(u.Take()), u_expected), 5e-4) << "u is fp16 always";
  GuardedOutput<float> z_device(device(), batch * n);
  ASSERT_OK(device().CopyToDevice(z_device.data(), z.data(), z.size() * sizeof(float)));
  GuardedOutput<uint16_t> y(device(), batch * n);
  ASSERT_OK(LaunchOutputRotationAs(device(), as, output, batch, z_device.data(),
                                   scale_device.data(), y.data(), dtype));
  EXPECT_LT(RelativeError(ToFloat(y.Take(), dtype), y_expected), half_ulp);
  ASSERT_OK(LaunchOutputRotationAs(device(), as, output, batch, z_device.data(), nullptr, y.data(),
                                   dtype));
  EXPECT_LT(RelativeError(ToFloat(y.Take(), dtype), z_expected), half_ulp);
  EXPECT_EQ(z_device.Take(), z) << "the input was written to";
}

TEST_P(QtipCudaRotation, AgreesWithDoublePrecisionForFewVectors) { Check(device().limits(), 2); }

TEST_P(QtipCudaRotation, AgreesWithDoublePrecisionForManyVectors) { Check(device().limits(), 9); }

// What GPUs without clusters take, and with 99 KiB of shared memory for a block.
TEST_P(QtipCudaRotation, AgreesWithDoublePrecisionAsOnSmallerGpus) {
  for (const char* gpu : {"A100", "A10", "RTX 5090"}) {
    for (const int64_t batch : {2, 9}) {
      const RotationProblem problem = {.size = GetParam(), .vectors = batch, .has_scales = true};
      if (ChooseRotationConfig(problem, LimitsOf(gpu)).ok()) Check(LimitsOf(gpu), batch);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(PowersOfTwo, QtipCudaRotation,
                         testing::Values(32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
                                         32768, 65536, 131072));
// The smallest and the largest of every order, and sizes of published layers.
INSTANTIATE_TEST_SUITE_P(Orders, QtipCudaRotation,
                         testing::Values(96, 98304, 160, 81920, 224, 114688, 288, 73728, 416,
                                         106496, 480, 122880, 864, 110592, 928, 118784, 992, 126976,
                                         1120, 71680, 1248, 79872, 1376, 88064));
INSTANTIATE_TEST_SUITE_P(Published, QtipCudaRotation,
                         testing::Values(3072, 5120, 10240, 11008, 13824, 14336, 28672, 53248,
                                         57344));

class QtipCudaMatrix : public CudaTest {};

TEST_F(QtipCudaMatrix, BothSidesAreTransformedInBothDirections) {
  for (const Shape shape : {Shape{32, 64}, Shape{160, 96}, Shape{1376, 288}, Shape{64, 14336}}) {
    for (const auto direction : {HadamardDirection::kForward, HadamardDirection::kTransposed}) {
      const auto [out, in] = shape;
      const std::vector<float> values = NormalValues(out * in, 3);
      std::vector<double> expected(values.begin(), values.end());
      ThreadPool pool(2);
      HadamardRows(pool, std::span(expected), out, in, direction);
      HadamardColumns(pool, std::span(expected), out, in, direction);
      const auto rows = MakeCudaRotation(device(), {.size = out}, direction);
      const auto cols = MakeCudaRotation(device(), {.size = in}, direction);
      ASSERT_OK(rows.status());
      ASSERT_OK(cols.status());
      GuardedOutput<float> matrix(device(), values.size());
      ASSERT_OK(device().CopyToDevice(matrix.data(), values.data(), values.size() * sizeof(float)));
      ASSERT_OK(LaunchMatrixHadamard(device(), matrix.data(), *rows, *cols));
      EXPECT_LT(RelativeError(matrix.Take(), expected), 1e-6) << out << "x" << in;
    }
  }
}

}  // namespace
}  // namespace qtipd
