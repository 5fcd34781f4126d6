#include "kernels/formats/int4/int4_quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <span>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "kernels/formats/int4/int4_factor.h"
#include "kernels/formats/int4/int4_format.h"
#include "kernels/formats/int4/int4_grid.h"
#include "kernels/formats/int4/int4_layer.h"
#include "kernels/formats/int4/int4_options.h"

namespace qtipd {
namespace {

using Given = std::map<std::string, OptionValue>;

class CancelledAt final : public Progress {
 public:
  explicit CancelledAt(int64_t look) : look_(look) {}
  void Report(double fraction, std::string_view stage) override {
    const std::lock_guard lock(mutex_);
    fractions_.push_back(fraction);
    if (stages_.empty() || stages_.back() != stage) stages_.emplace_back(stage);
  }
  bool IsCancelled() const override { return ++looks_ >= look_; }

  int64_t looks() const { return looks_; }
  std::vector<double> fractions_;
  std::vector<std::string> stages_;

 private:
  const int64_t look_;
  mutable std::atomic<int64_t> looks_ = 0;
  std::mutex mutex_;
};

class Int4Quantize : public testing::Test {
 protected:
  static constexpr int64_t kOut = 40;
  static constexpr int64_t kIn = 256;

  Int4Quantize() : weights_(kOut * kIn), hessian_(kIn * kIn) {
    FillNormal(1, RandomStream::kWeights, 0, weights_);
    // Activations whose neighbours are alike, of unequal size.
    for (int64_t i = 0; i < kIn; ++i) {
      for (int64_t j = 0; j < kIn; ++j) {
        const auto distance = static_cast<float>(std::abs(i - j));
        hessian_[i * kIn + j] = std::pow(0.9F, distance) * Size(i) * Size(j);
      }
    }
  }
  static float Size(int64_t i) { return 1 + 0.5F * std::sin(static_cast<float>(i)); }

  absl::StatusOr<PackedLayer> Quantize(const Given& given, bool with_hessian, int threads = 2,
                                       Progress* progress = nullptr) {
    std::vector<float> weights = weights_, hessian = hessian_;
    if (!with_hessian) hessian.clear();
    ThreadPool pool(threads);
    NoProgress silent;
    const auto options = CheckOptions(format_->schema(), given);
    EXPECT_TRUE(options.ok()) << options.status();
    const QuantizeProblem problem = {
        .shape = {kOut, kIn}, .weights = weights, .hessian = hessian, .options = *options};
    return QuantizeInt4OnCpu(pool, problem, progress == nullptr ? silent : *progress, report_);
  }

  // The Hessian with damping, in double precision.
  std::vector<double> Damped(double damping) const {
    std::vector<double> h(hessian_.begin(), hessian_.end());
    double mean = 0;
    for (int64_t i = 0; i < kIn; ++i) mean += h[i * kIn + i] / kIn;
    for (int64_t i = 0; i < kIn; ++i) h[i * kIn + i] += damping * mean;
    return h;
  }

  // tr(A H A^T) of rows A.
  static double Energy(const std::vector<double>& rows, const std::vector<double>& h) {
    double energy = 0;
    for (size_t row = 0; row < rows.size() / kIn; ++row) {
      for (int64_t i = 0; i < kIn; ++i) {
        for (int64_t j = 0; j < kIn; ++j) {
          energy += rows[row * kIn + i] * h[i * kIn + j] * rows[row * kIn + j];
        }
      }
    }
    return energy;
  }

  double ProxyError(const PackedLayer& layer, const std::vector<double>& h) {
    const std::vector<float> decoded = *format_->ReferenceWeights(layer);
    std::vector<double> errors(weights_.begin(), weights_.end());
    for (size_t i = 0; i < errors.size(); ++i) errors[i] -= decoded[i];
    return Energy(errors, h) / Energy(std::vector<double>(weights_.begin(), weights_.end()), h);
  }

  const std::unique_ptr<WeightFormat> format_ = MakeInt4Format();
  std::vector<float> weights_;
  std::vector<float> hessian_;
  QuantizeReport report_;
};

// The upper Cholesky factor of the inverse, by Gauss-Jordan and the textbook, in double.
std::vector<double> UpperFactorOfInverse(std::vector<double> h, int64_t n) {
  std::vector<double> inverse(n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  for (int64_t pivot = 0; pivot < n; ++pivot) {
    const double by = 1 / h[pivot * n + pivot];
    for (int64_t j = 0; j < n; ++j) h[pivot * n + j] *= by, inverse[pivot * n + j] *= by;
    for (int64_t i = 0; i < n; ++i) {
      const double factor = h[i * n + pivot];
      if (i == pivot || factor == 0) continue;
      for (int64_t j = 0; j < n; ++j) {
        h[i * n + j] -= factor * h[pivot * n + j];
        inverse[i * n + j] -= factor * inverse[pivot * n + j];
      }
    }
  }
  std::vector<double> upper(n * n, 0.0);  // inverse = upper^T upper
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i; j < n; ++j) {
      double sum = inverse[i * n + j];
      for (int64_t k = 0; k < i; ++k) sum -= upper[k * n + i] * upper[k * n + j];
      upper[i * n + j] = i == j ? std::sqrt(sum) : sum / upper[i * n + i];
    }
  }
  return upper;
}

// The sum of squared errors of weights rounded to a grid.
double SquaredError(const Int4Grid& grid, std::span<const float> weights) {
  double sum = 0;
  for (const float weight : weights) {
    sum += std::pow(double{grid.Value(grid.Code(weight))} - weight, 2);
  }
  return sum;
}

// GPTQ as its algorithm 1 is written, one column at a time, without blocks, in double: for column
// i, the error over the factor's diagonal, times the rest of the factor's row, is taken from all
// columns that follow. Errors are those of the layer, so that a tie that it broke otherwise changes
// nothing after it; returns how many of its codes are not the nearest to what the algorithm aims
// at, and of its grids not as good as the best for that.
struct Strays {
  int64_t codes = 0;
  int64_t grids = 0;
};

Strays FollowGptq(const Int4Layer& layer, std::vector<double> w, const std::vector<double>& upper,
                  const Int4GridSpec& grid_spec) {
  const auto [rows, n] = layer.shape();
  const int64_t group_size = layer.spec().group_size;
  Strays strays;
  for (int64_t row = 0; row < rows; ++row) {
    double* weights = &w[row * n];
    for (int64_t i = 0; i < n; ++i) {
      const int64_t group = i / group_size;
      const Int4Grid grid = {.scale_bits = layer.ScaleBits(group, row),
                             .scale = layer.Scale(group, row),
                             .inverse = 1 / layer.Scale(group, row),
                             .zero = layer.Zero(group, row)};
      if (i % group_size == 0) {
        const std::vector<float> targets(weights + i, weights + i + group_size);
        const double best = SquaredError(*ChooseInt4Grid(grid_spec, targets), targets);
        if (SquaredError(grid, targets) > 1.001 * best) ++strays.grids;
      }
      const double value = layer.Weight(row, i);
      double nearest = std::numeric_limits<double>::infinity();
      for (int code = 0; code < 16; ++code) {
        nearest = std::min(nearest, std::abs(grid.Value(code) - weights[i]));
      }
      if (std::abs(value - weights[i]) > nearest + 1e-3 * grid.scale) ++strays.codes;
      const double error = (weights[i] - value) / upper[i * n + i];
      for (int64_t j = i; j < n; ++j) weights[j] -= error * upper[i * n + j];
    }
  }
  return strays;
}

TEST_F(Int4Quantize, TheFactorGivesTheHessianBack) {
  const std::vector<double> h = Damped(0.01);
  std::vector<float> memory = hessian_;
  ThreadPool pool(2);
  const auto factor = FactorInt4Hessian(pool, NoProgress(), memory, kIn, 0.01);
  ASSERT_TRUE(factor.ok()) << factor.status();
  const auto at = [&](int64_t i, int64_t j) {
    return (i == j ? 1 : double{factor->upper[i * kIn + j]}) * factor->pivots[j];
  };
  double worst = 0;
  for (int64_t i = 0; i < kIn; ++i) {
    for (int64_t j = 0; j < kIn; ++j) {
      double sum = 0;
      for (int64_t k = std::max(i, j); k < kIn; ++k) sum += at(i, k) * at(j, k);
      worst = std::max(worst, std::abs(sum - h[i * kIn + j]));
    }
  }
  EXPECT_LT(worst, 1e-5);
}

TEST_F(Int4Quantize, FeedsErrorsBackAsGptqDoes) {
  const std::vector<double> upper = UpperFactorOfInverse(Damped(0.01), kIn);
  for (const int64_t group_size : {32, 64, 128, -1}) {
    for (const bool is_symmetric : {true, false}) {
      const auto packed = Quantize({{"group_size", group_size}, {"symmetric", is_symmetric}}, true);
      ASSERT_TRUE(packed.ok()) << packed.status();
      const Strays strays = FollowGptq(*ParseInt4Layer(*packed), {weights_.begin(), weights_.end()},
                                       upper, {.is_symmetric = is_symmetric});
      EXPECT_EQ(strays.codes, 0) << group_size << " " << is_symmetric;
      EXPECT_EQ(strays.grids, 0) << group_size << " " << is_symmetric;
    }
  }
}

TEST_F(Int4Quantize, RoundsToNearest) {
  for (const bool with_hessian : {false, true}) {
    for (const int64_t group_size : {32, 128}) {
      const auto layer =
          Quantize({{"group_size", group_size}, {"encoder", std::string("rtn")}}, with_hessian);
      ASSERT_TRUE(layer.ok());
      const std::vector<float> decoded = *format_->ReferenceWeights(*layer);
      for (int64_t begin = 0; begin < kOut * kIn; begin += group_size) {
        const auto grid = ChooseInt4Grid({}, std::span(weights_).subspan(begin, group_size));
        for (int64_t i = begin; i < begin + group_size; ++i) {
          float nearest = grid->Value(0);
          for (int code = 1; code < 16; ++code) {
            const float value = grid->Value(code);
            if (std::abs(value - weights_[i]) < std::abs(nearest - weights_[i])) nearest = value;
          }
          EXPECT_EQ(decoded[i], nearest) << i;
        }
      }
    }
  }
}

TEST_F(Int4Quantize, ReportsTheErrorThatTheHessianWeighs) {
  const std::vector<double> damped = Damped(0.05);
  for (const char* encoder : {"rtn", "gptq"}) {
    for (const int64_t group_size : {64, -1}) {
      const auto layer = Quantize(
          {{"encoder", std::string(encoder)}, {"group_size", group_size}, {"damping", 0.05}}, true);
      ASSERT_TRUE(layer.ok());
      const double exact = ProxyError(*layer, damped);
      EXPECT_NEAR(report_.proxy_error, exact, 1e-4 * exact) << encoder;
    }
  }
}

TEST_F(Int4Quantize, FeedbackMakesTheWeighedErrorLess) {
  ASSERT_TRUE(Quantize({{"encoder", std::string("rtn")}}, true).ok());
  const double rtn = report_.proxy_error;
  ASSERT_TRUE(Quantize({}, true).ok());
  EXPECT_LT(report_.proxy_error, 0.5 * rtn) << "auto is gptq where there is a Hessian";
}

TEST_F(Int4Quantize, WithoutAHessianTheEncodersGiveTheSame) {
  const PackedLayer plain = *Quantize({}, false);
  const double error = report_.proxy_error;
  EXPECT_NEAR(error,
              ProxyError(plain,
                         [] {
                           std::vector<double> identity(kIn * kIn, 0.0);
                           for (int64_t i = 0; i < kIn; ++i) identity[i * kIn + i] = 1;
                           return identity;
                         }()),
              1e-6 * error);
  for (const char* encoder : {"rtn", "gptq"}) {
    const PackedLayer other = *Quantize({{"encoder", std::string(encoder)}}, false);
    for (const auto& [name, tensor] : plain.tensors) {
      EXPECT_TRUE(std::ranges::equal(tensor.bytes(), other.tensors.at(name).bytes())) << name;
    }
  }
}

TEST_F(Int4Quantize, GivesTheSameBytesForAnyNumberOfThreads) {
  for (const bool with_hessian : {false, true}) {
    const auto one = Quantize({{"symmetric", false}}, with_hessian, 1);
    const auto three = Quantize({{"symmetric", false}}, with_hessian, 3);
    ASSERT_TRUE(one.ok() && three.ok());
    for (const auto& [name, tensor] : one->tensors) {
      EXPECT_TRUE(std::ranges::equal(tensor.bytes(), three->tensors.at(name).bytes())) << name;
    }
  }
}

// A last block that is no multiple of sixteen columns, and rows that fill no strip.
TEST_F(Int4Quantize, TakesOddShapes) {
  for (const Shape shape : {Shape{8, 8}, Shape{8, 136}, Shape{136, 24}, Shape{24, 168}}) {
    const auto [out, in] = shape;
    std::vector<float> weights(weights_.begin(), weights_.begin() + out * in);
    std::vector<float> hessian(in * in);
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t j = 0; j < in; ++j) hessian[i * in + j] = hessian_[i * kIn + j];
    }
    const std::vector<float> before = weights;
    ThreadPool pool(2);
    NoProgress progress;
    const Options options = *CheckOptions(format_->schema(), {{"group_size", int64_t{-1}}});
    const auto layer = QuantizeInt4OnCpu(
        pool, {.shape = shape, .weights = weights, .hessian = hessian, .options = options},
        progress, report_);
    ASSERT_TRUE(layer.ok()) << layer.status();
    EXPECT_TRUE(format_->Validate(*layer).ok());
    const std::vector<float> decoded = *format_->ReferenceWeights(*layer);
    double error = 0, energy = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      error += std::pow(double{decoded[i]} - before[i], 2);
      energy += std::pow(double{before[i]}, 2);
    }
    EXPECT_LT(error / energy, 0.03);
    EXPECT_LT(report_.proxy_error, 0.02);
  }
}

TEST_F(Int4Quantize, StopsWhereverItIsCancelled) {
  for (const bool with_hessian : {false, true}) {
    CancelledAt never(int64_t{1} << 40);
    ASSERT_TRUE(Quantize({}, with_hessian, 1, &never).ok());
    EXPECT_GT(never.looks(), 3);
    for (int64_t at = 1; at <= never.looks(); ++at) {
      CancelledAt progress(at);
      EXPECT_EQ(Quantize({}, with_hessian, 1, &progress).status().code(),
                absl::StatusCode::kCancelled)
          << at;
    }
  }
}

TEST_F(Int4Quantize, TellsHowFarItIs) {
  CancelledAt progress(int64_t{1} << 40);
  ASSERT_TRUE(Quantize({}, true, 1, &progress).ok());
  EXPECT_EQ(progress.stages_, (std::vector<std::string>{"factor", "encode"}));
  EXPECT_TRUE(std::ranges::is_sorted(progress.fractions_));
  EXPECT_EQ(progress.fractions_.back(), 1);
  ASSERT_EQ(report_.step_seconds.size(), 2u);
}

TEST_F(Int4Quantize, RefusesABadHessian) {
  const auto reason = [&](const Given& given = {}) {
    return GetErrorInfo(Quantize(given, true).status()).reason;
  };
  hessian_[5] += 1;
  EXPECT_EQ(reason(), "HESSIAN_NOT_SYMMETRIC");
  hessian_[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(reason(), "HESSIAN_NOT_SYMMETRIC");
  std::ranges::fill(hessian_, 0.0F);
  EXPECT_EQ(reason(), "HESSIAN_NOT_POSITIVE_DEFINITE");
  hessian_.resize(100);
  EXPECT_EQ(reason(), "HESSIAN_SHAPE_INVALID");
}

TEST_F(Int4Quantize, AnInputThatNeverOccursNeedsDamping) {
  for (int64_t i = 0; i < kIn; ++i) hessian_[7 * kIn + i] = hessian_[i * kIn + 7] = 0;
  const auto error = Quantize({{"damping", 0.0}}, true).status();
  EXPECT_EQ(GetErrorInfo(error).reason, "HESSIAN_NOT_POSITIVE_DEFINITE");
  EXPECT_NE(GetErrorInfo(error).metadata["allowed"].find("damping"), std::string::npos);
  EXPECT_TRUE(Quantize({}, true).ok());
}

TEST_F(Int4Quantize, NamesWeightsWhoseScaleIsNoNumberOfItsType) {
  weights_[3 * kIn + 130] = 1e6F;
  const absl::Status status = Quantize({}, false).status();
  EXPECT_EQ(GetErrorInfo(status).reason, "WEIGHTS_OUT_OF_RANGE");
  EXPECT_NE(status.message().find("row 3 from column 128"), std::string::npos) << status;
  EXPECT_TRUE(Quantize({{"scale_dtype", std::string("bf16")}}, false).ok());
}

TEST_F(Int4Quantize, ReproducesAZeroMatrix) {
  std::ranges::fill(weights_, 0.0F);
  for (const bool is_symmetric : {true, false}) {
    const auto layer = Quantize({{"symmetric", is_symmetric}}, true);
    ASSERT_TRUE(layer.ok());
    EXPECT_EQ(report_.proxy_error, 0);
    const std::vector<float> decoded = *format_->ReferenceWeights(*layer);
    EXPECT_EQ(std::ranges::count(decoded, 0.0F), kOut * kIn);
  }
}

TEST_F(Int4Quantize, CountsTheBytesThatItPacks) {
  for (const int64_t group_size : {32, 64, 128, -1}) {
    for (const bool is_symmetric : {true, false}) {
      const auto layer = Quantize({{"group_size", group_size}, {"symmetric", is_symmetric}}, false);
      ASSERT_TRUE(layer.ok());
      uint64_t bytes = 0;
      for (const auto& [name, tensor] : layer->tensors) bytes += tensor.bytes().size();
      EXPECT_EQ(bytes, format_->PackedBytes(layer->options, layer->shape));
    }
  }
}

}  // namespace
}  // namespace qtipd
