// The encoder against double precision: what it chooses is the best of what could be chosen, and
// the same on every number of threads and instruction set.
#include "kernels/formats/lut/lut_quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "kernels/api/error.h"
#include "kernels/formats/lut/lut_codebook.h"
#include "kernels/formats/lut/lut_layer.h"
#include "kernels/formats/lut/lut_reference.h"
#include "tests/kernels/cpu/each_target.h"
#include "tests/kernels/formats/lut/lut_test_layers.h"

namespace qtipd {
namespace {

using Given = std::map<std::string, OptionValue>;

OptionValue Text(const char* value) { return std::string(value); }

struct Quantized {
  absl::StatusOr<PackedLayer> layer = absl::UnknownError("");
  QuantizeReport report;
};

Quantized Quantize(const Given& given, Shape shape, std::vector<float> weights,
                   std::vector<float> hessian = {}, int threads = 2) {
  ThreadPool pool(threads);
  NoProgress progress;
  Quantized made;
  made.layer = QuantizeLutOnCpu(pool,
                                {.shape = shape,
                                 .weights = weights,
                                 .hessian = hessian,
                                 .options = LutOptions(given),
                                 .seed = 1},
                                progress, made.report);
  return made;
}

// sum_ij importance_j (w_ij - decoded_ij)^2
double WeightedError(const PackedLayer& layer, const std::vector<float>& weights,
                     const std::vector<float>& importance) {
  const std::vector<float> decoded = LutReferenceWeights(*ParseLutLayer(layer));
  double error = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    error += importance[i % importance.size()] * std::pow(double{weights[i]} - decoded[i], 2);
  }
  return error;
}

double RelativeError(const PackedLayer& layer, const std::vector<float>& weights) {
  double norm = 0;
  for (const float weight : weights) norm += double{weight} * weight;
  return WeightedError(layer, weights, {1}) / norm;
}

constexpr Shape kShape = {24, 256};
const std::vector<float>& Weights() {
  static const auto* weights = new std::vector<float>(HeavyTailed(24 * 256, 17));
  return *weights;
}

std::vector<Given> AllKinds() {
  std::vector<Given> kinds;
  for (const int64_t bits : {1, 2, 3, 4, 8}) {
    for (const int64_t block : {0, 32, 64, 128}) {
      for (const char* codebook : {"kmeans", "uniform"}) {
        for (const char* per : {"tensor", "channel"}) {
          const bool is_rms = bits % 2 == 0;
          kinds.push_back({{"bits", bits},
                           {"block_size", block},
                           {"codebook", Text(codebook)},
                           {"codebook_per", Text(per)},
                           {"scale", Text(is_rms ? "rms" : "absmax")},
                           {"scale_dtype", Text(block == 32 ? "bf16" : "fp16")}});
        }
      }
    }
  }
  return kinds;
}

TEST(LutQuantize, GivesEveryWeightTheNearestEntry) {
  for (const Given& given : AllKinds()) {
    const Quantized made = Quantize(given, kShape, Weights());
    ASSERT_TRUE(made.layer.ok()) << made.layer.status();
    const LutLayer layer = *ParseLutLayer(*made.layer);
    for (int64_t i = 0; i < 24 * 256; ++i) {
      const int64_t row = i / 256;
      const double scale = layer.scale(row, i % 256);
      const double chosen =
          layer.codebook_of(row)[LutIndex(layer.row(row), layer.spec.bits, i % 256)];
      double least = std::numeric_limits<double>::infinity();
      for (int k = 0; k < layer.spec.entries(); ++k) {
        least = std::min(least, std::abs(Weights()[i] - scale * layer.codebook_of(row)[k]));
      }
      // Distances from two entries that differ by rounding alone are equally near.
      EXPECT_LE(std::abs(Weights()[i] - scale * chosen), least + 1e-5 * std::abs(scale) + 1e-7);
    }
  }
}

TEST(LutQuantize, ReportsTheErrorOfWhatItMade) {
  for (const Given& given : AllKinds()) {
    const Quantized made = Quantize(given, kShape, Weights());
    ASSERT_TRUE(made.layer.ok()) << made.layer.status();
    EXPECT_NEAR(made.report.proxy_error, RelativeError(*made.layer, Weights()),
                1e-4 * made.report.proxy_error);
  }
}

TEST(LutQuantize, KeepsTheOptionsAndTheBytesThatItNames) {
  const auto format = MakeLutFormat();
  for (const Given& given : AllKinds()) {
    const Quantized made = Quantize(given, kShape, Weights());
    ASSERT_TRUE(made.layer.ok()) << made.layer.status();
    EXPECT_TRUE(format->Validate(*made.layer).ok()) << format->Validate(*made.layer);
    uint64_t bytes = 0;
    for (const auto& [name, tensor] : made.layer->tensors) bytes += tensor.bytes().size();
    EXPECT_EQ(bytes, format->PackedBytes(made.layer->options, kShape));
  }
}

TEST(LutQuantize, WithoutRefiningTakesTheScalesOfItsRule) {
  for (const char* rule : {"absmax", "rms"}) {
    const Quantized made =
        Quantize({{"scale", Text(rule)}, {"refine_rounds", int64_t{0}}}, kShape, Weights());
    ASSERT_TRUE(made.layer.ok());
    const std::vector<float> scales = made.layer->tensors.at("scales").ToFloat();
    for (size_t block = 0; block < scales.size(); ++block) {
      double most = 0, squares = 0;
      for (int i = 0; i < 64; ++i) {
        const double weight = Weights()[block * 64 + i];
        most = std::max(most, std::abs(weight));
        squares += weight * weight;
      }
      const double exact = *rule == 'a' ? most : std::sqrt(squares / 64);
      EXPECT_NEAR(scales[block], exact, exact / 2048);
    }
  }
}

TEST(LutQuantize, UniformCodebooksHaveEqualSteps) {
  for (const char* rule : {"absmax", "rms"}) {
    const Quantized made =
        Quantize({{"codebook", Text("uniform")}, {"scale", Text(rule)}}, kShape, Weights());
    ASSERT_TRUE(made.layer.ok());
    const std::vector<float> entries = made.layer->tensors.at("codebook").ToFloat();
    const float step = (entries[15] - entries[0]) / 15;
    for (int i = 0; i < 16; ++i) EXPECT_NEAR(entries[i], entries[0] + step * i, 1e-3 * entries[15]);
    EXPECT_TRUE(*rule == 'r' || entries[15] == 1);
  }
}

// Every round fits the scales to the codebook, then the codebook to the scales.
TEST(LutQuantize, RefiningMakesItBetter) {
  for (Given given : AllKinds()) {
    if (std::get<int64_t>(given.at("block_size")) == 0) continue;
    given["refine_rounds"] = int64_t{0};
    const Quantized plain = Quantize(given, kShape, Weights());
    given["refine_rounds"] = int64_t{2};
    const Quantized refined = Quantize(given, kShape, Weights());
    ASSERT_TRUE(plain.layer.ok() && refined.layer.ok());
    EXPECT_LE(refined.report.proxy_error, plain.report.proxy_error * 1.0001)
        << LutSpecOf(refined.layer->options).bits;
  }
}

TEST(LutQuantize, ABlockScaleIsNearTheBestThatThereIs) {
  const Quantized made =
      Quantize({{"codebook", Text("uniform")}, {"bits", int64_t{3}}}, kShape, Weights());
  ASSERT_TRUE(made.layer.ok());
  const LutLayer layer = *ParseLutLayer(*made.layer);
  double chosen = 0, best = 0;
  for (int64_t block = 0; block < 24 * 4; ++block) {
    const auto error_at = [&](double scale) {
      double error = 0;
      for (int64_t i = block * 64; i < (block + 1) * 64; ++i) {
        double least = std::numeric_limits<double>::infinity();
        for (int k = 0; k < 8; ++k) {
          least = std::min(least, std::pow(Weights()[i] - scale * layer.codebook[k], 2));
        }
        error += least;
      }
      return error;
    };
    const double scale = layer.scale(block / 4, block % 4 * 64);
    double least = error_at(scale);
    chosen += least;
    for (double factor = 0.4; factor < 1.6; factor += 0.005) {
      least = std::min(least, error_at(scale * factor));
    }
    best += least;
  }
  EXPECT_LE(chosen, 1.02 * best);
}

// The Hessian's diagonal decides which columns must be right.
TEST(LutQuantize, WeighsColumnsByTheHessian) {
  std::vector<float> hessian(256 * 256);
  std::vector<float> importance(256);
  for (int i = 0; i < 256; ++i) {
    importance[i] = i % 7 == 0 ? 50.0f : 0.1f;
    hessian[i * 257] = importance[i];
  }
  for (const char* per : {"tensor", "channel"}) {
    const Given given = {{"bits", int64_t{3}}, {"codebook_per", Text(per)}, {"sigma_reg", 0.0}};
    const Quantized plain = Quantize(given, kShape, Weights());
    const Quantized weighed = Quantize(given, kShape, Weights(), hessian);
    ASSERT_TRUE(plain.layer.ok() && weighed.layer.ok());
    const double error = WeightedError(*weighed.layer, Weights(), importance);
    EXPECT_LT(error, 0.9 * WeightedError(*plain.layer, Weights(), importance));
    double norm = 0;
    for (size_t i = 0; i < Weights().size(); ++i) {
      norm += importance[i % 256] * double{Weights()[i]} * Weights()[i];
    }
    EXPECT_NEAR(weighed.report.proxy_error, error / norm, 1e-4 * error / norm);
  }
}

TEST(LutQuantize, ReportsTheErrorInTheMetricOfAWholeHessian) {
  std::vector<float> hessian(256 * 256, 0.25f);
  for (int i = 0; i < 256; ++i) hessian[i * 257] = 1;
  const Quantized made = Quantize({{"sigma_reg", 0.0}}, kShape, Weights(), hessian);
  ASSERT_TRUE(made.layer.ok());
  const std::vector<float> decoded = LutReferenceWeights(*ParseLutLayer(*made.layer));
  const auto form = [&](const auto& at) {
    double sum = 0;
    for (int64_t row = 0; row < 24; ++row) {
      double squares = 0, total = 0;
      for (int64_t i = row * 256; i < (row + 1) * 256; ++i) {
        squares += at(i) * at(i);
        total += at(i);
      }
      sum += 0.75 * squares + 0.25 * total * total;
    }
    return sum;
  };
  const double error = form([&](int64_t i) { return double{Weights()[i]} - decoded[i]; });
  const double norm = form([&](int64_t i) { return double{Weights()[i]}; });
  EXPECT_NEAR(made.report.proxy_error, error / norm, 1e-4 * error / norm);
}

bool SameBytes(const PackedLayer& a, const PackedLayer& b) {
  return std::ranges::all_of(a.tensors, [&](const auto& tensor) {
    return std::ranges::equal(tensor.second.bytes(), b.tensors.at(tensor.first).bytes());
  });
}

TEST(LutQuantize, IsTheSameOnEveryNumberOfThreadsAndInstructionSet) {
  for (const Given& given : {Given{}, Given{{"codebook_per", Text("channel")}},
                             Given{{"bits", int64_t{8}}}, Given{{"block_size", int64_t{0}}}}) {
    const Quantized first = Quantize(given, kShape, Weights(), {}, 1);
    ASSERT_TRUE(first.layer.ok());
    for (const int threads : {2, 3, 8}) {
      EXPECT_TRUE(SameBytes(*first.layer, *Quantize(given, kShape, Weights(), {}, threads).layer));
    }
    ForEachTarget(
        [&] { EXPECT_TRUE(SameBytes(*first.layer, *Quantize(given, kShape, Weights()).layer)); });
  }
}

std::string Refusal(const Given& given, Shape shape, std::vector<float> weights,
                    std::vector<float> hessian = {}) {
  const Quantized made = Quantize(given, shape, std::move(weights), std::move(hessian));
  if (made.layer.ok()) return "accepted";
  const ErrorInfo info = GetErrorInfo(made.layer.status());
  return info.reason + " " + info.metadata.at("field");
}

TEST(LutQuantize, RefusesWhatItCannotDo) {
  const std::vector<float> few(64, 1.0f);
  EXPECT_EQ(Refusal({}, {1, 32}, std::vector<float>(32, 1.0f)), "SHAPE_UNSUPPORTED shape");
  EXPECT_EQ(Refusal({{"bits", int64_t{8}}}, {1, 64}, few), "CODEBOOK_TOO_LARGE bits");
  EXPECT_EQ(Refusal({}, {1, 64}, few, std::vector<float>(63)), "HESSIAN_SHAPE_INVALID hessian");
  std::vector<float> hessian(64 * 64);
  for (int i = 0; i < 64; ++i) hessian[i * 65] = 1;
  hessian[3 * 65] = -1;
  EXPECT_EQ(Refusal({}, {1, 64}, few, hessian), "HESSIAN_NOT_POSITIVE_DEFINITE hessian");
  hessian[3 * 65] = 1;
  hessian[5] = 1;
  EXPECT_EQ(Refusal({}, {1, 64}, few, hessian), "HESSIAN_NOT_SYMMETRIC hessian");
}

TEST(LutQuantize, RefusesWeightsThatSixteenBitsCannotScale) {
  const auto all = [](float value) { return std::vector<float>(64, value); };
  EXPECT_EQ(Refusal({}, {1, 64}, all(1e5f)), "WEIGHTS_OUT_OF_RANGE weights");
  EXPECT_EQ(Refusal({}, {1, 64}, all(1e-6f)), "WEIGHTS_OUT_OF_RANGE weights");
  const Given bf16 = {{"scale_dtype", Text("bf16")}};
  EXPECT_EQ(Refusal(bf16, {1, 64}, all(1e5f)), "accepted");
  EXPECT_EQ(Refusal(bf16, {1, 64}, all(1e-6f)), "accepted");
  EXPECT_EQ(Refusal(bf16, {1, 64}, all(1e20f)), "WEIGHTS_OUT_OF_RANGE weights");
  const Given none = {{"scale_dtype", Text("bf16")}, {"block_size", int64_t{0}}};
  EXPECT_EQ(Refusal(none, {1, 64}, all(1e5f)), "WEIGHTS_OUT_OF_RANGE weights");
}

TEST(LutQuantize, DecodesBlocksOfZerosToZeros) {
  std::vector<float> weights = Weights();
  std::fill_n(weights.begin() + 64, 128, 0.0f);
  for (const char* per : {"tensor", "channel"}) {
    const Quantized made = Quantize({{"codebook_per", Text(per)}}, kShape, weights);
    ASSERT_TRUE(made.layer.ok());
    const std::vector<float> decoded = LutReferenceWeights(*ParseLutLayer(*made.layer));
    for (int i = 64; i < 192; ++i) EXPECT_EQ(decoded[i], 0);
  }
  EXPECT_EQ(Refusal({}, kShape, std::vector<float>(24 * 256)), "accepted");
}

// Ends a run after so many questions, and hears its progress.
class Interrupting final : public Progress {
 public:
  explicit Interrupting(int questions) : left_(questions) {}
  void Report(double fraction, std::string_view) override {
    EXPECT_GE(fraction, 0);
    EXPECT_LE(fraction, 1);
    ++reports_;
  }
  bool IsCancelled() const override { return left_-- <= 0; }
  int reports() const { return reports_; }

 private:
  mutable std::atomic<int> left_;
  std::atomic<int> reports_ = 0;
};

TEST(LutQuantize, EndsWhereverItIsCancelled) {
  std::vector<float> hessian(256 * 256);
  for (int i = 0; i < 256; ++i) hessian[i * 257] = 1;
  for (const char* per : {"tensor", "channel"}) {
    bool has_finished = false;
    for (int questions = 0; !has_finished; ++questions) {
      ASSERT_LT(questions, 1000);
      ThreadPool pool(2);
      Interrupting progress(questions);
      QuantizeReport report;
      std::vector<float> weights = Weights();
      std::vector<float> h = hessian;
      const auto layer = QuantizeLutOnCpu(pool,
                                          {.shape = kShape,
                                           .weights = weights,
                                           .hessian = h,
                                           .options = LutOptions({{"codebook_per", Text(per)}}),
                                           .seed = 1},
                                          progress, report);
      has_finished = layer.ok();
      EXPECT_TRUE(layer.ok() || absl::IsCancelled(layer.status())) << layer.status();
      EXPECT_TRUE(!has_finished || progress.reports() > 3);
    }
  }
}

TEST(LutQuantize, NamesItsSteps) {
  const Quantized made = Quantize({}, kShape, Weights());
  std::vector<std::string> steps;
  for (const auto& [name, seconds] : made.report.step_seconds) steps.push_back(name);
  EXPECT_EQ(steps, (std::vector<std::string>{"scales", "codebook", "refine", "encode"}));
}

}  // namespace
}  // namespace qtipd
