#include "kernels/formats/qtip/qtip_cpu_fixed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/api/dtype.h"
#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_cpu_layout.h"
#include "kernels/formats/qtip/qtip_reference.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "tests/kernels/cpu/each_target.h"

namespace qtipd {
namespace {

std::vector<float> Normal(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  FillNormal(seed, RandomStream::kTest, 0, values);
  return values;
}

// 512 pairs of random fp16, or of random multiples of 3/128, the largest of them -127 and 127.
std::vector<uint16_t> RandomTable(bool is_grid) {
  std::vector<uint16_t> tlut;
  for (const float value : Normal(kQtipLutValues, 7)) {
    const float step = std::round(value * 40) * (3.0f / 128);
    tlut.push_back(
        FloatToHalf(is_grid ? std::clamp(step, -127 * 3 / 128.0f, 127 * 3 / 128.0f) : value));
  }
  return tlut;
}

struct FixedLayer {
  FixedLayer(int bits, Shape shape, bool is_grid) {
    layer.shape = shape;
    layer.spec.bits = bits;
    layer.tlut = RandomTable(is_grid);
    layer.trellis.resize(QtipTrellisWords(shape.out_features, shape.in_features, bits));
    for (size_t i = 0; i < layer.trellis.size(); ++i) {
      layer.trellis[i] = static_cast<uint16_t>(RandomBits(bits, RandomStream::kTest, i));
    }
    packed.assign(layer.trellis.size() * 2, 0);
    QtipCpuRepack(layer.trellis, bits, shape, packed.data());
    packed.resize(packed.size() + kQtipCpuPadding, 0xAA);
    FillQtipFixedTable(layer.tlut, table);
    weights = QtipTrellisWeights(layer);
  }

  std::vector<float> Multiply(const std::vector<float>& u, int64_t batch) const {
    const auto [out, in] = layer.shape;
    std::vector<int8_t> bytes(2 * u.size(), 0x55);
    std::vector<QtipFixedActivations> rounded(batch);
    for (int64_t b = 0; b < batch; ++b) {
      rounded[b].bytes = bytes.data() + 2 * b * in;
      QtipCpuRoundActivations(u.data() + b * in, in, rounded[b]);
    }
    std::vector<float> z(batch * out, NAN);
    QtipCpuMultiplyFixed({.packed = packed.data(),
                          .spec = layer.spec,
                          .in_features = in,
                          .begin = 0,
                          .end = out / 16},
                         table, rounded, out, z.data());
    return z;
  }

  // Relative L2 error against double precision on the exact weights.
  double Error(const std::vector<float>& u, int64_t batch) const {
    const auto [out, in] = layer.shape;
    const std::vector<float> z = Multiply(u, batch);
    double error = 0, norm = 0;
    for (int64_t i = 0; i < batch * out; ++i) {
      double exact = 0;
      for (int64_t col = 0; col < in; ++col) {
        exact += double{weights[i % out * in + col]} * u[i / out * in + col];
      }
      error += std::pow(z[i] - exact, 2);
      norm += exact * exact;
    }
    return std::sqrt(error / norm);
  }

  QtipLayer layer;
  QtipFixedTable table;
  std::vector<uint8_t> packed;
  std::vector<float> weights;
};

// Largest activation times kQtipLargestFixed over it: nothing is rounded.
std::vector<float> WholeNumbers(int64_t count) {
  std::vector<float> u = Normal(count, 3);
  for (float& value : u) value = std::clamp(std::round(value * 9000), -32512.0f, 32512.0f);
  u.front() = -32512;
  return u;
}

class QtipCpuFixed : public testing::Test {
 protected:
  void SetUp() override {
    if (!QtipCpuHasFixedKernel({})) GTEST_SKIP() << "this processor has no AVX-512 VBMI";
  }
};

TEST(QtipFixedTable, OnAGridOfEightBitsIsExactInOneByte) {
  const std::vector<uint16_t> tlut = RandomTable(true);
  QtipFixedTable table;
  FillQtipFixedTable(tlut, table);
  ASSERT_EQ(table.bytes_per_weight, 1);
  for (int i = 0; i < kQtipLutValues; ++i) {
    EXPECT_EQ((table.bytes[i % 2][0][i / 2] - 128) * table.unit, HalfToFloat(tlut[i]));
  }
}

TEST(QtipFixedTable, AnyOtherIsRoundedToTwoBytes) {
  const std::vector<uint16_t> tlut = RandomTable(false);
  QtipFixedTable table;
  FillQtipFixedTable(tlut, table);
  ASSERT_EQ(table.bytes_per_weight, 2);
  for (int i = 0; i < kQtipLutValues; ++i) {
    const auto& bytes = table.bytes[i % 2];
    const int value = (bytes[0][i / 2] - 128) * 256 + bytes[1][i / 2] - 128;
    EXPECT_NEAR(value * table.unit, HalfToFloat(tlut[i]), 1.5 * table.unit);
  }
}

TEST_F(QtipCpuFixed, IsExactOnAGridWithActivationsOfSixteenBits) {
  for (const int bits : {2, 3, 4}) {
    for (const Shape shape : {Shape{32, 32}, Shape{64, 288}, Shape{32, 1024}}) {
      const FixedLayer layer(bits, shape, true);
      EXPECT_LE(layer.Error(WholeNumbers(shape.in_features), 1), 1e-7)
          << bits << " bits, in " << shape.in_features;
    }
  }
}

TEST_F(QtipCpuFixed, RoundsAnyTableAndActivationsToAPartInTenThousand) {
  for (const int bits : {2, 3, 4}) {
    for (const Shape shape : {Shape{32, 32}, Shape{64, 288}, Shape{32, 8192}}) {
      const FixedLayer layer(bits, shape, false);
      for (const int64_t batch : {1, 3, 16}) {
        EXPECT_LE(layer.Error(Normal(batch * shape.in_features, batch), batch), 1e-4)
            << bits << " bits, in " << shape.in_features << ", batch " << batch;
      }
    }
  }
}

TEST_F(QtipCpuFixed, LargestSumsDoNotOverflow) {
  FixedLayer layer(2, {32, 32}, true);
  layer.layer.shape.in_features = 131072;
  const int64_t in = layer.layer.shape.in_features;
  layer.packed.assign(32 * in / 4 + kQtipCpuPadding, 0);  // state 0 throughout: entry 0
  for (auto& of_weight : layer.table.bytes) of_weight[0][0] = 255;
  layer.table.unit = 1;
  const std::vector<float> z = layer.Multiply(std::vector<float>(in, -1.0f), 1);
  for (const float sum : z) EXPECT_NEAR(sum, -127.0 * in, 127.0 * in * 1e-6);
}

TEST_F(QtipCpuFixed, ZerosGiveZeros) {
  const FixedLayer layer(2, {32, 64}, false);
  EXPECT_EQ(layer.Multiply(std::vector<float>(64, 0.0f), 1), std::vector<float>(32, 0.0f));
}

}  // namespace
}  // namespace qtipd
