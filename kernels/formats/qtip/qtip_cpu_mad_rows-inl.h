// `1mad` by vectors of any width. At 2 bits lanes are rows, whose states are cut out by constant
// shifts. At other rates a vector is neighbouring columns of one row, gathered by a byte shuffle
// and shifted lane by lane; four rows at a time, so that sums stay in registers. Included by
// qtip_cpu_mad.cc alone.
#if defined(QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_ROWS_INL_H_
#undef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_ROWS_INL_H_
#else
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include "hwy/highway.h"
#include "kernels/formats/qtip/qtip_cpu_kernel.h"
#include "kernels/formats/qtip/qtip_cpu_mad_hash-inl.h"

#if !QTIPD_HAVE_BYTE_LOOKUP && HWY_TARGET != HWY_SCALAR

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {

namespace {

namespace hn = hwy::HWY_NAMESPACE;

// More vectors of activations are multiplied by decoded weights.
bool HasKernel(int64_t batch) { return batch == 1; }

using StateTag = hn::CappedTag<uint32_t, kQtipTileCols>;
using FloatTag = hn::Rebind<float, StateTag>;
using ByteTag = hn::Repartition<uint8_t, StateTag>;

constexpr int kRowsAtOnce = 4;
constexpr int64_t kBlockTiles = 32;  // stay in the first-level cache for all rows

// The words of a row from `row` on, in every 128-bit block.
HWY_INLINE hn::Vec<ByteTag> RowBytes(const uint16_t* row) {
  return hn::LoadDup128(ByteTag(), reinterpret_cast<const uint8_t*>(row));
}

// The same of row 15, which is followed by row 0 and not by what lies behind it.
template <int kBits>
HWY_INLINE hn::Vec<ByteTag> LastRowBytes(const uint16_t* tile) {
  return hn::CombineShiftRightBytes<16 - 2 * kBits>(ByteTag(), RowBytes(tile),
                                                    RowBytes(tile + QtipTileWords(kBits) - 8));
}

// sums[kRowsAtOnce] += rows `kFirst` on of `tiles` tiles times u. `windows` as of the code.
template <int kBits, int kFirst>
HWY_INLINE void MultiplyRows(const QtipPlainWindows& windows, const uint16_t* tile, int64_t tiles,
                             const float* u, float* sums) {
  constexpr bool kIsLast = kFirst + kRowsAtOnce == kQtipTileRows;
  const StateTag d;
  const FloatTag df;
  const size_t lanes = hn::Lanes(d);
  const auto mask = hn::Set(d, windows.mask);
  auto sum0 = hn::Load(df, sums), sum1 = hn::Load(df, sums + lanes);
  auto sum2 = hn::Load(df, sums + 2 * lanes), sum3 = hn::Load(df, sums + 3 * lanes);
  for (size_t col = 0; col < kQtipTileCols; col += lanes) {
    const auto pattern = hn::Load(ByteTag(), windows.pattern[col]);
    const auto shift = hn::Load(d, windows.shift + col);
    const auto weights = [&](hn::Vec<ByteTag> bytes) HWY_ATTR {
      const auto bits = hn::BitCast(d, hn::TableLookupBytes(bytes, pattern));
      return Sums(df, hn::And(hn::Shr(bits, shift), mask), -kQtipMadMean);
    };
    const uint16_t* row = tile + kFirst * kBits;
    for (int64_t i = 0; i < tiles; ++i, row += QtipTileWords(kBits)) {
      const auto x = hn::LoadU(df, u + i * kQtipTileCols + col);
      sum0 = hn::MulAdd(weights(RowBytes(row)), x, sum0);
      sum1 = hn::MulAdd(weights(RowBytes(row + kBits)), x, sum1);
      sum2 = hn::MulAdd(weights(RowBytes(row + 2 * kBits)), x, sum2);
      sum3 = hn::MulAdd(
          weights(kIsLast ? LastRowBytes<kBits>(row - kFirst * kBits) : RowBytes(row + 3 * kBits)),
          x, sum3);
    }
  }
  hn::Store(sum0, df, sums), hn::Store(sum1, df, sums + lanes);
  hn::Store(sum2, df, sums + 2 * lanes), hn::Store(sum3, df, sums + 3 * lanes);
}

// At most half the rows of a tile, so that two vectors share what is made of activations.
using RowTag = hn::CappedTag<uint32_t, kQtipTileRows / 2>;
using RowSumTag = hn::Rebind<float, RowTag>;

// At 2 bits lanes are rows, of which a 32-bit word at a time is loaded as it lies: every state is
// cut out by a constant shift. `half`: columns 0 to 7 or 8 to 15 of `kLanes` rows, the last of them
// row 15 where kIsLast.
template <bool kIsLast>
HWY_INLINE hn::Vec<RowTag> HalfRows(const uint16_t* tile, int row, int half) {
  const RowTag d;
  const size_t lanes = hn::Lanes(d);
  auto words = hn::LoadU(d, reinterpret_cast<const uint32_t*>(tile + 2 * row + half));
  if (kIsLast && half == 1) {
    // What follows word 31 of a tile is word 0.
    const auto last = hn::Set(d, uint32_t{tile[31]} | uint32_t{tile[0]} << 16);
    words = hn::IfThenElse(hn::FirstN(d, lanes - 1), words, last);
  }
  return words;
}

// Bytes of each lane in another order; 0x80 for a zero.
template <int kByte0, int kByte1, int kByte2, int kByte3>
HWY_INLINE hn::Vec<RowTag> Bytes(hn::Vec<RowTag> words) {
  const RowTag d;
  const hn::Repartition<uint8_t, RowTag> d8;
  HWY_ALIGN static constexpr uint8_t kOrder[16] = {
      kByte0,      kByte1,      kByte2,      kByte3,     kByte0 + 4, kByte1 + 4,
      kByte2 + 4,  kByte3 + 4,  kByte0 + 8,  kByte1 + 8, kByte2 + 8, kByte3 + 8,
      kByte0 + 12, kByte1 + 12, kByte2 + 12, kByte3 + 12};
  return hn::BitCast(d,
                     hn::TableLookupBytesOr0(hn::BitCast(d8, words), hn::LoadDup128(d8, kOrder)));
}

// `words` as they lie, `turned` with their halves exchanged.
template <int kColumn>
HWY_INLINE hn::Vec<RowTag> StatesOfColumn(hn::Vec<RowTag> words, hn::Vec<RowTag> turned) {
  const RowTag d;
  const auto mask = hn::Set(d, 0xFFFFu);
  if constexpr (kColumn == 0) return hn::And(words, mask);
  if constexpr (kColumn == 4) return Bytes<3, 0, 0x80, 0x80>(words);
  return hn::And(hn::ShiftRight<16 - 2 * kColumn>(turned), mask);
}

template <int kColumn>
HWY_INLINE hn::Vec<RowSumTag> AddColumn(hn::Vec<RowTag> words, hn::Vec<RowTag> turned,
                                        const float* u, hn::Vec<RowSumTag> sum) {
  const RowSumTag df;
  return hn::MulAdd(Sums(df, StatesOfColumn<kColumn>(words, turned), 0), hn::Set(df, u[kColumn]),
                    sum);
}

// A column of two vectors of rows.
template <int kColumn>
HWY_INLINE void AddColumns(const hn::Vec<RowTag> (&words)[2], const hn::Vec<RowTag> (&turned)[2],
                           const float* u, hn::Vec<RowSumTag> (&parts)[2]) {
  parts[0] = AddColumn<kColumn>(words[0], turned[0], u, parts[0]);
  parts[1] = AddColumn<kColumn>(words[1], turned[1], u, parts[1]);
}

// sums + 8 columns; `mean` is what 510 in place of the byte sums would have given, with its sign
// changed: few columns at a time, so that little is lost where the two cancel.
HWY_INLINE void AddHalf(hn::Vec<RowTag> first, hn::Vec<RowTag> second, const float* u, float mean,
                        hn::Vec<RowSumTag>& sum0, hn::Vec<RowSumTag>& sum1) {
  const hn::Vec<RowTag> words[2] = {first, second};
  const hn::Vec<RowTag> turned[2] = {Bytes<2, 3, 0, 1>(first), Bytes<2, 3, 0, 1>(second)};
  const RowSumTag d;
  hn::Vec<RowSumTag> parts[2] = {hn::Set(d, mean), hn::Set(d, mean)};
  AddColumns<0>(words, turned, u, parts);
  AddColumns<1>(words, turned, u, parts);
  AddColumns<2>(words, turned, u, parts);
  AddColumns<3>(words, turned, u, parts);
  AddColumns<4>(words, turned, u, parts);
  AddColumns<5>(words, turned, u, parts);
  AddColumns<6>(words, turned, u, parts);
  AddColumns<7>(words, turned, u, parts);
  sum0 = hn::Add(sum0, parts[0]);
  sum1 = hn::Add(sum1, parts[1]);
}

// z of 2 kLanes rows from `kRow` on. `means` of the halves of all tiles.
template <int kRow>
HWY_INLINE void MultiplyByRows(const uint16_t* tile, int64_t tiles, const float* u,
                               const float* means, float* z) {
  const RowSumTag d;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(RowTag()));
  constexpr int kSecond = kRow + kLanes;
  constexpr bool kIsLast = kSecond + kLanes == kQtipTileRows;
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  for (int64_t i = 0; i < tiles; ++i, tile += QtipTileWords(2), u += kQtipTileCols, means += 2) {
    AddHalf(HalfRows<false>(tile, kRow, 0), HalfRows<kIsLast>(tile, kSecond, 0), u, means[0], sum0,
            sum1);
    AddHalf(HalfRows<false>(tile, kRow, 1), HalfRows<kIsLast>(tile, kSecond, 1), u + 8, means[1],
            sum0, sum1);
  }
  const auto divisor = hn::Set(d, kQtipMadDivisor);
  hn::StoreU(hn::Div(sum0, divisor), d, z + kRow);
  hn::StoreU(hn::Div(sum1, divisor), d, z + kSecond);
}

// What the mean of the byte sums gives with every eight activations, its sign changed.
std::vector<float> Means(const float* u, int64_t in_features) {
  std::vector<float> means(in_features / 8);
  for (float& mean : means) {
    float sum = 0;
    for (int i = 0; i < 8; ++i) sum += *u++;
    mean = -kQtipMadMean * sum;
  }
  return means;
}

template <int kBits>
void MultiplyTileRows(const QtipCpuRows& rows, const float* u, int64_t /*batch*/,
                      int64_t /*out_features*/, float* z) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t tiles = rows.in_features / kQtipTileCols;
  HWY_ALIGN float sums[kQtipTileRows * hn::MaxLanes(FloatTag())];
  const std::vector<float> means = kBits == 2 ? Means(u, rows.in_features) : std::vector<float>();
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const auto* words =
        reinterpret_cast<const uint16_t*>(rows.packed) + row * tiles * QtipTileWords(kBits);
    if constexpr (kBits == 2) {
      MultiplyByRows<0>(words, tiles, u, means.data(), z + row * kQtipTileRows);
      if constexpr (hn::MaxLanes(RowTag()) == 4) {
        MultiplyByRows<8>(words, tiles, u, means.data(), z + row * kQtipTileRows);
      }
      continue;
    }
    std::fill_n(sums, kQtipTileRows * lanes, 0.0f);
    for (int64_t tile = 0; tile < tiles; tile += kBlockTiles) {
      const uint16_t* block = words + tile * QtipTileWords(kBits);
      const int64_t count = std::min(kBlockTiles, tiles - tile);
      const float* x = u + tile * kQtipTileCols;
      MultiplyRows<kBits, 0>(*rows.windows, block, count, x, sums);
      MultiplyRows<kBits, 4>(*rows.windows, block, count, x, sums + 4 * lanes);
      MultiplyRows<kBits, 8>(*rows.windows, block, count, x, sums + 8 * lanes);
      MultiplyRows<kBits, 12>(*rows.windows, block, count, x, sums + 12 * lanes);
    }
    for (int i = 0; i < kQtipTileRows; ++i) {
      const auto sum = hn::SumOfLanes(d, hn::Load(d, sums + i * lanes));
      z[row * kQtipTileRows + i] = hn::GetLane(sum) / kQtipMadDivisor;
    }
  }
}

}  // namespace

}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#endif  // !QTIPD_HAVE_BYTE_LOOKUP

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_ROWS_INL_H_
