// A block of 16 tiles is gone through twice, once for each weight of the pairs, because the byte
// planes of one fill 16 registers; the first pass leaves indices in the first-level cache for the
// second. Widened to fp32, 64 look-ups are four vectors of two rows with eight columns each;
// activations are brought to that order once a call.
#define HWY_WANT_AVX3_DL 1
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_cpu_hyb.cc"
#include "kernels/formats/qtip/qtip_cpu_hyb.h"

#include <algorithm>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/formats/qtip/qtip_cpu_planes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

bool HasKernel() { return QTIPD_HAVE_BYTE_LOOKUP; }

#if QTIPD_HAVE_BYTE_LOOKUP

constexpr int64_t kBlockTiles = 16;
constexpr int kVectors = 4;  // of fp32 that one gives
constexpr int kHalves = 2;   // weights of a pair
// Activations of a batch that are multiplied while a vector of weights is in a register.
constexpr int64_t kBatchAtOnce = 4;

using FloatTag = hn::Full512<float>;

// The fp16 of the given bytes as fp32: eight neighbours at a time, in the order of rows 0 and 2, 4
// and 6, 1 and 3, 5 and 7.
HWY_INLINE void Widen(ByteVec low, ByteVec high, FloatVec (&weights)[kVectors]) {
  const hn::Full512<hwy::float16_t> d16;
  const hn::Half<decltype(d16)> half;
  const FloatTag d;
  const auto even = hn::BitCast(d16, hn::InterleaveLower(ByteTag(), low, high));
  const auto odd = hn::BitCast(d16, hn::InterleaveUpper(ByteTag(), low, high));
  weights[0] = hn::PromoteTo(d, hn::LowerHalf(half, even));
  weights[1] = hn::PromoteTo(d, hn::UpperHalf(half, even));
  weights[2] = hn::PromoteTo(d, hn::LowerHalf(half, odd));
  weights[3] = hn::PromoteTo(d, hn::UpperHalf(half, odd));
}

// Row of a part whose eight products are in half `upper` of vector `vector`.
constexpr int RowOf(int vector, int upper) { return 4 * (vector % 2) + 2 * upper + vector / 2; }

// use(tile, half, part, weights) for both weights of every pair of `tiles` tiles, an even number,
// at most kBlockTiles.
template <int kBits, class Use>
HWY_INLINE void ForWeights(const uint8_t* packed, int64_t tiles, const PairTable& table,
                           const Use& use) {
  HWY_ALIGN uint8_t low[kBlockTiles * kParts][64];
  ByteMask bit13[kBlockTiles * kParts];
  ByteMask bit14[kBlockTiles * kParts];
  const ByteTag d;
  {
    const Plane low_bytes(table.planes[0]);
    const Plane high_bytes(table.planes[1]);
    const ByteVec sign = hn::Set(d, uint8_t{0x80});
    for (int64_t tile = 0; tile < tiles; ++tile) {
      WordVec hashes[4];
      HashesOf<kBits>(packed + tile / 2 * QtipCpuPairBytes(kBits), static_cast<int>(tile % 2), 0,
                      hashes);
      HWY_UNROLL(2)
      for (int part = 0; part < kParts; ++part) {
        ByteVec signs;
        const Index index = MakeIndex(hashes[part], hashes[part + 2], signs);
        hn::Store(index.low, d, low[tile * kParts + part]);
        bit13[tile * kParts + part] = index.bit13;
        bit14[tile * kParts + part] = index.bit14;
        FloatVec weights[kVectors];
        Widen(low_bytes[index], hn::Xor(high_bytes[index], hn::And(signs, sign)), weights);
        use(tile, 0, part, weights);
      }
    }
  }
  const Plane low_bytes(table.planes[2]);
  const Plane high_bytes(table.planes[3]);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    HWY_UNROLL(2)
    for (int part = 0; part < kParts; ++part) {
      const int64_t at = tile * kParts + part;
      const Index index = {hn::Load(d, low[at]), bit13[at], bit14[at]};
      FloatVec weights[kVectors];
      Widen(low_bytes[index], high_bytes[index], weights);
      use(tile, 1, part, weights);
    }
  }
}

using Sums = FloatVec[kParts][kVectors];

// sums += weights of a block times one vector of activations.
template <int kBits>
HWY_INLINE void MultiplyOne(const uint8_t* packed, int64_t tiles, const PairTable& table,
                            const float* x, float* sums) {
  const FloatTag d;
  Sums local;
  for (int i = 0; i < kParts * kVectors; ++i) {
    local[i / kVectors][i % kVectors] = hn::Load(d, sums + 16 * i);
  }
  ForWeights<kBits>(packed, tiles, table,
                    [&](int64_t tile, int half, int part, const FloatVec(&weights)[kVectors])
                        HWY_ATTR {
                          const FloatVec u = BroadcastHalf(x + tile * kQtipTileCols + 8 * half);
                          for (int v = 0; v < kVectors; ++v) {
                            local[part][v] = hn::MulAdd(weights[v], u, local[part][v]);
                          }
                        });
  for (int i = 0; i < kParts * kVectors; ++i) {
    hn::Store(local[i / kVectors][i % kVectors], d, sums + 16 * i);
  }
}

// Decodes a block to [tile][half][part][vector][16].
template <int kBits>
HWY_INLINE void DecodeBlock(const uint8_t* packed, int64_t tiles, const PairTable& table,
                            float* block) {
  ForWeights<kBits>(packed, tiles, table,
                    [&](int64_t tile, int half, int part, const FloatVec(&weights)[kVectors])
                        HWY_ATTR {
                          float* to = block + ((tile * kHalves + half) * kParts + part) * 64;
                          for (int v = 0; v < kVectors; ++v) {
                            hn::Store(weights[v], FloatTag(), to + 16 * v);
                          }
                        });
}

// sums[b] += a decoded block times kBatch vectors of activations, `stride` apart.
template <int64_t kBatch>
HWY_INLINE void MultiplyBlock(const float* block, int64_t tiles, const float* x, int64_t stride,
                              float* sums) {
  const FloatTag d;
  for (int part = 0; part < kParts; ++part) {
    FloatVec local[kBatch][kVectors];
    for (int64_t b = 0; b < kBatch; ++b) {
      for (int v = 0; v < kVectors; ++v) {
        local[b][v] = hn::Load(d, sums + ((b * kParts + part) * kVectors + v) * 16);
      }
    }
    for (int64_t i = 0; i < tiles * kHalves; ++i) {
      const float* weights = block + (i * kParts + part) * 64;
      FloatVec w[kVectors];
      for (int v = 0; v < kVectors; ++v) w[v] = hn::Load(d, weights + 16 * v);
      for (int64_t b = 0; b < kBatch; ++b) {
        const FloatVec u = BroadcastHalf(x + b * stride + 8 * i);
        for (int v = 0; v < kVectors; ++v) local[b][v] = hn::MulAdd(w[v], u, local[b][v]);
      }
    }
    for (int64_t b = 0; b < kBatch; ++b) {
      for (int v = 0; v < kVectors; ++v) {
        hn::Store(local[b][v], d, sums + ((b * kParts + part) * kVectors + v) * 16);
      }
    }
  }
}

template <int kBits>
HWY_INLINE void MultiplyAnyBatch(const uint8_t* packed, int64_t tiles, const PairTable& table,
                                 const float* x, int64_t stride, int64_t batch, float* sums) {
  constexpr int64_t kSums = kParts * kVectors * 16;
  if (batch == 1) return MultiplyOne<kBits>(packed, tiles, table, x, sums);
  HWY_ALIGN float block[kBlockTiles * kQtipTileWeights];
  DecodeBlock<kBits>(packed, tiles, table, block);
  int64_t b = 0;
  for (; b + kBatchAtOnce <= batch; b += kBatchAtOnce) {
    MultiplyBlock<kBatchAtOnce>(block, tiles, x + b * stride, stride, sums + b * kSums);
  }
  for (; b < batch; ++b) MultiplyBlock<1>(block, tiles, x + b * stride, stride, sums + b * kSums);
}

// The 16 outputs of one tile row from their partial sums.
HWY_INLINE void Reduce(const float* sums, float* z) {
  for (int part = 0; part < kParts; ++part) {
    for (int vector = 0; vector < kVectors; ++vector) {
      for (int upper = 0; upper < 2; ++upper) {
        const hn::Full256<float> d;
        const float* eight = sums + (part * kVectors + vector) * 16 + 8 * upper;
        z[8 * part + RowOf(vector, upper)] = hn::GetLane(hn::SumOfLanes(d, hn::Load(d, eight)));
      }
    }
  }
}

template <int kBits>
void MultiplyTileRows(const QtipCpuRows& rows, const float* x, int64_t batch, int64_t out_features,
                      float* z) {
  constexpr int64_t kSums = kParts * kVectors * 16;
  HWY_ALIGN float sums[kQtipCpuMaxBatch * kSums];
  const int64_t tiles = rows.in_features / kQtipTileCols;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const uint8_t* packed = rows.packed + row * QtipCpuRowBytes(rows.in_features, kBits);
    std::fill_n(sums, batch * kSums, 0.0f);
    for (int64_t tile = 0; tile < tiles; tile += kBlockTiles) {
      MultiplyAnyBatch<kBits>(packed + tile / 2 * QtipCpuPairBytes(kBits),
                              std::min(kBlockTiles, tiles - tile), *rows.pairs,
                              x + tile * kQtipTileCols, rows.in_features, batch, sums);
    }
    for (int64_t b = 0; b < batch; ++b) {
      Reduce(sums + b * kSums, z + b * out_features + row * kQtipTileRows);
    }
  }
}

void Arrange(const float* u, int64_t values, float* arranged) {
  const FloatTag d;
  HWY_ALIGN int32_t indices[kQtipTileCols];
  std::ranges::copy(kPairColumns, indices);
  const auto columns = hn::SetTableIndices(d, indices);
  for (int64_t i = 0; i < values; i += kQtipTileCols) {
    hn::StoreU(hn::TableLookupLanes(hn::LoadU(d, u + i), columns), d, arranged + i);
  }
}

void MultiplyHyb(const QtipCpuRows& rows, const float* x, int64_t batch, int64_t out_features,
                 float* z) {
  if (rows.spec.bits == 2) return MultiplyTileRows<2>(rows, x, batch, out_features, z);
  if (rows.spec.bits == 3) return MultiplyTileRows<3>(rows, x, batch, out_features, z);
  MultiplyTileRows<4>(rows, x, batch, out_features, z);
}

#else  // never called

void Arrange(const float*, int64_t, float*) {}
void MultiplyHyb(const QtipCpuRows&, const float*, int64_t, int64_t, float*) {}

#endif  // QTIPD_HAVE_BYTE_LOOKUP

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(HasKernel);
HWY_EXPORT(Arrange);
HWY_EXPORT(MultiplyHyb);

bool QtipCpuHasHybKernel() { return HWY_DYNAMIC_DISPATCH(HasKernel)(); }

void QtipCpuArrangeHyb(const float* u, int64_t batch, int64_t in_features, float* arranged) {
  HWY_DYNAMIC_DISPATCH(Arrange)(u, batch * in_features, arranged);
}

void QtipCpuMultiplyHyb(const QtipCpuRows& rows, const float* arranged, int64_t batch,
                        int64_t out_features, float* z) {
  HWY_DYNAMIC_DISPATCH(MultiplyHyb)(rows, arranged, batch, out_features, z);
}

}  // namespace qtipd
#endif  // HWY_ONCE
