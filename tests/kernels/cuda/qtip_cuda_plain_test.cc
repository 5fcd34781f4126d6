// Codes in the plain layout on a GPU: the search against golden paths and published distortion,
// decoding and the fused kernel against double precision.
#include "kernels/formats/qtip/qtip_cuda_plain.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <map>

#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_cuda_matrix.h"
#include "kernels/formats/qtip/qtip_cuda_quantize.h"
#include "kernels/formats/qtip/qtip_cuda_viterbi.h"
#include "kernels/formats/qtip/qtip_cuda_weights.h"
#include "kernels/formats/qtip/qtip_format.h"
#include "kernels/formats/qtip/qtip_packing.h"
#include "kernels/formats/qtip/qtip_reference.h"
#include "kernels/formats/qtip/qtip_viterbi.h"
#include "tests/kernels/cuda/cuda_test.h"
#include "tests/kernels/formats/qtip/cuda_gpus.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

std::vector<QtipCodeSpec> PlainSpecs() {
  std::vector<QtipCodeSpec> specs;
  for (const QtipCodeInfo& info : QtipCodes()) {
    for (int bits = kQtipMinBits; bits <= kQtipMaxBits; ++bits) {
      for (int vector_dim : {1, 2}) {
        if (vector_dim != info.default_vector_dim && info.code != QtipCode::kLut) continue;
        const QtipCodeSpec spec{.code = info.code,
                                .bits = bits,
                                .vector_dim = vector_dim,
                                .table_bits = info.table_bits < 0 ? 16 : info.table_bits};
        if (HasPlainKernels(spec)) specs.push_back(spec);
      }
    }
  }
  return specs;
}

std::string Name(const QtipCodeSpec& spec) {
  return std::string(QtipCodeInfoOf(spec.code).name) + "_V" + std::to_string(spec.vector_dim) +
         "_K" + std::to_string(spec.bits);
}

class QtipCudaPlain : public CudaTest, public testing::WithParamInterface<QtipCodeSpec> {
 protected:
  // States of the tiles of a matrix [rows, cols], no feedback; checks what the kernel leaves.
  std::vector<uint16_t> Encode(const std::vector<float>& matrix, int64_t cols,
                               const QtipTable& table) {
    const Buffer weights = Upload(matrix);
    const Buffer values = Upload(table.weights);
    const Buffer halves = Upload(ToHalf(table.weights));
    const auto tiles = static_cast<int64_t>(matrix.size()) / kQtipTileWeights;
    const Shape shape = {static_cast<int64_t>(matrix.size()) / cols, cols};
    GuardedOutput<uint16_t> trellis(device(),
                                    QtipTrellisWords(shape.out_features, cols, spec_.bits));
    auto scratch = device().Allocate(EncodeScratchBytes(device(), spec_));
    EXPECT_TRUE(scratch.ok()) << scratch.status();
    EXPECT_TRUE(device().Fill(scratch->data(), 0xFF, scratch->bytes()).ok());
    const absl::Status launched = LaunchEncode(device(), spec_,
                                               {.weights = weights.as<float>(),
                                                .trellis = trellis.data(),
                                                .values = values.as<float>(),
                                                .halves = halves.as<uint16_t>(),
                                                .reach = Reach(table),
                                                .scratch = scratch->data(),
                                                .cols = cols,
                                                .tile_count = tiles});
    EXPECT_TRUE(launched.ok()) << launched;
    std::vector<uint16_t> result = StatesOf(trellis.Take(), spec_, shape);
    double left = 0;
    for (float error : Download<float>(weights.data(), matrix.size()))
      left += double{error} * error;
    EXPECT_NEAR(Cost(matrix, cols, result, table), left, 1e-5 * left);
    return result;
  }

  static float Reach(const QtipTable& table) {
    float reach = 0;
    for (const float weight : table.weights) reach = std::max(reach, std::abs(weight));
    return reach;
  }

  double Cost(const std::vector<float>& matrix, int64_t cols, const std::vector<uint16_t>& states,
              const QtipTable& table) const {
    double cost = 0;
    for (size_t i = 0; i < matrix.size(); ++i) {
      const int64_t row = static_cast<int64_t>(i) / cols;
      const int64_t col = static_cast<int64_t>(i) % cols;
      const int64_t tile = row / 16 * (cols / 16) + col / 16;
      const int position = static_cast<int>(row % 16 * 16 + col % 16);
      const int dim = spec_.vector_dim;
      const uint16_t state = states[tile * spec_.steps() + position / dim];
      cost += std::pow(double{matrix[i]} - table.weights[state * dim + position % dim], 2);
    }
    return cost;
  }

  absl::StatusOr<PackedLayer> Quantize(Shape shape, std::vector<float> weights,
                                       std::vector<float> hessian, double scale_override) {
    const auto options = CheckOptions(MakeQtipFormat()->schema(),
                                      {{"code", std::string(QtipCodeInfoOf(spec_.code).name)},
                                       {"bits", int64_t{spec_.bits}},
                                       {"vector_dim", int64_t{spec_.vector_dim}},
                                       {"scale_override", scale_override}});
    const QuantizeProblem problem = {
        .shape = shape, .weights = weights, .hessian = hessian, .options = *options};
    NoProgress progress;
    return QuantizeQtipOnCuda(device(), problem, *MakeQtipIngredients(problem), progress, report_);
  }

  const QtipCodeSpec spec_ = GetParam();
  QuantizeReport report_;
};

TEST_P(QtipCudaPlain, PathsCostNoMoreThanTheGoldenOnes) {
  if (spec_.bits == 1 || spec_.vector_dim == 2) GTEST_SKIP() << "no golden paths";
  const GoldenFile golden("qtip_v1");
  const std::string code(QtipCodeInfoOf(spec_.code).name);
  QtipTable table = MakeQtipTable(spec_, QtipDefaultTable(spec_));
  if (spec_.code == QtipCode::kLut) table.weights = golden.Floats("v1/lut/table_fp32");
  if (spec_.code == QtipCode::kQuantLut) {
    table.weights = GoldenFile("qtip_codes").Floats("decode_quantlut_v1");
  }
  // A sequence is a tile of the plain layout.
  const std::vector<float> sequences = golden.Floats("v1/S");
  std::vector<float> matrix(sequences.size());
  constexpr int64_t kCols = 128;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const auto tile = static_cast<int64_t>(i) / 256;
    const auto p = static_cast<int64_t>(i) % 256;
    matrix[(tile / 8 * 16 + p / 16) * kCols + tile % 8 * 16 + p % 16] =
        HalfToFloat(FloatToHalf(sequences[i]));
  }
  const std::vector<uint16_t> golden_states =
      golden.Words("v1/" + code + "/" + GoldenKey(spec_.bits, "states_u16"));
  const double golden_cost = Cost(matrix, kCols, golden_states, table);
  const double cost = Cost(matrix, kCols, Encode(matrix, kCols, table), table);
  std::cout << "cost " << cost << " golden " << golden_cost << " ratio " << cost / golden_cost
            << "\n";
  EXPECT_LE(cost, 1.001 * golden_cost);
}

TEST_P(QtipCudaPlain, PathsAreClosedCircles) {
  const QtipTable table = MakeQtipTable(spec_, QtipDefaultTable(spec_));
  // 15 tiles: the last pair is one alone.
  const std::vector<uint16_t> states = Encode(NormalValues(48 * 80, 3), 80, table);
  const int steps = spec_.steps();
  for (size_t i = 0; i < states.size(); ++i) {
    const size_t next = static_cast<int>(i % steps) == steps - 1 ? i + 1 - steps : i + 1;
    ASSERT_EQ(states[i] & (0xFFFF >> spec_.step_bits()), states[next] >> spec_.step_bits()) << i;
  }
}

TEST_P(QtipCudaPlain, ATileIsEncodedTheSameBesideAnyOther) {
  const QtipTable table = MakeQtipTable(spec_, QtipDefaultTable(spec_));
  const std::vector<float> one = NormalValues(256, 5);
  std::vector<float> two = NormalValues(512, 6);  // [16, 32]: the second tile is replaced
  for (int row = 0; row < 16; ++row) {
    std::copy_n(one.begin() + row * 16, 16, two.begin() + row * 32 + 16);
  }
  two[3] = 1e4f;  // an outlier in the other tile
  const std::vector<uint16_t> alone = Encode(one, 16, table);
  const std::vector<uint16_t> beside = Encode(two, 32, table);
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), beside.begin() + spec_.steps()));
}

TEST_P(QtipCudaPlain, OutliersAreMetAsNearAsTheCodeReaches) {
  const QtipTable table = MakeQtipTable(spec_, QtipDefaultTable(spec_));
  std::vector<float> matrix = NormalValues(32 * 64, 4);
  const double usual = Cost(matrix, 64, Encode(matrix, 64, table), table);
  double unavoidable = 0;
  const float reach = *std::max_element(table.weights.begin(), table.weights.end());
  for (size_t i = 0; i < matrix.size(); i += 512) {
    matrix[i] = 1000;
    unavoidable += std::pow(1000 - reach, 2);
  }
  const double cost = Cost(matrix, 64, Encode(matrix, 64, table), table);
  EXPECT_LE(cost - unavoidable, 2 * usual + 0.002 * unavoidable);
}

TEST_P(QtipCudaPlain, QuantizesWithAndWithoutFeedback) {
  const Shape shape = {96, 160};
  if (!CheckQtipShape(shape).ok()) GTEST_SKIP() << "no such shape yet";
  const std::vector<float> weights = NormalValues(shape.out_features * shape.in_features, 1);
  std::vector<float> hessian(shape.in_features * shape.in_features);
  for (int64_t i = 0; i < shape.in_features; ++i) {
    for (int64_t j = 0; j < shape.in_features; ++j) {
      hessian[i * shape.in_features + j] = std::pow(0.95f, std::abs(i - j));
    }
  }
  ASSERT_TRUE(Quantize(shape, weights, {}, 1).ok());
  const double without = report_.proxy_error;
  const auto with = Quantize(shape, weights, hessian, 1);
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_LT(report_.proxy_error, without);
}

TEST_P(QtipCudaPlain, HasThePublishedDistortion) {
  // 2^20 samples of N(0,1), source scale 1; measured with QTIP's own encoder.
  const std::map<std::string, std::vector<double>> published = {
      {"hyb_V2", {.27504, 0, 0, 0}},
      {"1mad_V1", {.27472, .06894, .01782, .00474}},
      {"2mad_V1", {0, .06829, .01763, .00469}},
      {"3inst_V1", {.27342, .06888, .01794, .00482}},
      {"lut_V1", {.27184, .06834, .01755, .00452}},
      {"lut_V2", {0, .06885, .01806, .00489}},
      {"quantlut_V1", {0, .06815, 0, 0}}};
  const std::string name = Name(spec_);
  const double expected = published.at(name.substr(0, name.rfind('_')))[spec_.bits - 1];
  if (expected == 0) GTEST_SKIP() << "not published";
  const Shape shape = {1024, 1024};
  const std::vector<float> weights = NormalValues(1024 * 1024, 2);
  const auto packed = Quantize(shape, weights, {}, 1);
  ASSERT_TRUE(packed.ok()) << packed.status();
  const double mse =
      std::pow(RelativeError(*MakeQtipFormat()->ReferenceWeights(*packed), weights), 2);
  std::cout << name << " relative_mse " << mse << " published " << expected << " ratio "
            << mse / expected << "\n";
  EXPECT_LE(mse, 1.01 * expected);
  EXPECT_NEAR(report_.proxy_error, mse, 1e-3 * mse);
}

TEST_P(QtipCudaPlain, DecodesEveryWeightExactly) {
  for (Shape shape : {Shape{32, 32}, Shape{64, 256}, Shape{512, 1024}}) {
    const QtipLayer layer = RandomLayer(shape, spec_, 11);
    const auto weights = LoadQtipOnCuda(device(), layer);
    ASSERT_TRUE(weights.ok()) << weights.status();
    const std::vector<float> expected = QtipTrellisWeights(layer);
    GuardedOutput<uint16_t> w(device(), expected.size());
    ASSERT_OK((*weights)->Decode(0, w.data()));
    EXPECT_TRUE(w.Take() == ToHalf(expected)) << shape.out_features << "x" << shape.in_features;
    const std::vector<float> original = QtipReferenceWeights(layer);
    GuardedOutput<float> wide(device(), original.size());
    ASSERT_OK((*weights)->DecodeOriginal(wide.data(), DType::kF32, NoProgress()));
    EXPECT_LT(RelativeError(wide.Take(), original), 1e-6);
  }
}

TEST_P(QtipCudaPlain, FusedKernelAgreesWithDoublePrecision) {
  for (Shape shape :
       {Shape{32, 32}, Shape{64, 256}, Shape{4096, 128}, Shape{256, 4096}, Shape{1376, 864}}) {
    const QtipLayer layer = RandomLayer(shape, spec_, 11);
    const auto weights = LoadQtipOnCuda(device(), layer);
    ASSERT_TRUE(weights.ok()) << weights.status();
    const std::vector<float> w = QtipTrellisWeights(layer);
    for (int64_t batch : {1, 3, 16}) {
      const auto [out, in] = shape;
      const std::vector<uint16_t> u = ToHalf(NormalValues(batch * in, 5));
      const std::vector<float> uf = ToFloat(u);
      std::vector<double> expected(batch * out);
      for (int64_t b = 0; b < batch; ++b) {
        for (int64_t r = 0; r < out; ++r) {
          for (int64_t i = 0; i < in; ++i) {
            expected[b * out + r] += double{w[r * in + i]} * uf[b * in + i];
          }
        }
      }
      const Buffer activations = Upload(u);
      GuardedOutput<float> z(device(), expected.size());
      ASSERT_OK((*weights)->Multiply(0, batch, activations.data(), z.data()));
      const std::vector<float> first = z.Take();
      EXPECT_LT(RelativeError(first, expected), 2e-6) << out << "x" << in << " batch " << batch;
      ASSERT_OK((*weights)->Multiply(0, batch, activations.data(), z.data()));
      EXPECT_EQ(z.Take(), first) << "not deterministic";
    }
  }
}

// Activations that integers of the largest one's size hold badly or not at all.
TEST_P(QtipCudaPlain, FusedKernelTakesActivationsOfAnySize) {
  const Shape shape = {64, 4096};
  const QtipLayer layer = RandomLayer(shape, spec_, 12);
  const auto weights = LoadQtipOnCuda(device(), layer);
  ASSERT_TRUE(weights.ok()) << weights.status();
  const std::vector<float> w = QtipTrellisWeights(layer);
  const auto multiply = [&](const std::vector<float>& u) {
    const Buffer activations = Upload(ToHalf(u));
    GuardedOutput<float> z(device(), shape.out_features);
    const absl::Status status = (*weights)->Multiply(0, 1, activations.data(), z.data());
    EXPECT_TRUE(status.ok()) << status;
    return z.Take();
  };
  const auto expected = [&](const std::vector<float>& u) {
    const std::vector<float> rounded = ToFloat(ToHalf(u));
    std::vector<double> z(shape.out_features);
    for (int64_t r = 0; r < shape.out_features; ++r) {
      for (int64_t i = 0; i < shape.in_features; ++i) {
        z[r] += double{w[r * shape.in_features + i]} * rounded[i];
      }
    }
    return z;
  };
  std::vector<float> ones(shape.in_features, 1.0f);
  EXPECT_LT(RelativeError(multiply(ones), expected(ones)), 2e-6);
  std::vector<float> wide = NormalValues(shape.in_features, 7);
  for (size_t i = 0; i < wide.size(); ++i)
    wide[i] = std::ldexp(wide[i], 10 - static_cast<int>(i % 20));
  wide[5] = -32768.0f;
  // Beside one so large, bits of the others are cut off: by the tensor cores' sums and by integers.
  EXPECT_LT(RelativeError(multiply(wide), expected(wide)), 2e-5);
  std::vector<float> tiny(shape.in_features, std::ldexp(-3.0f, -24));
  EXPECT_LT(RelativeError(multiply(tiny), expected(tiny)), 4e-6);  // weights of mean not quite 0
  EXPECT_THAT(multiply(std::vector<float>(shape.in_features)), testing::Each(0.0f));
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    ones[77] = bad;
    EXPECT_THAT(multiply(ones),
                testing::Each(testing::Truly([](float z) { return !std::isfinite(z); })));
  }
}

// As on a GPU whose blocks get 99 KiB, with another way to the same table.
TEST_P(QtipCudaPlain, SmallBlocksGiveTheSameBits) {
  if (spec_.code == QtipCode::kHyb) GTEST_SKIP() << "its fused kernel is another";
  const CudaLimits small = LimitsOf("A10");
  const Shape shape = {256, 4096};
  constexpr int64_t kBatch = 3;
  const QtipLayer layer = RandomLayer(shape, spec_, 13);
  const Buffer trellis = Upload(layer.trellis);
  const Buffer table = Upload(layer.tlut);
  const Buffer u = Upload(ToHalf(NormalValues(kBatch * shape.in_features, 5)));
  auto packed =
      device().Allocate(UnitLayerBytes(shape.out_features, shape.in_features, spec_.bits));
  ASSERT_OK(packed.status());
  ASSERT_OK(LaunchRepack(device(), shape, spec_, trellis.data(), packed->data()));
  const auto decode = [&](const CudaLimits& as) {
    GuardedOutput<uint16_t> w(device(), shape.out_features * shape.in_features);
    const absl::Status launched = LaunchPlainDecodeAs(device(), as, shape, spec_, packed->data(),
                                                      table.data(), DType::kF16, w.data());
    EXPECT_TRUE(launched.ok()) << launched;
    return w.Take();
  };
  EXPECT_EQ(decode(small), decode(device().limits()));
  // The grid differs, but no sum is over more than one block.
  const auto multiply = [&](const CudaLimits& as) {
    GuardedOutput<float> z(device(), kBatch * shape.out_features);
    const FusedProblem problem = {shape.out_features, shape.in_features, spec_.bits, kBatch};
    const absl::Status launched = LaunchPlainFusedAs(device(), as, problem, spec_, packed->data(),
                                                     table.data(), u.data(), z.data());
    EXPECT_TRUE(launched.ok()) << launched;
    return z.Take();
  };
  EXPECT_EQ(multiply(small), multiply(device().limits()));
}

INSTANTIATE_TEST_SUITE_P(Codes, QtipCudaPlain, testing::ValuesIn(PlainSpecs()),
                         [](const auto& info) { return Name(info.param); });

TEST_F(CudaTest, QtipRefusesShorterStates) {
  EXPECT_TRUE(HasPlainKernels({.code = QtipCode::k1Mad, .vector_dim = 1, .table_bits = 0}));
  EXPECT_FALSE(HasPlainKernels({.code = QtipCode::k1Mad, .state_bits = 12, .vector_dim = 1}));
  EXPECT_FALSE(CanEncode({.code = QtipCode::k1Mad, .state_bits = 12, .vector_dim = 1}));
}

}  // namespace
}  // namespace qtipd
