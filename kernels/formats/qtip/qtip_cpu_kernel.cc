// A block of a tile row is decoded to fp32 in the first-level cache, then multiplied for every
// column of the batch: for codes, batches and processors that have no kernel of their own. The
// versions tried are in docs/performance/fused.md.
#define HWY_WANT_AVX3_DL 1
#include "kernels/formats/qtip/qtip_cpu_kernel.h"

#include <algorithm>

#include "kernels/formats/qtip/qtip_cpu_hyb.h"
#include "kernels/formats/qtip/qtip_cpu_layout.h"
#include "kernels/formats/qtip/qtip_cpu_mad.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_cpu_kernel.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/formats/qtip/qtip_cpu_hash-inl.h"

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

// The hashes of tile `slot` of a pair, [j][lane].
template <int kBits>
HWY_INLINE void HashTile(const uint8_t* pair, int slot, uint16_t* hashes) {
  const StateTag d;
  for (size_t first = 0; first < kQtipTileLanes; first += hn::Lanes(d)) {
    StateVec of_steps[4];
    HashesOf<kBits>(pair, slot, first, of_steps);
    for (int j = 0; j < 4; ++j) hn::StoreU(of_steps[j], d, hashes + j * kQtipTileLanes + first);
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
  const PairLookup lookup = QTIPD_HAVE_BYTE_LOOKUP ? BestPairLookup() : LookupPairsPortable;
  lookup(table, hashes, tiles, block, kBlockStride);
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

namespace {
bool HasHybKernel(const QtipCodeSpec& spec) {
  return QtipHasKernelLayout(spec) && QtipCpuHasHybKernel();
}
}  // namespace

const float* QtipCpuArrange(const QtipCodeSpec& spec, const float* u, int64_t batch,
                            int64_t in_features, float* scratch) {
  if (!HasHybKernel(spec)) return u;
  QtipCpuArrangeHyb(u, batch, in_features, scratch);
  return scratch;
}

void QtipCpuMultiplyRows(const QtipCpuRows& rows, const float* u, int64_t batch,
                         int64_t out_features, float* z) {
  if (HasHybKernel(rows.spec)) return QtipCpuMultiplyHyb(rows, u, batch, out_features, z);
  if (QtipCpuHasMadKernel(rows.spec, batch)) {
    return QtipCpuMultiplyMad(rows, u, batch, out_features, z);
  }
  HWY_DYNAMIC_DISPATCH(MultiplyRows)(rows, u, batch, out_features, z);
}

void QtipCpuDecodeRows(const QtipCpuRows& rows, float* w) {
  HWY_DYNAMIC_DISPATCH(DecodeRows)(rows, w);
}

}  // namespace qtipd
#endif  // HWY_ONCE
