#include "kernels/formats/qtip/qtip_cpu_kernel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "kernels/api/dtype.h"
#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_codebook.h"
#include "kernels/formats/qtip/qtip_cpu_layout.h"
#include "tests/kernels/cpu/each_target.h"

namespace qtipd {
namespace {

// A random trellis (every bit string is legal) with a random codebook, and its weights by the rules
// of qtip_layout.h and qtip_codebook.h.
struct RandomLayer {
  RandomLayer(int bits, Shape shape) : bits(bits), shape(shape) {
    std::vector<uint16_t> trellis(QtipTrellisWords(shape.out_features, shape.in_features, bits));
    for (size_t i = 0; i < trellis.size(); ++i) {
      trellis[i] = static_cast<uint16_t>(RandomBits(bits, RandomStream::kTest, i));
    }
    std::vector<float> normal(kQtipLutValues);
    FillNormal(7, RandomStream::kTest, 0, normal);
    tlut.resize(kQtipLutValues);
    for (int i = 0; i < kQtipLutValues; ++i) tlut[i] = FloatToHalf(normal[i]);
    FillPairTable(tlut, *table);
    packed.assign(shape.out_features / 16 * QtipCpuRowBytes(shape.in_features, bits), 0);
    QtipCpuRepack(trellis, bits, shape, packed.data());
    packed.resize(packed.size() + kQtipCpuPadding, 0xAA);
    weights.resize(shape.out_features * shape.in_features);
    for (int64_t row = 0; row < shape.out_features; ++row) {
      for (int64_t col = 0; col < shape.in_features; ++col) {
        weights[row * shape.in_features + col] = Weight(trellis, row, col);
      }
    }
  }

  float Weight(const std::vector<uint16_t>& trellis, int64_t row, int64_t col) const {
    const auto* bytes = reinterpret_cast<const uint8_t*>(trellis.data());
    const int position = QtipPositionOf(static_cast<int>(row % 16), static_cast<int>(col % 16));
    const int lane = position / 8;
    const auto chunk = [&](int of_lane) {
      return QtipLoadChunk(
          bytes + QtipChunkOffset(bits, shape.in_features / 16, row / 16, col / 16, of_lane % 32),
          bits);
    };
    const uint32_t state = QtipWindow(chunk(lane), chunk(lane + 1), bits, position / 2 % 4);
    const uint32_t pair = QtipHybDecode(state, tlut.data());
    return HalfToFloat(static_cast<uint16_t>(position % 2 == 0 ? pair : pair >> 16));
  }

  QtipCpuRows Rows() const {
    return {.packed = packed.data(),
            .spec = {.bits = bits},
            .pairs = table.get(),
            .in_features = shape.in_features,
            .begin = 0,
            .end = shape.out_features / 16};
  }

  // z [batch, out_features] over NaN.
  std::vector<float> Multiply(const std::vector<float>& u, int64_t batch) const {
    std::vector<float> z(batch * shape.out_features, NAN), scratch(u.size(), NAN);
    const float* arranged =
        QtipCpuArrange(Rows().spec, u.data(), batch, shape.in_features, scratch.data());
    QtipCpuMultiplyRows(Rows(), arranged, batch, shape.out_features, z.data());
    return z;
  }

  int bits;
  Shape shape;
  std::unique_ptr<PairTable> table = std::make_unique<PairTable>();
  std::vector<uint16_t> tlut;
  std::vector<uint8_t> packed;
  std::vector<float> weights;
};

constexpr Shape kShapes[] = {{32, 32}, {32, 64}, {64, 512}, {128, 32}, {32, 1024}, {96, 288}};

TEST(QtipCpuKernel, DecodesEveryWeightExactlyOnEveryInstructionSet) {
  for (const int bits : {2, 3, 4}) {
    for (const Shape shape : kShapes) {
      const RandomLayer layer(bits, shape);
      ForEachTarget([&] {
        std::vector<float> decoded(layer.weights.size(), NAN);
        QtipCpuDecodeRows(layer.Rows(), decoded.data());
        EXPECT_EQ(decoded, layer.weights) << "bits " << bits << " in " << shape.in_features;
      });
    }
  }
}

// Relative L2 error against double precision.
double MultiplyError(const RandomLayer& layer, const std::vector<float>& u, int64_t batch) {
  const auto [out, in] = layer.shape;
  const std::vector<float> z = layer.Multiply(u, batch);
  double error = 0, norm = 0;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t row = 0; row < out; ++row) {
      double exact = 0;
      for (int64_t col = 0; col < in; ++col) {
        exact += double{layer.weights[row * in + col]} * double{u[b * in + col]};
      }
      error += std::pow(z[b * out + row] - exact, 2);
      norm += exact * exact;
    }
  }
  return std::sqrt(error / norm);
}

TEST(QtipCpuKernel, MultiplyAgreesWithDoublePrecisionOnEveryInstructionSet) {
  for (const int bits : {2, 3, 4}) {
    for (const Shape shape : kShapes) {
      const RandomLayer layer(bits, shape);
      for (const int64_t batch : {1, 2, 3, 4, 5, 7, 16, 64}) {
        std::vector<float> u(batch * shape.in_features);
        FillNormal(batch, RandomStream::kTest, 0, u);
        ForEachTarget([&] {
          EXPECT_LE(MultiplyError(layer, u, batch), 1e-6)
              << "bits " << bits << " batch " << batch << " in " << shape.in_features;
        });
      }
    }
  }
}

TEST(QtipCpuKernel, ARangeOfRowsWritesOnlyThoseRows) {
  const RandomLayer layer(3, {64, 64});
  std::vector<float> u(64, 1.0f);  // the same in every order
  const std::vector<float> whole = layer.Multiply(u, 1);
  std::vector<float> part(64, -7.0f);
  QtipCpuRows rows = layer.Rows();
  rows.begin = 1;
  rows.end = 3;
  QtipCpuMultiplyRows(rows, u.data(), 1, 64, part.data());
  for (int row = 0; row < 64; ++row) {
    EXPECT_EQ(part[row], row >= 16 && row < 48 ? whole[row] : -7.0f) << row;
  }
}

}  // namespace
}  // namespace qtipd
