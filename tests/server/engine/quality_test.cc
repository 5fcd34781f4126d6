#include "server/engine/jobs/quality.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/api/random.h"
#include "tests/fakes/fake_device.h"
#include "tests/fakes/fake_format.h"

namespace qtipd {
namespace {

class SettableProgress final : public Progress {
 public:
  void Report(double, std::string_view) override {}
  bool IsCancelled() const override { return is_cancelled; }
  bool is_cancelled = false;
};

class QualityTest : public ::testing::Test {
 protected:
  void SetUp() override { AddFakeFormat(registry_, std::make_shared<FakeFormatControl>()); }

  absl::StatusOr<Quality> Measure(Shape shape, std::vector<float> w, std::vector<float> w_hat) {
    PackedLayer layer{.format = "fake", .shape = shape};
    layer.tensors["rounded"] =
        HostTensor::Take(DType::kF32, {shape.out_features, shape.in_features}, std::move(w_hat));
    auto resident = *(*registry_.FindBackend("fake", "fake"))->Load(*device_, layer);
    const auto read_weights = [&](int64_t first, std::span<float> values) {
      std::copy_n(w.begin() + first, values.size(), values.begin());
    };
    return MeasureQuality(*device_, *resident, read_weights, progress_);
  }

  Registry registry_;
  std::unique_ptr<Device> device_ = MakeFakeDevice(std::make_shared<FakeDeviceControl>());
  SettableProgress progress_;
};

TEST_F(QualityTest, OfExactWeightsIsZero) {
  const std::vector<float> w(64, 0.5f);
  const Quality quality = *Measure({8, 8}, w, w);
  EXPECT_EQ(quality.weight_mse, 0);
  EXPECT_EQ(quality.relative_output_mse, 0);
}

TEST_F(QualityTest, MatchesADirectComputation) {
  constexpr int64_t kOut = 1030;  // more rows than are copied at a time, no multiple of anything
  constexpr int64_t kIn = 12;
  std::vector<float> w(kOut * kIn);
  std::vector<float> w_hat(kOut * kIn);
  FillNormal(1, RandomStream::kTest, 0, w);
  for (size_t i = 0; i < w.size(); ++i) w_hat[i] = std::round(w[i] * 2) / 2;
  std::vector<float> x(kIn * 16);
  FillNormal(0, RandomStream::kQualityActivations, 0, x);
  double weight_error = 0, weight = 0, output_error = 0, output = 0;
  for (int64_t i = 0; i < kOut; ++i) {
    for (int v = 0; v < 16; ++v) {
      double y = 0, e = 0;
      for (int64_t j = 0; j < kIn; ++j) {
        y += double{w[i * kIn + j]} * x[j * 16 + v];
        e += (double{w[i * kIn + j]} - w_hat[i * kIn + j]) * x[j * 16 + v];
      }
      output += y * y;
      output_error += e * e;
    }
    for (int64_t j = 0; j < kIn; ++j) {
      const double e = double{w[i * kIn + j]} - w_hat[i * kIn + j];
      weight_error += e * e;
      weight += double{w[i * kIn + j]} * w[i * kIn + j];
    }
  }
  const Quality quality = *Measure({kOut, kIn}, w, w_hat);
  EXPECT_NEAR(quality.weight_mse, weight_error / (kOut * kIn), 1e-9);
  EXPECT_NEAR(quality.relative_weight_mse, weight_error / weight, 1e-9);
  EXPECT_NEAR(quality.output_mse, output_error / (kOut * 16), 1e-6);
  EXPECT_NEAR(quality.relative_output_mse, output_error / output, 1e-6);
}

TEST_F(QualityTest, CanBeCancelled) {
  progress_.is_cancelled = true;
  const std::vector<float> w(64, 0.5f);
  EXPECT_TRUE(absl::IsCancelled(Measure({8, 8}, w, w).status()));
}

}  // namespace
}  // namespace qtipd
