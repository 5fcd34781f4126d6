// At batch 1 four rows are multiplied while their indices are looked up: an activation vector is
// loaded once for the four, sums of a block stay in registers, and a block's scale multiplies the
// sum, not the weights. For larger batches a segment of the four rows is decoded to fp32 in the
// first-level cache, then multiplied for every column of the batch. The versions tried are in
// docs/performance/lut.md.
#define HWY_WANT_AVX3_DL 1
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/lut/lut_cpu_kernel.cc"
#include "kernels/formats/lut/lut_cpu_kernel.h"

#include <algorithm>
#include <cstring>

#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/formats/lut/lut_cpu_lookup-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kRows = kLutGroupRows;
constexpr int64_t kMostBlocks = kLutSegmentCols / 32;

// Scales of a segment as fp32, [row][block].
struct Scales {
  alignas(64) float values[kRows * kMostBlocks];
};

HWY_INLINE void WidenScales(const LutCpuLayout& layout, const uint8_t* packed, int64_t blocks,
                            Scales& scales) {
  using D = hn::CappedTag<float, kLutLanes>;
  const D d;
  const int64_t lanes = hn::Lanes(d);
  for (int64_t i = 0; i < kRows * blocks; i += lanes) {
    if (layout.spec.scale_dtype == DType::kBF16) {
      const hn::Rebind<uint16_t, D> d16;
      const auto bits = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(packed) + i);
      const auto wide = hn::PromoteTo(hn::RebindToUnsigned<D>(), bits);
      hn::Store(hn::BitCast(d, hn::ShiftLeft<16>(wide)), d, scales.values + i);
    } else {
      const hn::Rebind<hwy::float16_t, D> d16;
      const auto half = hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(packed) + i);
      hn::Store(hn::PromoteTo(d, half), d, scales.values + i);
    }
  }
}

// Calls use(column of the chunk, weights) with the unscaled weights of one row's chunk.
template <int kBits>
class RowDecoder {
 public:
  using D = LutFloatTag<kBits>;
  using V = hn::Vec<D>;

  HWY_INLINE explicit RowDecoder(const uint8_t* table) : table_(table) {}

  template <class Use>
  HWY_INLINE void ForChunk(const uint8_t* chunk, const Use& use) const {
    constexpr int kFields = static_cast<int>(LutChunkCols(kBits)) / kLutLanes;
    for (size_t lane = 0; lane < kLutLanes; lane += hn::Lanes(D())) {
      LutFields<kBits> fields(chunk, lane);
      HWY_UNROLL(32)
      for (int f = 0; f < kFields; ++f) {
        use(f * kLutLanes + static_cast<int>(lane), table_[fields.Take(f)]);
      }
    }
  }

 private:
  LutTable16<kBits> table_;
};

template <>
class RowDecoder<8> {
 public:
  using D = LutFloatTag<8>;
  using V = hn::Vec<D>;

#if QTIPD_HAVE_BYTE_LOOKUP
  HWY_INLINE explicit RowDecoder(const uint8_t* table) {
    for (int i = 0; i < 4; ++i) {
      low_[i] = hn::LoadU(ByteTag(), table + 64 * i);
      high_[i] = hn::LoadU(ByteTag(), table + 256 + 64 * i);
    }
  }

  // The weights of 64 columns, in order.
  HWY_INLINE void Look64(const uint8_t* bytes, V (&weights)[4]) const {
    const hn::Full512<hwy::float16_t> d16;
    const hn::Half<decltype(d16)> half;
    const ByteTag d8;
    const ByteVec index = hn::LoadU(d8, bytes);
    const auto is_upper = hn::Lt(hn::BitCast(hn::RebindToSigned<ByteTag>(), index),
                                 hn::Zero(hn::RebindToSigned<ByteTag>()));
    const auto mask = hn::RebindMask(d8, is_upper);
    const ByteVec low = hn::IfThenElse(mask, LookUp128(low_[2], low_[3], index),
                                       LookUp128(low_[0], low_[1], index));
    const ByteVec high = hn::IfThenElse(mask, LookUp128(high_[2], high_[3], index),
                                        LookUp128(high_[0], high_[1], index));
    const auto even = hn::BitCast(d16, hn::InterleaveLower(d8, low, high));
    const auto odd = hn::BitCast(d16, hn::InterleaveUpper(d8, low, high));
    weights[0] = hn::PromoteTo(D(), hn::LowerHalf(half, even));
    weights[1] = hn::PromoteTo(D(), hn::UpperHalf(half, even));
    weights[2] = hn::PromoteTo(D(), hn::LowerHalf(half, odd));
    weights[3] = hn::PromoteTo(D(), hn::UpperHalf(half, odd));
  }

  template <class Use>
  HWY_INLINE void ForChunk(const uint8_t* chunk, const Use& use) const {
    for (int col = 0; col < LutChunkCols(8); col += 64) {
      V weights[4];
      Look64(chunk + col, weights);
      for (int v = 0; v < 4; ++v) use(col + kLutLanes * v, weights[v]);
    }
  }

 private:
  using ByteTag = hn::Full512<uint8_t>;
  ByteVec low_[4];
  ByteVec high_[4];
#else
  HWY_INLINE explicit RowDecoder(const uint8_t* table) {
    const D d;
    for (int64_t i = 0; i < kLutMaxEntries; i += static_cast<int64_t>(hn::Lanes(d))) {
      const hn::Rebind<uint8_t, D> d8;
      const hn::Rebind<uint16_t, D> d16;
      const auto low = hn::PromoteTo(d16, hn::LoadU(d8, table + i));
      const auto high = hn::PromoteTo(d16, hn::LoadU(d8, table + kLutMaxEntries + i));
      const auto bits = hn::Or(low, hn::ShiftLeft<8>(high));
      const hn::Rebind<hwy::float16_t, D> half;
      hn::Store(hn::PromoteTo(d, hn::BitCast(half, bits)), d, values_ + i);
    }
  }

  template <class Use>
  HWY_INLINE void ForChunk(const uint8_t* chunk, const Use& use) const {
    const D d;
    const hn::Rebind<uint8_t, D> d8;
    for (int col = 0; col < LutChunkCols(8); col += static_cast<int>(hn::Lanes(d))) {
      const uint8_t* bytes = chunk + col / 64 * 64 + LutBytePosition(col % 64);
      const auto index = hn::PromoteTo(hn::RebindToSigned<D>(), hn::LoadU(d8, bytes));
      use(col, hn::GatherIndex(d, values_, index));
    }
  }

 private:
  HWY_ALIGN float values_[kLutMaxEntries];
#endif
};

// The table of row `row` of a group.
HWY_INLINE const uint8_t* TableOf(const LutCpuRows& rows, const uint8_t* group, int row) {
  const LutSpec& spec = rows.layout->spec;
  return spec.is_per_channel ? group + row * LutTableBytes(spec.bits) : rows.table;
}

// Calls use(segment, its scales, its chunks, its blocks) for all segments of a group.
template <class Use>
HWY_INLINE void ForSegments(const LutCpuLayout& layout, const uint8_t* group, const Use& use) {
  const uint8_t* at = group + layout.tables_bytes;
  for (int64_t segment = 0; segment < layout.segments(); ++segment) {
    Scales scales;
    const int64_t blocks = layout.segment_blocks(segment);
    WidenScales(layout, at, blocks, scales);
    use(segment, scales, at + layout.scales_bytes(segment), blocks);
    at += layout.segment_bytes(segment);
  }
}

// Decodes a segment of one row, scales included, to `weights`.
template <int kBits>
HWY_INLINE void DecodeSegment(const LutCpuLayout& layout, const RowDecoder<kBits>& decoder,
                              const uint8_t* chunks, int row, int64_t cols, const float* scales,
                              float* weights) {
  using D = LutFloatTag<kBits>;
  const D d;
  constexpr int64_t kChunkCols = LutChunkCols(kBits);
  const int shift = LutBlockShift(layout.spec);
  const float one = 1;
  const float* scale = layout.spec.block == 0 ? &one : scales;
  for (int64_t col = 0; col < cols; col += kChunkCols) {
    const uint8_t* chunk = chunks + (col / kChunkCols * kRows + row) * LutChunkBytes(kBits);
    decoder.ForChunk(chunk, [&](int at, auto w) HWY_ATTR {
      hn::StoreU(hn::Mul(w, hn::Set(d, scale[(col + at) >> shift])), d, weights + col + at);
    });
  }
}

// A row of a decoded block is longer than its columns, so that rows do not share cache sets.
constexpr int64_t kBlockStride = kLutSegmentCols + 16;

// sums[b][row] += block[row, :] . u[b, :], a vector of partial sums each.
template <int kBatch, class D>
HWY_INLINE void MultiplyBlock(D d, const float* block, int64_t cols, const float* u,
                              int64_t u_stride, float* sums) {
  const int64_t lanes = hn::Lanes(d);
  hn::Vec<D> partial[kBatch][kRows];
  HWY_UNROLL(4)
  for (int b = 0; b < kBatch; ++b) {
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) partial[b][r] = hn::Load(d, sums + (b * kRows + r) * lanes);
  }
  for (int64_t col = 0; col < cols; col += lanes) {
    hn::Vec<D> w[kRows];
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) w[r] = hn::LoadU(d, block + r * kBlockStride + col);
    HWY_UNROLL(4)
    for (int b = 0; b < kBatch; ++b) {
      const auto x = hn::LoadU(d, u + b * u_stride + col);
      HWY_UNROLL(4)
      for (int r = 0; r < kRows; ++r) partial[b][r] = hn::MulAdd(w[r], x, partial[b][r]);
    }
  }
  HWY_UNROLL(4)
  for (int b = 0; b < kBatch; ++b) {
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) hn::Store(partial[b][r], d, sums + (b * kRows + r) * lanes);
  }
}

template <class D>
HWY_INLINE void WriteSums(D d, const LutCpuLayout& layout, int64_t group, int64_t batch,
                          const float* sums, float* z) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t r = 0; r < kRows; ++r) {
      const int64_t row = group * kRows + r;
      if (row >= layout.shape.out_features) continue;
      const auto partial = hn::Load(d, sums + (b * kRows + r) * lanes);
      z[b * layout.shape.out_features + row] = hn::GetLane(hn::SumOfLanes(d, partial));
    }
  }
}

// Asks for the segment that follows one at `chunks`: it is decoded a row at a time, in steps that
// processors do not fetch ahead for.
template <int kBits>
HWY_INLINE void PrefetchNextSegment(const uint8_t* chunks, int64_t cols) {
  constexpr int64_t kLineBytes = 64;
  const int64_t bytes = cols * kRows * kBits / 8;
  for (int64_t line = 0; line < bytes; line += kLineBytes) {
    hwy::Prefetch(chunks + bytes + line);
  }
}

// Any batch.
template <int kBits>
HWY_INLINE void MultiplyMany(const LutCpuRows& rows, int64_t group, const float* u, int64_t batch,
                             float* z) {
  using D = hn::CappedTag<float, kLutLanes>;
  const D d;
  const LutCpuLayout& layout = *rows.layout;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const uint8_t* packed = rows.packed + group * layout.group_bytes;
  HWY_ALIGN float block[kRows * kBlockStride];
  HWY_ALIGN float sums[kLutCpuMaxBatch * kRows * hn::MaxLanes(D())];
  std::fill_n(sums, batch * kRows * lanes, 0.0f);
  ForSegments(layout, packed,
              [&](int64_t segment, const Scales& scales, const uint8_t* chunks, int64_t blocks)
                  HWY_ATTR {
                    const int64_t cols = layout.segment_cols(segment);
                    PrefetchNextSegment<kBits>(chunks, cols);
                    for (int r = 0; r < kRows; ++r) {
                      const RowDecoder<kBits> decoder(TableOf(rows, packed, r));
                      DecodeSegment<kBits>(layout, decoder, chunks, r, cols,
                                           scales.values + r * blocks, block + r * kBlockStride);
                    }
                    const float* x = u + segment * kLutSegmentCols;
                    int64_t b = 0;
                    for (; b + 4 <= batch; b += 4) {
                      MultiplyBlock<4>(d, block, cols, x + b * layout.padded_cols,
                                       layout.padded_cols, sums + b * kRows * lanes);
                    }
                    for (; b < batch; ++b) {
                      MultiplyBlock<1>(d, block, cols, x + b * layout.padded_cols,
                                       layout.padded_cols, sums + b * kRows * lanes);
                    }
                  });
  WriteSums(d, layout, group, batch, sums, z);
}

// sums[r] += a chunk of the four rows times u. kBlock is the layer's.
template <int kBits, int kBlock>
HWY_INLINE void MultiplyChunk(const LutTable16<kBits> (&tables)[kRows], const uint8_t* chunk,
                              const float* u, const float* scales, int64_t blocks,
                              hn::Vec<LutFloatTag<kBits>> (&sums)[kRows]) {
  using D = LutFloatTag<kBits>;
  const D d;
  constexpr int kFields = static_cast<int>(LutChunkCols(kBits)) / kLutLanes;
  constexpr int kBlockFields = kBlock == 0 ? kFields : kBlock / kLutLanes;
  for (size_t lane = 0; lane < kLutLanes; lane += hn::Lanes(d)) {
    LutFields<kBits> f0(chunk, lane), f1(chunk + LutChunkBytes(kBits), lane),
        f2(chunk + 2 * LutChunkBytes(kBits), lane), f3(chunk + 3 * LutChunkBytes(kBits), lane);
    hn::Vec<D> s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    HWY_UNROLL(32)
    for (int f = 0; f < kFields; ++f) {
      const auto x = hn::LoadU(d, u + f * kLutLanes + lane);
      const auto w0 = tables[0][f0.Take(f)], w1 = tables[1][f1.Take(f)];
      const auto w2 = tables[2][f2.Take(f)], w3 = tables[3][f3.Take(f)];
      if (kBlock > 0 && f % kBlockFields == 0) {
        s0 = hn::Mul(w0, x), s1 = hn::Mul(w1, x), s2 = hn::Mul(w2, x), s3 = hn::Mul(w3, x);
      } else {
        s0 = hn::MulAdd(w0, x, s0), s1 = hn::MulAdd(w1, x, s1);
        s2 = hn::MulAdd(w2, x, s2), s3 = hn::MulAdd(w3, x, s3);
      }
      if (kBlock > 0 && f % kBlockFields == kBlockFields - 1) {
        const float* scale = scales + f / kBlockFields;
        sums[0] = hn::MulAdd(s0, hn::Set(d, scale[0]), sums[0]);
        sums[1] = hn::MulAdd(s1, hn::Set(d, scale[blocks]), sums[1]);
        sums[2] = hn::MulAdd(s2, hn::Set(d, scale[2 * blocks]), sums[2]);
        sums[3] = hn::MulAdd(s3, hn::Set(d, scale[3 * blocks]), sums[3]);
      }
    }
    if (kBlock == 0) {
      sums[0] = hn::Add(sums[0], s0), sums[1] = hn::Add(sums[1], s1);
      sums[2] = hn::Add(sums[2], s2), sums[3] = hn::Add(sums[3], s3);
    }
  }
}

// Batch 1, up to 4 bits.
template <int kBits, int kBlock>
HWY_INLINE void MultiplyOne(const LutCpuRows& rows, int64_t group, const float* u, float* z) {
  using D = LutFloatTag<kBits>;
  const D d;
  const LutCpuLayout& layout = *rows.layout;
  constexpr int64_t kChunkCols = LutChunkCols(kBits);
  const uint8_t* packed = rows.packed + group * layout.group_bytes;
  const LutTable16<kBits> tables[kRows] = {
      LutTable16<kBits>(TableOf(rows, packed, 0)), LutTable16<kBits>(TableOf(rows, packed, 1)),
      LutTable16<kBits>(TableOf(rows, packed, 2)), LutTable16<kBits>(TableOf(rows, packed, 3))};
  hn::Vec<D> sums[kRows] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  ForSegments(
      layout, packed,
      [&](int64_t segment, const Scales& scales, const uint8_t* chunks, int64_t blocks) HWY_ATTR {
        const float* x = u + segment * kLutSegmentCols;
        for (int64_t col = 0; col < layout.segment_cols(segment); col += kChunkCols) {
          const uint8_t* chunk = chunks + col / kChunkCols * kRows * LutChunkBytes(kBits);
          for (int64_t line = 0; line < kRows * LutChunkBytes(kBits); line += 64) {
            PrefetchStream(chunk + line);
          }
          MultiplyChunk<kBits, kBlock>(tables, chunk, x + col,
                                       scales.values + (kBlock == 0 ? 0 : col / kBlock), blocks,
                                       sums);
        }
      });
  HWY_ALIGN float partial[kRows * hn::MaxLanes(D())];
  for (int r = 0; r < kRows; ++r) hn::Store(sums[r], d, partial + r * hn::Lanes(d));
  WriteSums(d, layout, group, 1, partial, z);
}

template <int kBits, int kBlock>
void MultiplyGroups(const LutCpuRows& rows, const float* u, int64_t batch, float* z) {
  for (int64_t group = rows.begin; group < rows.end; ++group) {
    if constexpr (kBits != 8) {
      if (batch == 1) {
        MultiplyOne<kBits, kBlock>(rows, group, u, z);
        continue;
      }
    }
    MultiplyMany<kBits>(rows, group, u, batch, z);
  }
}

template <int kBits>
void MultiplyBits(const LutCpuRows& rows, const float* u, int64_t batch, float* z) {
  if (batch > 1 || kBits == 8) return MultiplyGroups<kBits, 0>(rows, u, batch, z);
  switch (rows.layout->spec.block) {
    case 32:
      return MultiplyGroups<kBits, 32>(rows, u, 1, z);
    case 64:
      return MultiplyGroups<kBits, 64>(rows, u, 1, z);
    case 128:
      return MultiplyGroups<kBits, 128>(rows, u, 1, z);
    default:
      return MultiplyGroups<kBits, 0>(rows, u, 1, z);
  }
}

void Multiply(const LutCpuRows& rows, const float* u, int64_t batch, float* z) {
  switch (rows.layout->spec.bits) {
    case 1:
      return MultiplyBits<1>(rows, u, batch, z);
    case 2:
      return MultiplyBits<2>(rows, u, batch, z);
    case 3:
      return MultiplyBits<3>(rows, u, batch, z);
    case 4:
      return MultiplyBits<4>(rows, u, batch, z);
    default:
      return MultiplyBits<8>(rows, u, batch, z);
  }
}

template <int kBits>
void DecodeBits(const LutCpuRows& rows, float* w) {
  const LutCpuLayout& layout = *rows.layout;
  const auto [out, in] = layout.shape;
  HWY_ALIGN float decoded[kLutSegmentCols];
  for (int64_t group = rows.begin; group < rows.end; ++group) {
    const uint8_t* packed = rows.packed + group * layout.group_bytes;
    for (int r = 0; r < std::min<int64_t>(kRows, out - group * kRows); ++r) {
      const RowDecoder<kBits> decoder(TableOf(rows, packed, r));
      ForSegments(layout, packed,
                  [&](int64_t segment, const Scales& scales, const uint8_t* chunks, int64_t blocks)
                      HWY_ATTR {
                        const int64_t cols = layout.segment_cols(segment);
                        const int64_t first = segment * kLutSegmentCols;
                        DecodeSegment<kBits>(layout, decoder, chunks, r, cols,
                                             scales.values + r * blocks, decoded);
                        std::copy_n(decoded, std::min(cols, in - first),
                                    w + (group * kRows + r) * in + first);
                      });
    }
  }
}

void Decode(const LutCpuRows& rows, float* w) {
  switch (rows.layout->spec.bits) {
    case 1:
      return DecodeBits<1>(rows, w);
    case 2:
      return DecodeBits<2>(rows, w);
    case 3:
      return DecodeBits<3>(rows, w);
    case 4:
      return DecodeBits<4>(rows, w);
    default:
      return DecodeBits<8>(rows, w);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(Multiply);
HWY_EXPORT(Decode);

void LutCpuMultiply(const LutCpuRows& rows, const float* u, int64_t batch, float* z) {
  HWY_DYNAMIC_DISPATCH(Multiply)(rows, u, batch, z);
}

void LutCpuDecode(const LutCpuRows& rows, float* w) { HWY_DYNAMIC_DISPATCH(Decode)(rows, w); }

}  // namespace qtipd
#endif  // HWY_ONCE
