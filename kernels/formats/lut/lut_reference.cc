#include "kernels/formats/lut/lut_reference.h"

namespace qtipd {
namespace {

double Weight(const LutLayer& layer, int64_t row, int64_t column) {
  const int index = LutIndex(layer.row(row), layer.spec.bits, column);
  return double{layer.codebook_of(row)[index]} * layer.scale(row, column);
}

}  // namespace

std::vector<float> LutReferenceWeights(const LutLayer& layer) {
  const auto [out, in] = layer.shape;
  std::vector<float> weights(out * in);
  for (int64_t i = 0; i < out * in; ++i) {
    weights[i] = static_cast<float>(Weight(layer, i / in, i % in));
  }
  return weights;
}

std::vector<double> LutReferenceMultiply(const LutLayer& layer, std::span<const float> x,
                                         int64_t batch) {
  const auto [out, in] = layer.shape;
  std::vector<double> y(batch * out);
  for (int64_t row = 0; row < out; ++row) {
    for (int64_t column = 0; column < in; ++column) {
      const double weight = Weight(layer, row, column);
      for (int64_t b = 0; b < batch; ++b) y[b * out + row] += weight * x[b * in + column];
    }
  }
  return y;
}

}  // namespace qtipd
