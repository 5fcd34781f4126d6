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
    words = layer.trellis;
    words.resize(words.size() + kQtipCpuPadding / 2, 0xAAAA);
    windows = MakeQtipPlainWindows(spec);
    table = MakeQtipTable(spec, layer.tlut);
    expected = QtipTrellisWeights(layer);
  }

  QtipCpuRows Rows() const {
    return {.packed = reinterpret_cast<const uint8_t*>(words.data()),
            .spec = layer.spec,
            .windows = &windows,
            .table = table.weights.data(),
            .in_features = layer.shape.in_features,
            .begin = 0,
            .end = layer.shape.out_features / 16};
  }

  QtipLayer layer;
  std::vector<uint16_t> words;  // with the padding that a kernel may read
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
      layer.layer.trellis[i] = layer.words[i] = static_cast<uint16_t>(i);
    }
    layer.expected = QtipTrellisWeights(layer.layer);
    ForEachTarget([&] {
      std::vector<float> decoded(layer.expected.size(), NAN);
      QtipCpuDecodeRows(layer.Rows(), decoded.data());
      EXPECT_EQ(decoded, layer.expected);
    });
  }
}

// Relative L2 error of one multiplication of activations around `mean` against double precision.
double MultiplyError(const PlainLayer& layer, int64_t batch, float mean = 0) {
  const auto [out, in] = layer.layer.shape;
  std::vector<float> u(batch * in), z(batch * out, NAN);
  FillNormal(batch, RandomStream::kTest, 0, u);
  for (float& value : u) value += mean;
  QtipCpuMultiplyRows(layer.Rows(), u.data(), batch, out, z.data());
  double error = 0, norm = 0;
  for (int64_t i = 0; i < batch * out; ++i) {
    double exact = 0;
    for (int64_t col = 0; col < in; ++col) {
      exact += double{layer.expected[i % out * in + col]} * u[i / out * in + col];
    }
    error += std::pow(z[i] - exact, 2);
    norm += exact * exact;
  }
  return std::sqrt(error / norm);
}

TEST(QtipCpuPlain, MultipliesAsDoublePrecisionOnEveryInstructionSet) {
  for (const QtipCodeSpec& spec : PlainSpecs()) {
    for (const Shape shape : {Shape{32, 32}, Shape{64, 544}}) {
      const PlainLayer layer(spec, shape);
      for (const int64_t batch : {1, 3, 4, 16}) {
        ForEachTarget([&] {
          EXPECT_LT(MultiplyError(layer, batch), 1e-6)
              << QtipSpecText(spec) << ", batch " << batch << ", in " << shape.in_features;
        });
      }
    }
  }
}

// A kernel that sums byte sums and takes their mean off later must not lose the weights in it.
TEST(QtipCpuPlain, ActivationsOfOneSignCostNoPrecision) {
  for (const int bits : {1, 2, 3, 4}) {
    const PlainLayer layer({QtipCode::k1Mad, bits, 16, 1, 0}, {32, 4096});
    ForEachTarget([&] { EXPECT_LT(MultiplyError(layer, 1, 10.0f), 2e-6) << bits << " bits"; });
  }
}

}  // namespace
}  // namespace qtipd
