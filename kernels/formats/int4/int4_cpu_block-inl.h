// What the CPU's kernels read a block of int4 by: scales and zero points of eight rows, codes, and
// the decoding of a block. Included after highway.h by sources that are compiled once per
// instruction set.
#if defined(QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_BLOCK_INL_H_
#undef QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_BLOCK_INL_H_
#else
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_BLOCK_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/formats/int4/int4_cpu_layout.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::CappedTag<float, 16>;
using WordTag = hn::RebindToUnsigned<FloatTag>;
using FloatOf = hn::Vec<FloatTag>;
using WordOf = hn::Vec<WordTag>;

constexpr int kRows = kInt4BlockRows;
constexpr int64_t kVectorCols = 16;  // columns that share a shift of the words
constexpr int kVectors = kInt4BlockCols / kVectorCols;

// Scales and zero points of a group, for eight rows.
struct Grid {
  HWY_ALIGN float scales[kRows];
  HWY_ALIGN float zeros[kRows];
};

template <bool kIsHalf>
HWY_INLINE void LoadScales(const uint8_t* from, float* scales) {
  const hn::CappedTag<float, kRows> d;
  for (size_t i = 0; i < kRows; i += hn::Lanes(d)) {
    const auto* bits = reinterpret_cast<const uint16_t*>(from) + i;
    if constexpr (kIsHalf) {
      const hn::Rebind<hwy::float16_t, decltype(d)> dh;
      hn::StoreU(hn::PromoteTo(d, hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(bits))), d,
                 scales + i);
    } else {
      const hn::Rebind<uint16_t, decltype(d)> dh;
      const hn::RebindToUnsigned<decltype(d)> du;
      const auto wide = hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(dh, bits)));
      hn::StoreU(hn::BitCast(d, wide), d, scales + i);
    }
  }
}

template <bool kHasZeros>
HWY_INLINE void LoadGrid(const Int4CpuLayout& layout, const uint8_t* piece, int64_t group,
                         Grid& grid) {
  const uint8_t* scales = piece + layout.scales_at + group * kRows * 2;
  if (layout.is_half) {
    LoadScales<true>(scales, grid.scales);
  } else {
    LoadScales<false>(scales, grid.scales);
  }
  if constexpr (kHasZeros) {
    const uint8_t* zeros = piece + layout.zeros_at + group * kRows;
    for (int row = 0; row < kRows; ++row) grid.zeros[row] = zeros[row];
  }
}

template <bool kHasZeros>
HWY_INLINE float ZeroOf(const Grid& grid, int row) {
  return kHasZeros ? grid.zeros[row] : static_cast<float>(kInt4SymmetricZero);
}

HWY_INLINE const uint32_t* RowWords(const uint8_t* codes, int row) {
  return reinterpret_cast<const uint32_t*>(codes + row * kInt4RowBytes);
}

// Vectors of columns in a block, and the group of its first column.
struct Extent {
  int vectors = kVectors;
  int64_t group = 0;
};

HWY_INLINE Extent ExtentOf(const Int4CpuLayout& layout, int64_t col_block) {
  const int64_t first = col_block * kInt4BlockCols;
  const int64_t cols = std::min(kInt4BlockCols, layout.in_features - first);
  return {static_cast<int>((cols + kVectorCols - 1) / kVectorCols), first / layout.group_size};
}

// Vectors of columns of a block that share a group: 2, 4 or 8. Groups that are whole rows can have
// any length.
HWY_INLINE int GroupVectors(const Int4CpuLayout& layout) {
  if (layout.groups == 1) return kVectors;
  return static_cast<int>(layout.group_size / kVectorCols);
}

// The codes of `words`, shifted down, less `zero`.
HWY_INLINE FloatOf Steps(WordOf words, FloatOf zero) {
  const hn::RebindToSigned<FloatTag> di;
  const auto codes = hn::And(words, hn::Set(WordTag(), 15u));
  return hn::Sub(hn::ConvertTo(FloatTag(), hn::BitCast(di, codes)), zero);
}

// Decodes one block of columns to block[row * stride + column].
template <bool kHasZeros>
HWY_INLINE void DecodeBlock(const Int4CpuLayout& layout, const uint8_t* piece, int64_t col_block,
                            float* block, int64_t stride) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Extent extent = ExtentOf(layout, col_block);
  const uint8_t* codes = piece + col_block * kInt4CodeBytes;
  const int group_vectors = GroupVectors(layout);
  Grid grid;
  for (int begin = 0; begin < extent.vectors; begin += group_vectors) {
    LoadGrid<kHasZeros>(layout, piece, extent.group + begin / group_vectors, grid);
    const int end = std::min(begin + group_vectors, extent.vectors);
    for (int row = 0; row < kRows; ++row) {
      const FloatOf scale = hn::Set(d, grid.scales[row]);
      const FloatOf zero = hn::Set(d, ZeroOf<kHasZeros>(grid, row));
      for (int64_t part = 0; part < kVectorCols; part += lanes) {
        auto words =
            hn::ShiftRightSame(hn::LoadU(WordTag(), RowWords(codes, row) + part), 4 * begin);
        for (int vector = begin; vector < end; ++vector) {
          hn::StoreU(hn::Mul(Steps(words, zero), scale), d,
                     block + row * stride + vector * kVectorCols + part);
          words = hn::ShiftRight<4>(words);
        }
      }
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_BLOCK_INL_H_
