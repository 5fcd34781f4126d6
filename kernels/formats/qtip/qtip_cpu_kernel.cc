// A block of a tile row is decoded to fp32 in the first-level cache, then multiplied for every
// column of the batch.
//
// Versions, 4096x4096, K=2, batch 1, one Zen 5 core (tests/bench/qtip_cpu_speed.cc, least of 300):
//   1  one 8-byte load a state from a table of pairs       every processor
//   2  byte planes looked up with vpermi2b, 1.36 ms        AVX-512 VBMI; ships beside 1
// Not tried: activations in the order that the look-up produces, which would save the shuffles to
// row-major order.
#include "kernels/formats/qtip/qtip_cpu_kernel.h"

#include <algorithm>

#include "kernels/formats/qtip/qtip_cpu_layout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_cpu_kernel.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// A block of columns that is decoded, then multiplied: 16 rows of it take 17 KiB.
constexpr int64_t kBlockTiles = 16;
constexpr int64_t kBlockCols = kBlockTiles * kQtipTileCols;
// A row of the block is longer than its columns, so that rows do not share cache sets.
constexpr int64_t kBlockStride = kBlockCols + 16;

using StateTag = hn::CappedTag<uint16_t, kQtipTileLanes>;
using StateVec = hn::Vec<StateTag>;

// The words of the lanes after those at `plane + first`: lane 31's next is lane 0.
HWY_INLINE StateVec NextLanes(StateTag d, const uint16_t* plane, size_t first) {
  const size_t lanes = hn::Lanes(d);
  const StateVec next = hn::LoadU(d, plane + first + 1);
  if (first + lanes < kQtipTileLanes) return next;
  const auto is_last = hn::Not(hn::FirstN(d, lanes - 1));
  return hn::IfThenElse(is_last, hn::Set(d, plane[0]), next);
}

// The states of steps 0..3 of each lane: 16-bit windows of own and next chunk.
template <int kBits>
HWY_INLINE void Windows(StateTag d, const uint16_t* high, const uint8_t* low, size_t first,
                        StateVec (&states)[4]) {
  const StateVec own = hn::LoadU(d, high + first);
  const StateVec next = NextLanes(d, high, first);
  states[0] = own;
  if constexpr (kBits == 2) {
    states[1] = hn::Or(hn::ShiftLeft<4>(own), hn::ShiftRight<12>(next));
    states[2] = hn::Or(hn::ShiftLeft<8>(own), hn::ShiftRight<8>(next));
    states[3] = hn::Or(hn::ShiftLeft<12>(own), hn::ShiftRight<4>(next));
  } else if constexpr (kBits == 3) {
    const hn::Rebind<uint8_t, StateTag> d8;
    const StateVec low8 = hn::PromoteTo(d, hn::LoadU(d8, low + first));
    const StateVec second = hn::Or(hn::ShiftLeft<8>(low8), hn::ShiftRight<8>(next));
    states[1] = hn::Or(hn::ShiftLeft<6>(own), hn::ShiftRight<10>(second));
    states[2] = hn::Or(hn::ShiftLeft<12>(own), hn::ShiftRight<4>(second));
    states[3] = hn::Or(hn::ShiftLeft<2>(second), hn::ShiftRight<14>(hn::ShiftLeft<8>(next)));
  } else {
    const StateVec low16 = hn::LoadU(d, reinterpret_cast<const uint16_t*>(low) + first);
    states[1] = hn::Or(hn::ShiftLeft<8>(own), hn::ShiftRight<8>(low16));
    states[2] = low16;
    states[3] = hn::Or(hn::ShiftLeft<8>(low16), hn::ShiftRight<8>(next));
  }
}

// The hashes of tile `slot` of a pair, [j][lane].
template <int kBits>
HWY_INLINE void HashTile(const uint8_t* pair, int slot, uint16_t* hashes) {
  const StateTag d;
  constexpr int kPlane = kQtipTileLanes * 2;
  const auto* high = reinterpret_cast<const uint16_t*>(pair + slot * kPlane);
  const uint8_t* low = pair + 2 * kPlane + slot * (kBits == 3 ? kQtipTileLanes : kPlane);
  const StateVec one = hn::Set(d, uint16_t{1});
  for (size_t first = 0; first < kQtipTileLanes; first += hn::Lanes(d)) {
    StateVec states[4];
    Windows<kBits>(d, high, low, first, states);
    for (int j = 0; j < 4; ++j) {
      const StateVec hash = hn::Mul(states[j], hn::Add(states[j], one));
      hn::StoreU(hash, d, hashes + j * kQtipTileLanes + first);
    }
  }
}

// Decodes `tiles` tiles (an even number, at most kBlockTiles) of one tile row to `block`, row-major
// with kBlockStride.
template <int kBits>
HWY_INLINE void DecodeBlock(const uint8_t* packed, int64_t tiles, const PairTable& table,
                            float* block) {
  alignas(64) uint16_t hashes[kBlockTiles * kPairTileHashes];
  for (int64_t tile = 0; tile < tiles; tile += 2, packed += QtipCpuPairBytes(kBits)) {
    HashTile<kBits>(packed, 0, hashes + tile * kPairTileHashes);
    HashTile<kBits>(packed, 1, hashes + (tile + 1) * kPairTileHashes);
  }
  BestPairLookup()(table, hashes, tiles, block, kBlockStride);
}

void DecodeAnyBlock(const QtipCpuRows& rows, const uint8_t* packed, int64_t tiles, float* block) {
  if (!QtipHasKernelLayout(rows.spec)) {
    return QtipCpuDecodePlain(rows.spec, *rows.windows, rows.table,
                              reinterpret_cast<const uint16_t*>(packed), tiles, block,
                              kBlockStride);
  }
  if (rows.spec.bits == 2) return DecodeBlock<2>(packed, tiles, *rows.pairs, block);
  if (rows.spec.bits == 3) return DecodeBlock<3>(packed, tiles, *rows.pairs, block);
  DecodeBlock<4>(packed, tiles, *rows.pairs, block);
}

using FloatTag = hn::CappedTag<float, 16>;

// sums[row] += block[row, :] . u for 16 rows; a vector of partial sums a row.
HWY_INLINE void MultiplyBlock(const float* block, int64_t cols, const float* u, float* sums) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  for (int row = 0; row < kQtipTileRows; row += 8) {
    const float* w = block + row * kBlockStride;
    float* partial = sums + row * lanes;
    auto s0 = hn::Load(d, partial + 0 * lanes), s1 = hn::Load(d, partial + 1 * lanes);
    auto s2 = hn::Load(d, partial + 2 * lanes), s3 = hn::Load(d, partial + 3 * lanes);
    auto s4 = hn::Load(d, partial + 4 * lanes), s5 = hn::Load(d, partial + 5 * lanes);
    auto s6 = hn::Load(d, partial + 6 * lanes), s7 = hn::Load(d, partial + 7 * lanes);
    for (int64_t col = 0; col < cols; col += static_cast<int64_t>(lanes)) {
      const auto x = hn::LoadU(d, u + col);
      s0 = hn::MulAdd(hn::Load(d, w + 0 * kBlockStride + col), x, s0);
      s1 = hn::MulAdd(hn::Load(d, w + 1 * kBlockStride + col), x, s1);
      s2 = hn::MulAdd(hn::Load(d, w + 2 * kBlockStride + col), x, s2);
      s3 = hn::MulAdd(hn::Load(d, w + 3 * kBlockStride + col), x, s3);
      s4 = hn::MulAdd(hn::Load(d, w + 4 * kBlockStride + col), x, s4);
      s5 = hn::MulAdd(hn::Load(d, w + 5 * kBlockStride + col), x, s5);
      s6 = hn::MulAdd(hn::Load(d, w + 6 * kBlockStride + col), x, s6);
      s7 = hn::MulAdd(hn::Load(d, w + 7 * kBlockStride + col), x, s7);
    }
    hn::Store(s0, d, partial + 0 * lanes), hn::Store(s1, d, partial + 1 * lanes);
    hn::Store(s2, d, partial + 2 * lanes), hn::Store(s3, d, partial + 3 * lanes);
    hn::Store(s4, d, partial + 4 * lanes), hn::Store(s5, d, partial + 5 * lanes);
    hn::Store(s6, d, partial + 6 * lanes), hn::Store(s7, d, partial + 7 * lanes);
  }
}

HWY_INLINE void MultiplyTileRow(const QtipCpuRows& rows, int64_t tile_row, const float* u,
                                int64_t batch, int64_t out_features, float* z) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  alignas(64) float block[kQtipTileRows * kBlockStride];
  alignas(64) float sums[kQtipCpuMaxBatch * kQtipTileRows * hn::MaxLanes(FloatTag())];
  std::fill_n(sums, batch * kQtipTileRows * static_cast<int64_t>(lanes), 0.0f);
  const uint8_t* packed =
      rows.packed + tile_row * QtipCpuRowBytes(rows.in_features, rows.spec.bits);
  for (int64_t col = 0; col < rows.in_features; col += kBlockCols) {
    const int64_t cols = std::min(kBlockCols, rows.in_features - col);
    DecodeAnyBlock(rows, packed + col / 32 * QtipCpuPairBytes(rows.spec.bits), cols / kQtipTileCols,
                   block);
    for (int64_t b = 0; b < batch; ++b) {
      MultiplyBlock(block, cols, u + b * rows.in_features + col,
                    sums + b * kQtipTileRows * static_cast<int64_t>(lanes));
    }
  }
  for (int64_t b = 0; b < batch; ++b) {
    for (int row = 0; row < kQtipTileRows; ++row) {
      const auto partial =
          hn::Load(d, sums + (b * kQtipTileRows + row) * static_cast<int64_t>(lanes));
      z[b * out_features + tile_row * kQtipTileRows + row] =
          hn::GetLane(hn::SumOfLanes(d, partial));
    }
  }
}

HWY_INLINE void DecodeTileRow(const QtipCpuRows& rows, int64_t tile_row, float* w) {
  alignas(64) float block[kQtipTileRows * kBlockStride];
  const uint8_t* packed =
      rows.packed + tile_row * QtipCpuRowBytes(rows.in_features, rows.spec.bits);
  for (int64_t col = 0; col < rows.in_features; col += kBlockCols) {
    const int64_t cols = std::min(kBlockCols, rows.in_features - col);
    DecodeAnyBlock(rows, packed + col / 32 * QtipCpuPairBytes(rows.spec.bits), cols / kQtipTileCols,
                   block);
    for (int row = 0; row < kQtipTileRows; ++row) {
      std::copy_n(block + row * kBlockStride, cols,
                  w + (tile_row * kQtipTileRows + row) * rows.in_features + col);
    }
  }
}

void MultiplyRows(const QtipCpuRows& rows, const float* u, int64_t batch, int64_t out_features,
                  float* z) {
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    MultiplyTileRow(rows, row, u, batch, out_features, z);
  }
}

void DecodeRows(const QtipCpuRows& rows, float* w) {
  for (int64_t row = rows.begin; row < rows.end; ++row) DecodeTileRow(rows, row, w);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(MultiplyRows);
HWY_EXPORT(DecodeRows);

void QtipCpuMultiplyRows(const QtipCpuRows& rows, const float* u, int64_t batch,
                         int64_t out_features, float* z) {
  HWY_DYNAMIC_DISPATCH(MultiplyRows)(rows, u, batch, out_features, z);
}

void QtipCpuDecodeRows(const QtipCpuRows& rows, float* w) {
  HWY_DYNAMIC_DISPATCH(DecodeRows)(rows, w);
}

}  // namespace qtipd
#endif  // HWY_ONCE
