#include "server/engine/input/gram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"

namespace qtipd {
namespace {

// Counts reports and cancels after some.
class CountingProgress final : public Progress {
 public:
  explicit CountingProgress(int cancel_after = std::numeric_limits<int>::max())
      : cancel_after_(cancel_after) {}
  void Report(double fraction, std::string_view) override {
    EXPECT_GE(fraction, last_);
    EXPECT_LE(fraction, 1);
    last_ = fraction;
    ++reports_;
  }
  bool IsCancelled() const override { return reports_ >= cancel_after_; }

 private:
  const int cancel_after_;
  int reports_ = 0;
  double last_ = 0;
};

std::vector<float> Normal(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  FillNormal(3, RandomStream::kWeights, 0, values);
  return values;
}

HostTensor Matrix(int64_t tokens, int64_t features, std::vector<float> values) {
  return HostTensor::Take(DType::kF32, {tokens, features}, std::move(values));
}

absl::StatusOr<std::vector<double>> Gram(const HostTensor& x, GramLimits limits = {}) {
  std::vector<double> triangle;
  CountingProgress progress;
  const absl::Status status =
      ComputeGram(x, "x", limits, progress, [&](std::span<const double> row) {
        triangle.insert(triangle.end(), row.begin(), row.end());
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return triangle;
}

TEST(Gram, IsTheSumOfProductsForAnySize) {
  for (const auto& [tokens, features] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 5}, {130, 8}, {128, 17}, {300, 40}}) {
    const std::vector<float> values = Normal(tokens * features);
    const auto gram = Gram(Matrix(tokens, features, values));
    ASSERT_TRUE(gram.ok()) << gram.status();
    ASSERT_EQ(gram->size(), static_cast<size_t>(features * (features + 1) / 2));
    size_t position = 0;
    for (int64_t i = 0; i < features; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        double sum = 0;
        for (int64_t t = 0; t < tokens; ++t) {
          sum += double{values[t * features + i]} * values[t * features + j];
        }
        // A few hundred products of size one, each rounded once.
        EXPECT_NEAR((*gram)[position++], sum, 1e-12) << tokens << "x" << features;
      }
    }
  }
}

TEST(Gram, PanelsAndChunksChangeNothingWhereSumsAreExact) {
  std::vector<float> values = Normal(100 * 48);
  for (float& value : values) value = std::round(4 * value);
  const HostTensor x = Matrix(100, 48, values);
  const std::vector<double> whole = *Gram(x);
  EXPECT_EQ(*Gram(x, {.panel_bytes = 1}), whole);
  EXPECT_EQ(*Gram(x, {.panel_bytes = 48 * 8 * 20, .chunk_tokens = 7}), whole);
}

TEST(Gram, NamesTheFirstValueThatIsNotFinite) {
  for (const float bad : {NAN, INFINITY}) {
    std::vector<float> values(200 * 24, 1);
    values[150 * 24 + 17] = bad;
    const absl::Status status = Gram(Matrix(200, 24, values), {.panel_bytes = 1}).status();
    EXPECT_EQ(GetErrorInfo(status).reason, "NON_FINITE");
    EXPECT_NE(status.message().find("[150, 17]"), status.message().npos) << status;
  }
}

TEST(Gram, StopsWhenItIsCancelled) {
  CountingProgress progress(2);
  const absl::Status status = ComputeGram(Matrix(600, 8, Normal(600 * 8)), "x", {}, progress,
                                          [](auto) { return absl::OkStatus(); });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST(Gram, PassesOnWhatTheSinkSays) {
  CountingProgress progress;
  const absl::Status status = ComputeGram(Matrix(4, 8, Normal(32)), "x", {}, progress,
                                          [](auto) { return absl::DataLossError("full"); });
  EXPECT_TRUE(absl::IsDataLoss(status));
}

}  // namespace
}  // namespace qtipd
