#include "kernels/formats/qtip/qtip_cpu_plain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_cpu_kernel.h"
#include "kernels/formats/qtip/qtip_cpu_layout.h"
#include "kernels/formats/qtip/qtip_reference.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "tests/kernels/cpu/each_target.h"

namespace qtipd {
namespace {

// A layer of random words (every bit string is legal) and what kernels need to read it.
struct PlainLayer {
  PlainLayer(const QtipCodeSpec& spec, Shape shape) {
    layer.spec = spec;
    layer.shape = shape;
    layer.tlut = QtipDefaultTable(spec);
    layer.trellis.resize(QtipTrellisWords(shape.out_features, shape.in_features, spec.bits));
    for (size_t i = 0; i < layer.trellis.size(); ++i) {
      layer.trellis[i] = static_cast<uint16_t>(RandomBits(3, RandomStream::kTest, i));
    }
    windows = MakeQtipPlainWindows(spec);
    table = MakeQtipTable(spec, layer.tlut);
    expected = QtipTrellisWeights(layer);
  }

  QtipCpuRows Rows() const {
    return {.packed = reinterpret_cast<const uint8_t*>(layer.trellis.data()),
            .spec = layer.spec,
            .windows = &windows,
            .table = table.weights.data(),
            .in_features = layer.shape.in_features,
            .begin = 0,
            .end = layer.shape.out_features / 16};
  }

  QtipLayer layer;
  QtipPlainWindows windows;
  QtipTable table;
  std::vector<float> expected;
};

std::vector<QtipCodeSpec> PlainSpecs() {
  std::vector<QtipCodeSpec> specs;
  for (const QtipCodeInfo& info : QtipCodes()) {
    for (int bits = kQtipMinBits; bits <= kQtipMaxBits; ++bits) {
      for (int state_bits : {16, 11}) {
        for (int dim = info.default_vector_dim;
             dim <= (info.table_bits < 0 ? 2 : info.default_vector_dim); ++dim) {
          const QtipCodeSpec spec{info.code, bits, state_bits, dim,
                                  info.table_bits < 0 ? state_bits : info.table_bits};
          if (!QtipHasKernelLayout(spec)) specs.push_back(spec);
        }
      }
    }
  }
  return specs;
}

TEST(QtipCpuPlain, DecodesEveryWeightExactlyOnEveryInstructionSet) {
  for (const QtipCodeSpec& spec : PlainSpecs()) {
    const PlainLayer layer(spec, {32, 288});
    ForEachTarget([&] {
      std::vector<float> decoded(layer.expected.size(), NAN);
      QtipCpuDecodeRows(layer.Rows(), decoded.data());
      EXPECT_EQ(decoded, layer.expected) << QtipSpecText(spec);
    });
  }
}

TEST(QtipCpuPlain, ComputesEveryStateAsItsTableHasIt) {
  for (QtipCode code : {QtipCode::k1Mad, QtipCode::k3Inst}) {
    const QtipCodeSpec spec{code, 4, 16, 1, 0};
    PlainLayer layer(spec, {512, 1024});
    // Word i of the string is state i: weights at columns 0, 4, 8 and 12 begin a word.
    for (size_t i = 0; i < layer.layer.trellis.size(); ++i) {
      layer.layer.trellis[i] = static_cast<uint16_t>(i);
    }
    layer.expected = QtipTrellisWeights(layer.layer);
    ForEachTarget([&] {
      std::vector<float> decoded(layer.expected.size(), NAN);
      QtipCpuDecodeRows(layer.Rows(), decoded.data());
      EXPECT_EQ(decoded, layer.expected);
    });
  }
}

TEST(QtipCpuPlain, MultipliesAsDoublePrecision) {
  for (QtipCode code : {QtipCode::k1Mad, QtipCode::kLut}) {
    const PlainLayer layer({code, 2, 16, 1, code == QtipCode::kLut ? 16 : 0}, {32, 512});
    std::vector<float> u(3 * 512), z(3 * 32, NAN);
    FillNormal(1, RandomStream::kTest, 0, u);
    QtipCpuMultiplyRows(layer.Rows(), u.data(), 3, 32, z.data());
    double error = 0, norm = 0;
    for (int i = 0; i < 3 * 32; ++i) {
      double exact = 0;
      for (int col = 0; col < 512; ++col) {
        exact += double{layer.expected[i % 32 * 512 + col]} * u[i / 32 * 512 + col];
      }
      error += std::pow(z[i] - exact, 2);
      norm += exact * exact;
    }
    EXPECT_LT(std::sqrt(error / norm), 1e-6);
  }
}

}  // namespace
}  // namespace qtipd
