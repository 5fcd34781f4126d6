#include "kernels/formats/qtip/qtip_reference.h"

#include <algorithm>
#include <array>
#include <thread>

#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/qtip/qtip_incoherence.h"
#include "kernels/formats/qtip/qtip_packing.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

int HostThreads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

// Decodes a tile to row-major `weights` of the whole matrix.
void DecodeTile(const QtipLayer& layer, const QtipTable& table, int64_t tile_row, int64_t tile_col,
                float* weights) {
  const QtipCodeSpec& spec = layer.spec;
  std::array<uint16_t, kQtipTileWeights> states;
  QtipUnpackTile(layer.trellis, spec, layer.shape, tile_row, tile_col, states);
  for (int p = 0; p < kQtipTileWeights; ++p) {
    const QtipElement at = QtipElementOf(spec, p);
    weights[(tile_row * kQtipTileRows + at.row) * layer.shape.in_features +
            tile_col * kQtipTileCols + at.col] =
        table.weights[states[p / spec.vector_dim] * spec.vector_dim + p % spec.vector_dim];
  }
}

std::vector<float> DecodeAll(ThreadPool& pool, const QtipLayer& layer) {
  const QtipTable table = MakeQtipTable(layer.spec, layer.tlut);
  const int64_t tile_cols = layer.shape.in_features / kQtipTileCols;
  std::vector<float> weights(layer.shape.out_features * layer.shape.in_features);
  pool.ParallelFor(layer.shape.out_features / kQtipTileRows, [&](int, int64_t begin, int64_t end) {
    for (int64_t tile = begin * tile_cols; tile < end * tile_cols; ++tile) {
      DecodeTile(layer, table, tile / tile_cols, tile % tile_cols, weights.data());
    }
  });
  return weights;
}

}  // namespace

std::vector<float> QtipTrellisWeights(const QtipLayer& layer) {
  ThreadPool pool(HostThreads());
  return DecodeAll(pool, layer);
}

std::vector<float> QtipReferenceWeights(const QtipLayer& layer) {
  ThreadPool pool(HostThreads());
  const auto [out, in] = layer.shape;
  const std::vector<float> trellis = DecodeAll(pool, layer);
  std::vector<double> weights(trellis.begin(), trellis.end());
  const QtipRotation input = layer.input_rotation();
  const QtipRotation output = layer.output_rotation();
  HadamardRows(pool, std::span(weights), out * input.shards, input.size,
               HadamardDirection::kForward);
  for (int64_t row = 0; row < out; row += output.size) {
    HadamardColumns(pool, std::span(weights).subspan(row * in, output.size * in), output.size, in,
                    HadamardDirection::kForward);
  }
  std::vector<float> rounded(weights.size());
  for (int64_t row = 0; row < out; ++row) {
    for (int64_t col = 0; col < in; ++col) {
      rounded[row * in + col] =
          static_cast<float>(weights[row * in + col] * layer.sv[row] * layer.su[col]);
    }
  }
  return rounded;
}

std::vector<double> QtipReferenceMultiply(const QtipLayer& layer, std::span<const float> x,
                                          int64_t batch) {
  ThreadPool pool(HostThreads());
  const int64_t out = layer.shape.out_features;
  const int64_t in = layer.shape.in_features;
  const std::vector<float> weights = DecodeAll(pool, layer);
  std::vector<double> u(batch * in);
  for (int64_t i = 0; i < batch * in; ++i) u[i] = double{x[i]} * layer.su[i % in];
  const QtipRotation input = layer.input_rotation();
  HadamardRows(pool, std::span(u), batch * input.shards, input.size,
               HadamardDirection::kTransposed);
  std::vector<double> y(batch * out);
  pool.ParallelFor(out, [&](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t b = 0; b < batch; ++b) {
        double sum = 0;
        for (int64_t col = 0; col < in; ++col) sum += weights[row * in + col] * u[b * in + col];
        y[b * out + row] = sum;
      }
    }
  });
  const QtipRotation output = layer.output_rotation();
  HadamardRows(pool, std::span(y), batch * output.shards, output.size, HadamardDirection::kForward);
  for (int64_t i = 0; i < batch * out; ++i) y[i] *= layer.sv[i % out];
  return y;
}

}  // namespace qtipd
