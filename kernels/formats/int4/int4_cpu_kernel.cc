// Where sixteen floats are a vector and lanes of it are looked up by four bits (AVX-512), the
// sixteen values of a group are such a vector, scale * (code - zero): a shift, a look-up and a
// multiply-add for sixteen weights, whatever the zero point, and each weight exact. Elsewhere codes
// are masked, converted and added up by group, the sum being scaled once; for more than one vector
// of activations a block is decoded to the first-level cache. The versions tried are in
// docs/performance/int4.md.
#include "kernels/formats/int4/int4_cpu_kernel.h"

#include <algorithm>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/int4/int4_cpu_kernel.cc"
#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/cpu/simd/lane_table-inl.h"
#include "kernels/cpu/simd/trellis_ops-inl.h"
#include "kernels/formats/int4/int4_cpu_block-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

#if QTIPD_HAVE_LANE_TABLE

// kRowCount rows from `row` on of one block of columns, times kBatch vectors of activations.
template <int kRowCount, int kBatch, int kGroupVectors, bool kHasZeros>
HWY_INLINE void AddBlock(const Int4CpuLayout& layout, const uint8_t* piece, int64_t col_block,
                         int row, int vectors, const float* x, int64_t x_stride,
                         FloatOf (&sums)[kRowCount][kBatch]) {
  const FloatTag d;
  const FloatOf codes = hn::Iota(d, 0);
  const FloatOf centred = hn::Sub(codes, hn::Set(d, static_cast<float>(kInt4SymmetricZero)));
  const int64_t first_group = col_block * kInt4BlockCols / layout.group_size;
  const uint8_t* from = piece + col_block * kInt4CodeBytes;
  WordOf words[kRowCount];
  HWY_UNROLL(8)
  for (int r = 0; r < kRowCount; ++r) {
    const uint32_t* at = RowWords(from, row + r);
    words[r] = hn::Load(WordTag(), at);
    PrefetchStream(at);
  }
  for (int begin = 0; begin < vectors; begin += kGroupVectors) {
    Grid grid;
    LoadGrid<kHasZeros>(layout, piece, first_group + begin / kGroupVectors, grid);
    FloatOf values[kRowCount];
    HWY_UNROLL(8)
    for (int r = 0; r < kRowCount; ++r) {
      const FloatOf steps = kHasZeros ? hn::Sub(codes, hn::Set(d, grid.zeros[row + r])) : centred;
      values[r] = hn::Mul(steps, hn::Set(d, grid.scales[row + r]));
    }
    const int end = std::min(begin + kGroupVectors, vectors);
    for (int v = begin; v < end; ++v) {
      FloatOf u[kBatch];
      HWY_UNROLL(4)
      for (int b = 0; b < kBatch; ++b) u[b] = hn::LoadU(d, x + b * x_stride + v * kVectorCols);
      HWY_UNROLL(8)
      for (int r = 0; r < kRowCount; ++r) {
        const FloatOf weights = LaneOfTable(values[r], words[r]);
        words[r] = hn::ShiftRight<4>(words[r]);
        HWY_UNROLL(4)
        for (int b = 0; b < kBatch; ++b) sums[r][b] = hn::MulAdd(weights, u[b], sums[r][b]);
      }
    }
  }
}

// kRowCount rows from `row` on of a piece, times kBatch vectors.
template <int kRowCount, int kBatch, int kGroupVectors, bool kHasZeros>
HWY_INLINE void MultiplySomeRows(const Int4CpuLayout& layout, const uint8_t* piece, int row,
                                 const float* x, int64_t x_stride, int64_t out_features, float* z) {
  const FloatTag d;
  FloatOf sums[kRowCount][kBatch];
  for (auto& of_row : sums) {
    for (FloatOf& sum : of_row) sum = hn::Zero(d);
  }
  const int64_t whole = layout.in_features / kInt4BlockCols;
  for (int64_t block = 0; block < whole; ++block) {
    AddBlock<kRowCount, kBatch, kGroupVectors, kHasZeros>(
        layout, piece, block, row, kVectors, x + block * kInt4BlockCols, x_stride, sums);
  }
  if (whole < layout.col_blocks) {
    AddBlock<kRowCount, kBatch, kGroupVectors, kHasZeros>(
        layout, piece, whole, row, ExtentOf(layout, whole).vectors, x + whole * kInt4BlockCols,
        x_stride, sums);
  }
  for (int r = 0; r < kRowCount; ++r) {
    for (int b = 0; b < kBatch; ++b) {
      z[b * out_features + row + r] = hn::GetLane(hn::SumOfLanes(d, sums[r][b]));
    }
  }
}

// Eight rows: at once for one vector of activations, by four for more, whose sums take registers.
template <int kBatch, int kGroupVectors, bool kHasZeros>
HWY_NOINLINE void MultiplyVectors(const Int4CpuLayout& layout, const uint8_t* piece, const float* x,
                                  int64_t x_stride, int64_t out_features, float* z) {
  constexpr int kRowCount = kBatch == 1 ? kRows : kRows / 2;
  for (int row = 0; row < kRows; row += kRowCount) {
    MultiplySomeRows<kRowCount, kBatch, kGroupVectors, kHasZeros>(layout, piece, row, x, x_stride,
                                                                  out_features, z);
  }
}

template <int kGroupVectors, bool kHasZeros>
void MultiplyPiece(const Int4CpuLayout& layout, const uint8_t* piece, const float* x,
                   int64_t x_stride, int64_t batch, int64_t out_features, float* z) {
  const auto multiply = [&](auto count, int64_t b) {
    MultiplyVectors<decltype(count)::value, kGroupVectors, kHasZeros>(
        layout, piece, x + b * x_stride, x_stride, out_features, z + b * out_features);
  };
  int64_t b = 0;
  for (; b + 4 <= batch; b += 4) multiply(std::integral_constant<int, 4>(), b);
  if (b + 2 <= batch) {
    multiply(std::integral_constant<int, 2>(), b);
    b += 2;
  }
  if (b < batch) multiply(std::integral_constant<int, 1>(), b);
}

#else

constexpr int kRowsAtOnce = 4;

// sums[row] += one block of columns of kRowsAtOnce rows, times one vector of activations.
template <bool kHasZeros>
HWY_INLINE void AddBlock(const Int4CpuLayout& layout, const uint8_t* piece, int64_t col_block,
                         int row, const float* x, FloatOf& sum0, FloatOf& sum1, FloatOf& sum2,
                         FloatOf& sum3) {
  const FloatTag d;
  const WordTag du;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Extent extent = ExtentOf(layout, col_block);
  const int group_vectors = GroupVectors(layout);
  const uint8_t* codes = piece + col_block * kInt4CodeBytes;
  for (int r = 0; r < kRowsAtOnce; ++r) PrefetchStream(RowWords(codes, row + r));
  for (int begin = 0; begin < extent.vectors; begin += group_vectors) {
    Grid grid;
    LoadGrid<kHasZeros>(layout, piece, extent.group + begin / group_vectors, grid);
    const int end = std::min(begin + group_vectors, extent.vectors);
    const FloatOf zero0 = hn::Set(d, ZeroOf<kHasZeros>(grid, row));
    const FloatOf zero1 = hn::Set(d, ZeroOf<kHasZeros>(grid, row + 1));
    const FloatOf zero2 = hn::Set(d, ZeroOf<kHasZeros>(grid, row + 2));
    const FloatOf zero3 = hn::Set(d, ZeroOf<kHasZeros>(grid, row + 3));
    FloatOf group0 = hn::Zero(d), group1 = hn::Zero(d);
    FloatOf group2 = hn::Zero(d), group3 = hn::Zero(d);
    for (int64_t part = 0; part < kVectorCols; part += lanes) {
      const auto words = [&](int r) HWY_ATTR {
        return hn::ShiftRightSame(hn::LoadU(du, RowWords(codes, row + r) + part), 4 * begin);
      };
      WordOf words0 = words(0), words1 = words(1), words2 = words(2), words3 = words(3);
      for (int vector = begin; vector < end; ++vector) {
        const FloatOf u = hn::LoadU(d, x + vector * kVectorCols + part);
        group0 = hn::MulAdd(Steps(words0, zero0), u, group0);
        group1 = hn::MulAdd(Steps(words1, zero1), u, group1);
        group2 = hn::MulAdd(Steps(words2, zero2), u, group2);
        group3 = hn::MulAdd(Steps(words3, zero3), u, group3);
        words0 = hn::ShiftRight<4>(words0), words1 = hn::ShiftRight<4>(words1);
        words2 = hn::ShiftRight<4>(words2), words3 = hn::ShiftRight<4>(words3);
      }
    }
    sum0 = hn::MulAdd(group0, hn::Set(d, grid.scales[row]), sum0);
    sum1 = hn::MulAdd(group1, hn::Set(d, grid.scales[row + 1]), sum1);
    sum2 = hn::MulAdd(group2, hn::Set(d, grid.scales[row + 2]), sum2);
    sum3 = hn::MulAdd(group3, hn::Set(d, grid.scales[row + 3]), sum3);
  }
}

template <bool kHasZeros>
HWY_INLINE void MultiplyVector(const Int4CpuLayout& layout, const uint8_t* piece, const float* x,
                               float* z) {
  const FloatTag d;
  for (int row = 0; row < kRows; row += kRowsAtOnce) {
    FloatOf sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
    for (int64_t block = 0; block < layout.col_blocks; ++block) {
      AddBlock<kHasZeros>(layout, piece, block, row, x + block * kInt4BlockCols, sum0, sum1, sum2,
                          sum3);
    }
    z[row] = hn::GetLane(hn::SumOfLanes(d, sum0));
    z[row + 1] = hn::GetLane(hn::SumOfLanes(d, sum1));
    z[row + 2] = hn::GetLane(hn::SumOfLanes(d, sum2));
    z[row + 3] = hn::GetLane(hn::SumOfLanes(d, sum3));
  }
}

// Two rows of a decoded block times a vector of activations; a vector of partial sums each.
HWY_INLINE void AddDecoded(const float* block, int64_t cols, const float* x, float* sums) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  FloatOf sum0 = hn::Load(d, sums), sum1 = hn::Load(d, sums + lanes);
  for (int64_t col = 0; col < cols; col += lanes) {
    const FloatOf u = hn::LoadU(d, x + col);
    sum0 = hn::MulAdd(hn::LoadU(d, block + col), u, sum0);
    sum1 = hn::MulAdd(hn::LoadU(d, block + kInt4BlockCols + col), u, sum1);
  }
  hn::Store(sum0, d, sums), hn::Store(sum1, d, sums + lanes);
}

template <bool kHasZeros>
HWY_INLINE void MultiplyMany(const Int4CpuLayout& layout, const uint8_t* piece, const float* x,
                             int64_t x_stride, int64_t batch, int64_t out_features, float* z) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float block[kRows * kInt4BlockCols];
  HWY_ALIGN float sums[kInt4CpuMaxBatch * kRows * hn::MaxLanes(FloatTag())];
  std::fill_n(sums, batch * kRows * lanes, 0.0F);
  for (int64_t col_block = 0; col_block < layout.col_blocks; ++col_block) {
    DecodeBlock<kHasZeros>(layout, piece, col_block, block, kInt4BlockCols);
    const int64_t cols = ExtentOf(layout, col_block).vectors * kVectorCols;
    for (int64_t b = 0; b < batch; ++b) {
      for (int row = 0; row < kRows; row += 2) {
        AddDecoded(block + row * kInt4BlockCols, cols,
                   x + b * x_stride + col_block * kInt4BlockCols, sums + (b * kRows + row) * lanes);
      }
    }
  }
  for (int64_t i = 0; i < batch * kRows; ++i) {
    z[i / kRows * out_features + i % kRows] =
        hn::GetLane(hn::SumOfLanes(d, hn::Load(d, sums + i * lanes)));
  }
}

template <int kGroupVectors, bool kHasZeros>
void MultiplyPiece(const Int4CpuLayout& layout, const uint8_t* piece, const float* x,
                   int64_t x_stride, int64_t batch, int64_t out_features, float* z) {
  if (batch == 1) return MultiplyVector<kHasZeros>(layout, piece, x, z);
  MultiplyMany<kHasZeros>(layout, piece, x, x_stride, batch, out_features, z);
}

#endif  // QTIPD_HAVE_LANE_TABLE

template <bool kHasZeros>
void MultiplyPieces(const Int4CpuRows& rows, const float* x, int64_t x_stride, int64_t batch,
                    int64_t out_features, float* z) {
  const Int4CpuLayout& layout = *rows.layout;
  const int group_vectors = GroupVectors(layout);
  for (int64_t block = rows.begin; block < rows.end; ++block) {
    const uint8_t* piece = rows.packed + block * layout.row_block_bytes;
    float* out = z + block * kRows;
    if (group_vectors == 2) {
      MultiplyPiece<2, kHasZeros>(layout, piece, x, x_stride, batch, out_features, out);
    } else if (group_vectors == 4) {
      MultiplyPiece<4, kHasZeros>(layout, piece, x, x_stride, batch, out_features, out);
    } else {
      MultiplyPiece<8, kHasZeros>(layout, piece, x, x_stride, batch, out_features, out);
    }
  }
}

void MultiplyRows(const Int4CpuRows& rows, const float* x, int64_t x_stride, int64_t batch,
                  int64_t out_features, float* z) {
  if (rows.layout->has_zeros) {
    return MultiplyPieces<true>(rows, x, x_stride, batch, out_features, z);
  }
  MultiplyPieces<false>(rows, x, x_stride, batch, out_features, z);
}

template <bool kHasZeros>
void DecodePieces(const Int4CpuRows& rows, float* w) {
  const Int4CpuLayout& layout = *rows.layout;
  HWY_ALIGN float tail[kRows * kInt4BlockCols];
  const int64_t whole = layout.in_features / kInt4BlockCols;
  const int64_t left = layout.in_features - whole * kInt4BlockCols;
  for (int64_t block = rows.begin; block < rows.end; ++block) {
    const uint8_t* piece = rows.packed + block * layout.row_block_bytes;
    float* to = w + block * kRows * layout.in_features;
    for (int64_t col_block = 0; col_block < whole; ++col_block) {
      DecodeBlock<kHasZeros>(layout, piece, col_block, to + col_block * kInt4BlockCols,
                             layout.in_features);
    }
    if (left == 0) continue;
    DecodeBlock<kHasZeros>(layout, piece, whole, tail, kInt4BlockCols);
    for (int row = 0; row < kRows; ++row) {
      std::copy_n(tail + row * kInt4BlockCols, left,
                  to + row * layout.in_features + whole * kInt4BlockCols);
    }
  }
}

void DecodeRows(const Int4CpuRows& rows, float* w) {
  if (rows.layout->has_zeros) return DecodePieces<true>(rows, w);
  DecodePieces<false>(rows, w);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(MultiplyRows);
HWY_EXPORT(DecodeRows);

void Int4CpuMultiplyRows(const Int4CpuRows& rows, const float* x, int64_t x_stride, int64_t batch,
                         int64_t out_features, float* z) {
  HWY_DYNAMIC_DISPATCH(MultiplyRows)(rows, x, x_stride, batch, out_features, z);
}

void Int4CpuDecodeRows(const Int4CpuRows& rows, float* w) {
  HWY_DYNAMIC_DISPATCH(DecodeRows)(rows, w);
}

}  // namespace qtipd
#endif  // HWY_ONCE
