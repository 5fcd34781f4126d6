// Resident layers of every kind against double precision, with every instruction set.
#include "kernels/formats/lut/lut_cpu.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/api/error.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/formats/lut/lut_cpu_layout.h"
#include "tests/kernels/cpu/each_target.h"
#include "tests/kernels/formats/lut/lut_test_layers.h"

namespace qtipd {
namespace {

// Of sums of up to 3200 products in fp32, one accumulator at the worst.
constexpr double kBound = 2e-6;
constexpr float kPoison = std::numeric_limits<float>::quiet_NaN();

// What a layer gives for x [batch, in_features].
class Expected {
 public:
  Expected(const PackedLayer& layer, const std::vector<float>& x)
      : weights(*MakeLutFormat()->ReferenceWeights(layer)) {
    const auto [out, in] = layer.shape;
    const int64_t batch = std::ssize(x) / in;
    y_ = *MakeLutFormat()->ReferenceMultiply(layer, x, batch);
    squares_.resize(y_.size());
    for (int64_t i = 0; i < batch * out; ++i) {
      for (int64_t col = 0; col < in; ++col) {
        squares_[i] += std::pow(double{weights[i % out * in + col]} * x[i / out * in + col], 2);
      }
    }
  }

  // L2 error of y, of a whole batch or its first vectors, over the L2 norm that the exact one has
  // on average over the signs of x: an output near zero has no small error of its own.
  double ErrorOf(const std::vector<float>& y) const {
    double error = 0, norm = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      error += std::pow(y[i] - y_[i], 2);
      norm += squares_[i];
    }
    return std::sqrt(error / norm);
  }

  const std::vector<float> weights;

 private:
  std::vector<double> y_;
  std::vector<double> squares_;
};

std::unique_ptr<ResidentWeights> Load(CpuDevice& device, const PackedLayer& layer) {
  auto weights = MakeLutCpuBackend()->Load(device, layer);
  EXPECT_TRUE(weights.ok()) << weights.status();
  return *std::move(weights);
}

std::vector<float> Multiply(ResidentWeights& weights, int copy, int64_t batch,
                            const std::vector<float>& x) {
  std::vector<float> y(batch * weights.shape().out_features, kPoison);
  EXPECT_TRUE(weights.Multiply(copy, batch, x.data(), y.data()).ok());
  return y;
}

std::vector<LutSpec> AllSpecs() {
  std::vector<LutSpec> specs;
  for (const int bits : {1, 2, 3, 4, 8}) {
    for (const int64_t block : {0, 32, 64, 128}) {
      for (const bool is_per_channel : {false, true}) {
        specs.push_back({bits, block, is_per_channel, block == 32 ? DType::kBF16 : DType::kF16});
      }
    }
  }
  return specs;
}

// Rows that are no whole group; columns that are no whole chunk, one, several segments and a part.
constexpr Shape kShapes[] = {{1, 256}, {5, 384}, {18, 1024}, {7, 2688}, {66, 3200}};

TEST(LutCpu, MultipliesAndDecodesLikeTheReference) {
  CpuDevice device({.threads = 2, .read_memory = {}});
  for (const LutSpec& spec : AllSpecs()) {
    for (const Shape shape : kShapes) {
      SCOPED_TRACE(testing::Message() << spec.bits << " bits, block " << spec.block << ", "
                                      << (spec.is_per_channel ? "channel" : "tensor") << ", "
                                      << shape.out_features << "x" << shape.in_features);
      const PackedLayer layer = RandomLutLayer(spec, shape);
      const auto weights = Load(device, layer);
      const std::vector<float> x = Normal(5 * shape.in_features, 9);
      const Expected expected(layer, x);
      ForEachTarget([&] {
        std::vector<float> w(expected.weights.size(), kPoison);
        ASSERT_TRUE(weights->Decode(0, w.data()).ok());
        EXPECT_EQ(w, expected.weights);
        std::fill(w.begin(), w.end(), kPoison);
        ASSERT_TRUE(weights->DecodeOriginal(w.data(), DType::kF32, NoProgress()).ok());
        EXPECT_EQ(w, expected.weights);
        for (const int64_t batch : {1, 2, 5}) {
          EXPECT_LT(expected.ErrorOf(Multiply(*weights, 0, batch, x)), kBound) << batch;
        }
      });
    }
  }
}

TEST(LutCpu, TakesRowsOfSixteenWithoutBlocks) {
  CpuDevice device({.threads = 1, .read_memory = {}});
  const PackedLayer layer = RandomLutLayer({.bits = 3, .block = 0}, {3, 16});
  const auto weights = Load(device, layer);
  const std::vector<float> x = Normal(16, 9);
  EXPECT_LT(Expected(layer, x).ErrorOf(Multiply(*weights, 0, 1, x)), kBound);
}

TEST(LutCpu, TakesBatchesUpToItsLargest) {
  CpuDevice device({.threads = 2, .read_memory = {}});
  const PackedLayer layer = RandomLutLayer({}, {20, 256});
  const auto weights = Load(device, layer);
  const int64_t most = weights->max_fused_batch();
  EXPECT_GE(most, 16);
  const std::vector<float> x = Normal((most + 1) * 256, 3);
  const Expected expected(layer, x);
  for (const int64_t batch : {most, int64_t{16}, int64_t{3}}) {
    EXPECT_LT(expected.ErrorOf(Multiply(*weights, 0, batch, x)), kBound) << batch;
  }
  std::vector<float> y((most + 1) * 20, kPoison);
  const absl::Status status = weights->Multiply(0, most + 1, x.data(), y.data());
  EXPECT_EQ(GetErrorInfo(status).reason, "BATCH_UNSUPPORTED");
  EXPECT_TRUE(std::isnan(y[0])) << "nothing is written";
}

TEST(LutCpu, GivesTheSameBitsOnEveryNumberOfThreadsAndCopy) {
  for (const LutSpec& spec : AllSpecs()) {
    const PackedLayer layer = RandomLutLayer(spec, {67, 1152});
    const std::vector<float> x = Normal(3 * 1152, 4);
    std::vector<float> one, three;  // outputs of batches of one and of three
    for (const int threads : {1, 2, 3, 7}) {
      CpuDevice device({.threads = threads, .read_memory = {}});
      const auto copies = *Load(device, layer)->Replicate(3);
      EXPECT_EQ(copies->copies(), 3);
      EXPECT_GE(copies->device_bytes(), 3 * copies->multiply_bytes());
      for (int copy = 0; copy < 3; ++copy) {
        const std::vector<float> y = Multiply(*copies, copy, 1, x);
        if (one.empty()) one = y;
        EXPECT_EQ(y, one) << threads;
        const std::vector<float> z = Multiply(*copies, copy, 3, x);
        if (three.empty()) three = z;
        EXPECT_EQ(z, three) << threads;
      }
    }
  }
}

TEST(LutCpu, NeedsTheMemoryThatItAnnounces) {
  CpuDevice device({.threads = 1, .read_memory = {}});
  for (const LutSpec& spec : AllSpecs()) {
    for (const Shape shape : kShapes) {
      const PackedLayer layer = RandomLutLayer(spec, shape);
      const auto weights = Load(device, layer);
      EXPECT_LE(weights->device_bytes(), MakeLutCpuBackend()->LoadBytes(layer));
    }
  }
}

TEST(LutCpu, ReadsHardlyMoreThanWhatIsStored) {
  CpuDevice device({.threads = 2, .read_memory = {}});
  for (const int bits : {1, 2, 3, 4, 8}) {
    const LutSpec spec = {.bits = bits};
    const Shape shape = {64, 4096};
    const auto weights = Load(device, RandomLutLayer(spec, shape));
    EXPECT_LE(static_cast<double>(weights->multiply_bytes()),
              1.01 * static_cast<double>(LutPackedBytes(spec, shape)) + 512)
        << bits;
  }
}

class CancelledAfter final : public Progress {
 public:
  explicit CancelledAfter(int questions) : left_(questions) {}
  void Report(double, std::string_view) override {}
  bool IsCancelled() const override { return left_-- <= 0; }

 private:
  mutable std::atomic<int> left_;
};

TEST(LutCpu, EndsDecodingWhenCancelled) {
  CpuDevice device({.threads = 2, .read_memory = {}});
  const auto weights = Load(device, RandomLutLayer({}, {256, 4096}));
  std::vector<float> w(256 * 4096);
  EXPECT_TRUE(absl::IsCancelled(weights->DecodeOriginal(w.data(), DType::kF32, CancelledAfter(1))));
  EXPECT_EQ(GetErrorInfo(weights->DecodeOriginal(w.data(), DType::kF16, NoProgress())).reason,
            "DTYPE_UNSUPPORTED");
}

TEST(LutCpu, KeepsEightColumnsOfEightBitsTogether) {
  bool is_used[64] = {};
  for (int column = 0; column < 64; ++column) {
    const int position = LutBytePosition(column);
    ASSERT_GE(position, 0);
    ASSERT_LT(position, 64);
    EXPECT_FALSE(is_used[position]);
    is_used[position] = true;
    EXPECT_EQ(position % 8, column % 8);
  }
}

}  // namespace
}  // namespace qtipd
