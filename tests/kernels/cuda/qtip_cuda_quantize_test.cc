// The encoder on a GPU against golden vectors, published distortion and the CPU.
#include "kernels/formats/qtip/qtip_cuda_quantize.h"

#include <array>

#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_cuda_ldl.h"
#include "kernels/formats/qtip/qtip_cuda_viterbi.h"
#include "kernels/formats/qtip/qtip_format.h"
#include "kernels/formats/qtip/qtip_packing.h"
#include "kernels/formats/qtip/qtip_reference.h"
#include "kernels/formats/qtip/qtip_scale_search.h"
#include "kernels/formats/qtip/qtip_viterbi.h"
#include "tests/fakes/cancelled_at.h"
#include "tests/kernels/cuda/cuda_test.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

class RecordedProgress final : public Progress {
 public:
  void Report(double fraction, std::string_view stage) override {
    EXPECT_GE(fraction, last_fraction);
    last_fraction = fraction;
    if (stage == "viterbi") ++viterbi_reports;
    if (viterbi_reports >= cancel_after) is_cancelled = true;
  }
  bool IsCancelled() const override { return is_cancelled; }

  double last_fraction = 0;
  int viterbi_reports = 0;
  int cancel_after = 1 << 30;
  bool is_cancelled = false;
};

Options MakeOptions(int bits, double scale_override) {
  return *CheckOptions(MakeQtipFormat()->schema(),
                       {{"bits", int64_t{bits}}, {"scale_override", scale_override}});
}

class QtipCudaQuantize : public CudaTest, public testing::WithParamInterface<int> {
 protected:
  // States of the tiles of a matrix [rows, cols], no feedback.
  std::vector<uint16_t> Encode(const std::vector<float>& matrix, int64_t cols,
                               const std::vector<uint16_t>& tlut) {
    const Buffer weights = Upload(matrix);
    const Buffer table = Upload(tlut);
    const int64_t tiles = static_cast<int64_t>(matrix.size()) / kQtipTileWeights;
    const QtipCodeSpec spec = {.bits = GetParam()};
    const Shape shape = {static_cast<int64_t>(matrix.size()) / cols, cols};
    GuardedOutput<uint16_t> trellis(device(),
                                    QtipTrellisWords(shape.out_features, cols, spec.bits));
    auto scratch = device().Allocate(EncodeScratchBytes(device(), spec));
    EXPECT_TRUE(scratch.ok()) << scratch.status();
    const absl::Status launched = LaunchEncode(device(), spec,
                                               {.weights = weights.as<float>(),
                                                .trellis = trellis.data(),
                                                .table = table.as<uint32_t>(),
                                                .scratch = scratch->data(),
                                                .cols = cols,
                                                .tile_count = tiles});
    EXPECT_TRUE(launched.ok()) << launched;
    std::vector<uint16_t> result = StatesOf(trellis.Take(), spec, shape);
    CheckErrors(matrix, cols, Download<float>(weights.data(), matrix.size()), result, tlut);
    return result;
  }

  // The kernel leaves W minus the decoded weights behind.
  void CheckErrors(const std::vector<float>& matrix, int64_t cols, const std::vector<float>& errors,
                   const std::vector<uint16_t>& states, const std::vector<uint16_t>& tlut) {
    const std::vector<float> samples = TileSamples(matrix, cols);
    const std::vector<float> sample_errors = TileSamples(errors, cols);
    double sum = 0;
    for (float error : sample_errors) sum += double{error} * error;
    EXPECT_NEAR(TotalCost(samples, states, tlut), sum, 1e-5 * sum);
  }

  static double TotalCost(const std::vector<float>& samples, const std::vector<uint16_t>& states,
                          std::span<const uint16_t> tlut) {
    const QtipTable table = MakeQtipTable({}, tlut);
    double cost = 0;
    for (size_t tile = 0; tile < samples.size() / kQtipTileWeights; ++tile) {
      cost += QtipPathCost(std::span(samples).subspan(tile * kQtipTileWeights, kQtipTileWeights),
                           std::span(states).subspan(tile * kQtipSteps, kQtipSteps), table);
    }
    return cost;
  }
};

TEST_P(QtipCudaQuantize, PathsCostNoMoreThanTheGoldenOnes) {
  const GoldenFile golden("qtip_tcq");
  const std::vector<uint16_t> tlut = GoldenFile("qtip_tables").Words("hyb_tlut_fp16");
  std::vector<float> matrix = golden.Floats("hyb/W");
  for (float& weight : matrix) weight = HalfToFloat(FloatToHalf(weight * 0.8715684235095978f));
  const std::vector<uint16_t> states = Encode(matrix, 256, tlut);
  double golden_cost = 0;
  for (float cost : golden.Floats("hyb/" + GoldenKey(GetParam(), "seq_cost"))) golden_cost += cost;
  const double cost = TotalCost(TileSamples(matrix, 256), states, tlut);
  std::cout << "cost " << cost << " golden " << golden_cost << "\n";
  EXPECT_LE(cost, 1.001 * golden_cost);
}

TEST_P(QtipCudaQuantize, PathsAreClosedCircles) {
  const std::vector<uint16_t> tlut(QtipDefaultTlut().begin(), QtipDefaultTlut().end());
  const std::vector<uint16_t> states = Encode(NormalValues(64 * 128, 3), 128, tlut);
  const int step_bits = QtipStepBits(GetParam());
  for (size_t i = 0; i < states.size(); ++i) {
    const size_t next = i % kQtipSteps == kQtipSteps - 1 ? i + 1 - kQtipSteps : i + 1;
    ASSERT_EQ(states[i] & (0xFFFF >> step_bits), states[next] >> step_bits) << i;
  }
}

TEST_P(QtipCudaQuantize, OutliersCostNoMoreThanOnTheCpu) {
  std::vector<float> matrix = NormalValues(32 * 64, 4);
  for (size_t i = 0; i < matrix.size(); i += 37) matrix[i] *= 40;
  const std::vector<uint16_t> tlut(QtipDefaultTlut().begin(), QtipDefaultTlut().end());
  const std::vector<float> samples = TileSamples(matrix, 64);
  std::vector<uint16_t> cpu(samples.size() / 2);
  ThreadPool pool(2);
  QtipEncoder({.bits = GetParam()}, tlut).Encode(pool, samples, cpu, [](int64_t) { return true; });
  EXPECT_NEAR(TotalCost(samples, Encode(matrix, 64, tlut), tlut), TotalCost(samples, cpu, tlut),
              1e-4 * TotalCost(samples, cpu, tlut));
}

TEST_P(QtipCudaQuantize, ReachesTheGoldenProxyError) {
  const double golden_proxy[] = {0.024128700638961234, 0.005792420672536155, 0.0017179186841173332};
  const GoldenFile golden("qtip_ldlq");
  std::vector<float> weights = golden.Floats("W");
  std::vector<float> hessian = golden.Floats("H");
  const std::vector<uint16_t> tlut = golden.Words(GoldenKey(GetParam(), "tlut_fp16"));
  const QuantizeProblem problem = {.shape = {256, 256},
                                   .weights = weights,
                                   .hessian = hessian,
                                   .options = MakeOptions(GetParam(), 0.9)};
  RecordedProgress progress;
  QuantizeReport report;
  const auto layer = QuantizeQtipOnCuda(
      device(), problem, {tlut, {golden.Floats("SU"), golden.Floats("SV")}}, progress, report);
  ASSERT_TRUE(layer.ok()) << layer.status();
  std::cout << "proxy_error " << report.proxy_error << "\n";
  EXPECT_LE(report.proxy_error, golden_proxy[GetParam() - 2] * 1.01);
  const double scale = golden.Floats(GoldenKey(GetParam(), "Wscale"))[0];
  EXPECT_NEAR(std::abs(ParseQtipLayer(*layer)->sv[0]), scale, 1e-5 * scale);
  EXPECT_EQ(report.step_seconds.size(), 4u);
}

TEST_P(QtipCudaQuantize, HasThePublishedDistortion) {
  const double published = GetParam() == 2 ? .0707 : GetParam() == 3 ? .0195 : .0067;
  const std::vector<uint16_t> tlut = GoldenFile("qtip_tables").Words("hyb_tlut_fp16");
  const std::vector<float> weights = NormalValues(1024 * 1024, 2);
  std::vector<float> memory = weights;
  const QuantizeProblem problem = {
      .shape = {1024, 1024}, .weights = memory, .options = MakeOptions(GetParam(), 1.0)};
  RecordedProgress progress;
  QuantizeReport report;
  const auto packed = QuantizeQtipOnCuda(device(), problem, {tlut, MakeQtipSigns(problem.shape, 0)},
                                         progress, report);
  ASSERT_TRUE(packed.ok()) << packed.status();
  const double mse =
      std::pow(RelativeError(*MakeQtipFormat()->ReferenceWeights(*packed), weights), 2);
  std::cout << "relative_mse " << mse << "\n";
  EXPECT_NEAR(mse, published, 0.015 * published);
  EXPECT_NEAR(report.proxy_error, mse, 1e-4 * mse);
}

INSTANTIATE_TEST_SUITE_P(Bits, QtipCudaQuantize, testing::Values(2, 3, 4));

class QtipCudaQuantizeOnce : public CudaTest {
 protected:
  // Leaves the problem's W and H as they are.
  absl::StatusOr<PackedLayer> Quantize(QuantizeProblem problem) {
    std::vector<float> weights(problem.weights.begin(), problem.weights.end());
    std::vector<float> hessian(problem.hessian.begin(), problem.hessian.end());
    problem.weights = weights;
    problem.hessian = hessian;
    return QuantizeQtipOnCuda(device(), problem, *MakeQtipIngredients(problem), progress_, report_);
  }

  RecordedProgress progress_;
  QuantizeReport report_;
};

TEST_F(QtipCudaQuantizeOnce, TakesTheSmallestAndRectangularShapes) {
  for (Shape shape : {Shape{32, 32}, Shape{32, 256}, Shape{256, 32}}) {
    std::vector<float> weights = NormalValues(shape.out_features * shape.in_features, 1);
    std::vector<float> hessian(shape.in_features * shape.in_features, 0.5f);
    for (int64_t i = 0; i < shape.in_features; ++i) hessian[i * (shape.in_features + 1)] = 1;
    progress_ = {};
    const auto with = Quantize(
        {.shape = shape, .weights = weights, .hessian = hessian, .options = MakeOptions(3, 0.9)});
    ASSERT_TRUE(with.ok()) << with.status();
    EXPECT_LT(report_.proxy_error, 0.03);
    EXPECT_TRUE(ParseQtipLayer(*with).ok());
  }
}

// The last group of columns is narrower, and H^T is not H: what is decoded is close to the weights,
// and the error as small as on the CPU.
TEST_F(QtipCudaQuantizeOnce, TakesSidesThatAreNoPowersOfTwo) {
  for (Shape shape : {Shape{160, 288}, Shape{1376, 224}}) {
    const int64_t n = shape.in_features;
    std::vector<float> weights = NormalValues(shape.out_features * n, 1);
    std::vector<float> hessian(n * n);
    for (int64_t i = 0; i < n * n; ++i) {
      hessian[i] = std::pow(0.9f, static_cast<float>(std::abs(i / n - i % n)));
    }
    const Options options = MakeOptions(3, 0.9);
    progress_ = {};
    const auto plain = Quantize({.shape = shape, .weights = weights, .options = options});
    ASSERT_TRUE(plain.ok()) << plain.status();
    const std::vector<float> decoded = *MakeQtipFormat()->ReferenceWeights(*plain);
    EXPECT_NEAR(std::pow(RelativeError(decoded, weights), 2), report_.proxy_error,
                1e-3 * report_.proxy_error);
    EXPECT_LT(report_.proxy_error, 0.0205);
    const QuantizeProblem problem = {
        .shape = shape, .weights = weights, .hessian = hessian, .options = options};
    progress_ = {};
    ASSERT_TRUE(Quantize(problem).ok());
    ThreadPool pool(4);
    RecordedProgress progress;
    QuantizeReport on_cpu;
    ASSERT_TRUE(QuantizeQtipOnCpu(pool, problem, progress, on_cpu).ok());
    EXPECT_NEAR(report_.proxy_error, on_cpu.proxy_error, 0.02 * on_cpu.proxy_error);
  }
}

TEST_F(QtipCudaQuantizeOnce, GivesTheSameBytesAgain) {
  std::vector<float> weights = NormalValues(256 * 512, 1);
  const QuantizeProblem problem = {
      .shape = {256, 512}, .weights = weights, .options = MakeOptions(2, 0.9), .seed = 5};
  const auto first = Quantize(problem);
  progress_ = {};
  const auto second = Quantize(problem);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE(ParseQtipLayer(*first)->trellis == ParseQtipLayer(*second)->trellis);
}

TEST_F(QtipCudaQuantizeOnce, AZeroMatrixStaysZero) {
  std::vector<float> weights(64 * 64);
  const auto layer =
      Quantize({.shape = {64, 64}, .weights = weights, .options = MakeOptions(2, 0.9)});
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(report_.proxy_error, 0);
  EXPECT_EQ(*MakeQtipFormat()->ReferenceWeights(*layer), weights);
}

TEST_F(QtipCudaQuantizeOnce, RefusesAnIndefiniteHessian) {
  std::vector<float> weights = NormalValues(64 * 64, 1);
  std::vector<float> hessian(64 * 64);
  for (int i = 0; i < 64; ++i) hessian[i * 65] = i == 9 ? -5 : 1;
  const auto layer = Quantize(
      {.shape = {64, 64}, .weights = weights, .hessian = hessian, .options = MakeOptions(2, 0.9)});
  EXPECT_EQ(GetErrorInfo(layer.status()).reason, "HESSIAN_NOT_POSITIVE_DEFINITE");
  EXPECT_TRUE(device().Health().ok());
}

TEST_F(QtipCudaQuantizeOnce, StopsWhenCancelled) {
  std::vector<float> weights = NormalValues(64 * 1024, 1);
  std::vector<float> hessian(1024 * 1024);
  for (int i = 0; i < 1024; ++i) hessian[i * 1025] = 1;
  progress_.cancel_after = 3;
  const auto layer = Quantize({.shape = {64, 1024},
                               .weights = weights,
                               .hessian = hessian,
                               .options = MakeOptions(4, 0.9)});
  EXPECT_EQ(layer.status().code(), absl::StatusCode::kCancelled);
  EXPECT_LT(progress_.last_fraction, 0.9);
}

// Checking H, copying, factoring, measuring, searching and packing: all memory comes back.
TEST_F(QtipCudaQuantizeOnce, StopsWhereverItIsCancelled) {
  const std::vector<float> weights = NormalValues(64 * 1024, 1);
  std::vector<float> identity(1024 * 1024);
  for (int i = 0; i < 1024; ++i) identity[i * 1025] = 1;
  const auto quantize = [&](Progress& progress) {
    std::vector<float> w = weights, h = identity;
    const QuantizeProblem problem = {
        .shape = {64, 1024}, .weights = w, .hessian = h, .options = MakeOptions(2, 0.9)};
    return QuantizeQtipOnCuda(device(), problem, *MakeQtipIngredients(problem), progress, report_)
        .status();
  };
  CancelledAt never = CancelledAt::Never();
  ASSERT_OK(quantize(never));
  ASSERT_GE(never.looks(), 10);
  const uint64_t free_before = device().Memory()->free_bytes;
  for (int64_t at = 1; at <= never.looks(); ++at) {
    CancelledAt progress(at);
    EXPECT_TRUE(absl::IsCancelled(quantize(progress))) << at;
    EXPECT_EQ(progress.looks(), at);
    EXPECT_EQ(device().Memory()->free_bytes, free_before) << at;
  }
}

TEST_F(QtipCudaQuantizeOnce, FactorsOverManyPanels) {
  // Over two panels and several chunks; a * a^T + 1 in double, of which fp32 is kept.
  const int64_t n = 1200;
  const std::vector<float> a = NormalValues(n * 8, 9);
  std::vector<float> hessian(n * n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = i == j ? 1 : 0;
      for (int k = 0; k < 8; ++k) sum += double{a[i * 8 + k]} * a[j * 8 + k];
      hessian[i * n + j] = static_cast<float>(sum);
    }
  }
  const Buffer matrix = Upload(hessian);
  ASSERT_OK(FactorOnCuda(device(), matrix.as<float>(), n, [] { return absl::OkStatus(); }));
  const std::vector<float> c = Download<float>(matrix.data(), n * n);
  std::vector<double> product;
  std::vector<float> expected;
  for (int64_t i = 0; i < n; i += 7) {
    for (int64_t j = 0; j <= i; j += 5) {
      double sum = 0;
      for (int64_t k = 0; k <= j; ++k) sum += double{c[k * n + i]} * c[k * n + j];
      product.push_back(sum);
      expected.push_back(hessian[i * n + j]);
    }
  }
  EXPECT_LT(RelativeError(product, expected), 1e-6);
}

TEST_F(QtipCudaQuantizeOnce, FindsAScaleFromAnOddNumberOfRowStrips) {
  const Shape shape = {64, 11008};
  ASSERT_EQ(QtipSampleStrips(shape).size() % 2, 1u);
  std::vector<float> weights = NormalValues(shape.out_features * shape.in_features, 1);
  const auto options =
      CheckOptions(MakeQtipFormat()->schema(), {{"scale_override", std::string("auto")}});
  ASSERT_TRUE(options.ok()) << options.status();
  const auto layer = Quantize({.shape = shape, .weights = weights, .options = *options});
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_NEAR(report_.proxy_error, 0.0708, 0.001);
}

TEST_F(QtipCudaQuantizeOnce, FindsAScaleNoWorseThanTheFixedOne) {
  std::vector<float> weights = NormalValues(256 * 512, 1);
  QuantizeProblem problem = {.shape = {256, 512}, .weights = weights};
  double found[2];
  for (const bool is_auto : {false, true}) {
    std::map<std::string, OptionValue> given = {{"code", std::string("3inst")},
                                                {"scale_override", 0.9}};
    if (is_auto) given["scale_override"] = std::string("auto");
    problem.options = *CheckOptions(MakeQtipFormat()->schema(), given);
    progress_ = {};
    const auto layer = Quantize(problem);
    ASSERT_TRUE(layer.ok()) << layer.status();
    found[is_auto] = report_.proxy_error;
    EXPECT_EQ(report_.scale_trials.empty(), !is_auto);
    if (is_auto) {
      EXPECT_GT(layer->options.GetDouble("scale_override"), 0.9);
    }
  }
  EXPECT_LT(found[1], found[0]);
}

TEST_F(QtipCudaQuantizeOnce, AFactorisationEndsWhenToldTo) {
  std::vector<float> hessian(64 * 64);
  for (int i = 0; i < 64; ++i) hessian[i * 65] = 1;
  const Buffer matrix = Upload(hessian);
  EXPECT_TRUE(absl::IsCancelled(FactorOnCuda(device(), matrix.as<float>(), 64,
                                             [] { return absl::CancelledError("enough"); })));
}

TEST_F(QtipCudaQuantizeOnce, TheFactorReproducesItsHessian) {
  const int64_t n = 256;
  const GoldenFile golden("qtip_ldlq");
  const std::vector<float> hessian = golden.Floats("HRr_fp32");
  const Buffer matrix = Upload(hessian);
  ASSERT_OK(FactorOnCuda(device(), matrix.as<float>(), n, [] { return absl::OkStatus(); }));
  const std::vector<float> c = Download<float>(matrix.data(), n * n);
  GuardedOutput<float> columns(device(), n * n);
  ASSERT_OK(LaunchLowerColumns(device(), matrix.as<float>(), n, 0, n, columns.data()));
  const std::vector<float> lower = columns.Take();
  const std::vector<float> golden_lower = golden.Floats("L_block16_zero_diag_fp32");
  std::vector<double> product(n * n);
  std::vector<float> below, golden_below;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t k = 0; k <= std::min(i, j); ++k) {
        product[i * n + j] += double{c[k * n + i]} * c[k * n + j];
      }
      if (i / 16 <= j / 16) continue;
      below.push_back(lower[i * n + j]);
      golden_below.push_back(golden_lower[i * n + j]);
    }
  }
  EXPECT_LT(RelativeError(product, hessian), 1e-6);
  // A group from its first column on.
  GuardedOutput<float> group(device(), (n - 64) * 128);
  ASSERT_OK(LaunchLowerColumns(device(), matrix.as<float>(), n, 64, 128, group.data()));
  const std::vector<float> part = group.Take();
  for (int64_t i = 64; i < n; ++i) {
    for (int64_t j = 64; j < 192; ++j) {
      if (i / 16 > j / 16) {
        EXPECT_EQ(part[(i - 64) * 128 + j - 64], lower[i * n + j]);
      }
    }
  }
  EXPECT_LT(RelativeError(below, golden_below), 1e-3);  // the golden one was factored in fp32
}

}  // namespace
}  // namespace qtipd
