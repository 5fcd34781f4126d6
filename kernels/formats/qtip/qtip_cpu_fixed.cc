// Weights of one byte: the byte planes of both weights of a pair fill 16 registers, and one pass
// does all. Of two bytes: a pass for each weight, as in qtip_cpu_hyb.cc. A product of bytes is
// summed in 32 bits for up to kSpanTiles tiles, then in 64.
#define HWY_WANT_AVX3_DL 1
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_cpu_fixed.cc"
#include "kernels/formats/qtip/qtip_cpu_fixed.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/api/dtype.h"
#include "kernels/formats/qtip/qtip_cpu_planes-inl.h"
#include "kernels/formats/qtip/qtip_table.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

bool HasKernel() { return QTIPD_HAVE_BYTE_LOOKUP; }

#if QTIPD_HAVE_BYTE_LOOKUP

constexpr int64_t kBlockTiles = 16;
// A lane adds four products of at most 255 * 128 a look-up, and at most four look-ups a tile to one
// sum: below 2^31 up to here.
constexpr int64_t kSpanTiles = 2048;
static_assert(kSpanTiles * 4 * 4 * 255 * 128 < (int64_t{1} << 31));
constexpr int64_t kTileBytes = 2 * kQtipTileCols;  // of activations

using SumTag = hn::Full512<int32_t>;
using SumVec = hn::Vec<SumTag>;

// Bytes of activations of weight `half` of the pairs of a tile: `byte` 0 the higher, 1 the lower.
HWY_INLINE ByteVec Activations(const int8_t* tile, int half, int byte) {
  return BroadcastBytes(tile + half * kQtipTileCols + byte * 8);
}

// 128 minus what lies above 128: the byte of the opposite number.
HWY_INLINE ByteVec Negate(ByteVec bytes, ByteVec signs) {
  const ByteTag d;
  const hn::Full512<int8_t> di;
  const auto is_negative = hn::RebindMask(d, hn::MaskFromVec(hn::BitCast(di, signs)));
  return hn::IfThenElse(is_negative, hn::Sub(hn::Zero(d), bytes), bytes);
}

// Sums of products by part and by weight of the bytes: sums[part][0] of higher times higher bytes,
// [1] a 256th of that, [2] a 65536th.
using Sums = SumVec[kParts][3];

template <int kBits>
HWY_INLINE void MultiplyNarrow(const uint8_t* packed, int64_t tiles, const QtipFixedTable& table,
                               const int8_t* x, Sums& sums) {
  const Plane first(table.bytes[0][0]);
  const Plane second(table.bytes[1][0]);
  for (int64_t tile = 0; tile < tiles; ++tile, x += kTileBytes) {
    WordVec hashes[4];
    HashesOf<kBits>(packed + tile / 2 * QtipCpuPairBytes(kBits), static_cast<int>(tile % 2), 0,
                    hashes);
    HWY_UNROLL(2)
    for (int part = 0; part < kParts; ++part) {
      ByteVec signs;
      const Index index = MakeIndex(hashes[part], hashes[part + 2], signs);
      const ByteVec w0 = Negate(first[index], signs);
      const ByteVec w1 = second[index];
      sums[part][0] = DotBytes(w0, Activations(x, 0, 0), sums[part][0]);
      sums[part][1] = DotBytes(w0, Activations(x, 0, 1), sums[part][1]);
      sums[part][0] = DotBytes(w1, Activations(x, 1, 0), sums[part][0]);
      sums[part][1] = DotBytes(w1, Activations(x, 1, 1), sums[part][1]);
    }
  }
}

HWY_INLINE void AddProducts(ByteVec high, ByteVec low, const int8_t* x, int half,
                            SumVec (&sums)[3]) {
  const ByteVec x_high = Activations(x, half, 0), x_low = Activations(x, half, 1);
  sums[0] = DotBytes(high, x_high, sums[0]);
  sums[1] = DotBytes(low, x_high, DotBytes(high, x_low, sums[1]));
  sums[2] = DotBytes(low, x_low, sums[2]);
}

// At most kBlockTiles tiles.
template <int kBits>
HWY_INLINE void MultiplyWide(const uint8_t* packed, int64_t tiles, const QtipFixedTable& table,
                             const int8_t* x, Sums& sums) {
  const ByteTag d;
  HWY_ALIGN uint8_t low7[kBlockTiles * kParts][64];
  ByteMask bit13[kBlockTiles * kParts];
  ByteMask bit14[kBlockTiles * kParts];
  {
    const Plane high(table.bytes[0][0]);
    const Plane low(table.bytes[0][1]);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      WordVec hashes[4];
      HashesOf<kBits>(packed + tile / 2 * QtipCpuPairBytes(kBits), static_cast<int>(tile % 2), 0,
                      hashes);
      HWY_UNROLL(2)
      for (int part = 0; part < kParts; ++part) {
        ByteVec signs;
        const Index index = MakeIndex(hashes[part], hashes[part + 2], signs);
        hn::Store(index.low, d, low7[tile * kParts + part]);
        bit13[tile * kParts + part] = index.bit13;
        bit14[tile * kParts + part] = index.bit14;
        AddProducts(Negate(high[index], signs), Negate(low[index], signs), x + tile * kTileBytes, 0,
                    sums[part]);
      }
    }
  }
  const Plane high(table.bytes[1][0]);
  const Plane low(table.bytes[1][1]);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    HWY_UNROLL(2)
    for (int part = 0; part < kParts; ++part) {
      const int64_t at = tile * kParts + part;
      const Index index = {hn::Load(d, low7[at]), bit13[at], bit14[at]};
      AddProducts(high[index], low[index], x + tile * kTileBytes, 1, sums[part]);
    }
  }
}

// totals[row][byte weight] += the sums of a span, two lanes to a row.
HWY_INLINE void Flush(const Sums& sums, int64_t (&totals)[kQtipTileRows][3]) {
  for (int part = 0; part < kParts; ++part) {
    for (int weight = 0; weight < 3; ++weight) {
      HWY_ALIGN int32_t lanes[16];
      hn::Store(sums[part][weight], SumTag(), lanes);
      for (int row = 0; row < 8; ++row) {
        totals[8 * part + row][weight] += int64_t{lanes[2 * row]} + lanes[2 * row + 1];
      }
    }
  }
}

template <int kBits>
HWY_INLINE void MultiplySpan(const uint8_t* packed, int64_t tiles, const QtipFixedTable& table,
                             const int8_t* x, int64_t (&totals)[kQtipTileRows][3]) {
  Sums sums;
  for (auto& part : sums) {
    for (auto& sum : part) sum = hn::Zero(SumTag());
  }
  if (table.bytes_per_weight == 1) {
    MultiplyNarrow<kBits>(packed, tiles, table, x, sums);
  } else {
    for (int64_t tile = 0; tile < tiles; tile += kBlockTiles) {
      MultiplyWide<kBits>(packed + tile / 2 * QtipCpuPairBytes(kBits),
                          std::min(kBlockTiles, tiles - tile), table, x + tile * kTileBytes, sums);
    }
  }
  Flush(sums, totals);
}

template <int kBits>
HWY_INLINE void MultiplyTileRow(const QtipCpuRows& rows, int64_t row, const QtipFixedTable& table,
                                const QtipFixedActivations& x, float* z) {
  const uint8_t* packed = rows.packed + row * QtipCpuRowBytes(rows.in_features, kBits);
  const int64_t tiles = rows.in_features / kQtipTileCols;
  int64_t totals[kQtipTileRows][3] = {};
  for (int64_t tile = 0; tile < tiles; tile += kSpanTiles) {
    MultiplySpan<kBits>(packed + tile / 2 * QtipCpuPairBytes(kBits),
                        std::min(kSpanTiles, tiles - tile), table, x.bytes + tile * kTileBytes,
                        totals);
  }
  // Every byte of a weight was 128 too large.
  const int64_t excess = 128 * x.sums[0], low_excess = 128 * x.sums[1];
  for (int i = 0; i < kQtipTileRows; ++i) {
    const auto& [high, middle, low] = totals[i];
    const int64_t sum =
        table.bytes_per_weight == 1
            ? 256 * (high - excess) + middle - low_excess
            : 65536 * (high - excess) + 256 * (middle - excess - low_excess) + low - low_excess;
    z[i] = static_cast<float>(static_cast<double>(sum) * (table.unit * x.unit));
  }
}

template <int kBits>
void MultiplyTileRows(const QtipCpuRows& rows, const QtipFixedTable& table,
                      std::span<const QtipFixedActivations> activations, int64_t out_features,
                      float* z) {
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    float* out = z + row * kQtipTileRows;
    for (const QtipFixedActivations& x : activations) {
      MultiplyTileRow<kBits>(rows, row, table, x, out);
      out += out_features;
    }
  }
}

float Largest(const float* u, int64_t count) {
  const hn::Full512<float> d;
  auto largest = hn::Zero(d);
  for (int64_t i = 0; i < count; i += 16) largest = hn::Max(largest, hn::Abs(hn::LoadU(d, u + i)));
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

void RoundActivations(const float* u, int64_t in_features, QtipFixedActivations& rounded) {
  const hn::Full512<float> d;
  const SumTag d32;
  const hn::Full128<int8_t> d8;
  const hn::Full128<uint64_t> d64;
  const float largest = Largest(u, in_features);
  rounded.unit = double{largest} / kQtipLargestFixed;
  const auto scale =
      hn::Set(d, largest > 0 ? static_cast<float>(kQtipLargestFixed / double{largest}) : 0.0f);
  HWY_ALIGN int32_t columns[kQtipTileCols];
  std::ranges::copy(kPairColumns, columns);
  const auto order = hn::SetTableIndices(d, columns);
  auto high_sum = hn::Zero(d32), low_sum = hn::Zero(d32);
  for (int64_t i = 0; i < in_features; i += kQtipTileCols) {
    const auto values =
        hn::NearestInt(hn::Mul(hn::TableLookupLanes(hn::LoadU(d, u + i), order), scale));
    const auto low = hn::ShiftRight<24>(hn::ShiftLeft<24>(values));
    const auto high = hn::ShiftRight<8>(hn::Sub(values, low));
    low_sum = hn::Add(low_sum, low);
    high_sum = hn::Add(high_sum, high);
    const auto high8 = hn::BitCast(d64, hn::DemoteTo(d8, high));
    const auto low8 = hn::BitCast(d64, hn::DemoteTo(d8, low));
    int8_t* to = rounded.bytes + 2 * i;
    hn::StoreU(hn::BitCast(d8, hn::InterleaveLower(high8, low8)), d8, to);
    hn::StoreU(hn::BitCast(d8, hn::InterleaveUpper(d64, high8, low8)), d8, to + kQtipTileCols);
  }
  rounded.sums[0] = hn::GetLane(hn::SumOfLanes(d32, high_sum));
  rounded.sums[1] = hn::GetLane(hn::SumOfLanes(d32, low_sum));
}

void MultiplyFixed(const QtipCpuRows& rows, const QtipFixedTable& table,
                   std::span<const QtipFixedActivations> activations, int64_t out_features,
                   float* z) {
  const auto multiply = [&](const auto& tile_rows) {
    tile_rows(rows, table, activations, out_features, z);
  };
  if (rows.spec.bits == 2) return multiply(MultiplyTileRows<2>);
  if (rows.spec.bits == 3) return multiply(MultiplyTileRows<3>);
  multiply(MultiplyTileRows<4>);
}

#else  // never called

void RoundActivations(const float*, int64_t, QtipFixedActivations&) {}
void MultiplyFixed(const QtipCpuRows&, const QtipFixedTable&, std::span<const QtipFixedActivations>,
                   int64_t, float*) {}

#endif  // QTIPD_HAVE_BYTE_LOOKUP

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(HasKernel);
HWY_EXPORT(RoundActivations);
HWY_EXPORT(MultiplyFixed);

namespace {

// An fp16 in units of its least bit.
int64_t Units(uint16_t half) { return std::lrint(std::ldexp(HalfToFloat(half), 24)); }

uint8_t Biased(int64_t number) { return static_cast<uint8_t>(number + 128); }

}  // namespace

void FillQtipFixedTable(std::span<const uint16_t> tlut, QtipFixedTable& table) {
  const int64_t step = QtipTableStep(tlut);
  int64_t largest = 0;
  for (const uint16_t half : tlut) largest = std::max(largest, std::abs(Units(half)));
  const bool is_narrow = step > 0;
  const double unit =
      is_narrow ? static_cast<double>(step) : static_cast<double>(largest) / kQtipLargestFixed;
  table.bytes_per_weight = is_narrow ? 1 : 2;
  table.unit = std::ldexp(unit, -24);
  for (int index = 0; index < kQtipLutEntries; ++index) {
    for (int f = 0; f < 2; ++f) {
      const int64_t value = std::llrint(static_cast<double>(Units(tlut[2 * index + f])) / unit);
      // A byte has no opposite of -128.
      const int64_t low = std::max<int64_t>(static_cast<int8_t>(value & 0xFF), -127);
      const int64_t high = (value - static_cast<int8_t>(value & 0xFF)) / 256;
      table.bytes[f][0][index] = Biased(is_narrow ? value : high);
      table.bytes[f][1][index] = Biased(low);
    }
  }
}

bool QtipCpuHasFixedKernel(const QtipCodeSpec& spec) {
  return QtipHasKernelLayout(spec) && HWY_DYNAMIC_DISPATCH(HasKernel)();
}

void QtipCpuRoundActivations(const float* u, int64_t in_features, QtipFixedActivations& rounded) {
  HWY_DYNAMIC_DISPATCH(RoundActivations)(u, in_features, rounded);
}

void QtipCpuMultiplyFixed(const QtipCpuRows& rows, const QtipFixedTable& table,
                          std::span<const QtipFixedActivations> activations, int64_t out_features,
                          float* z) {
  HWY_DYNAMIC_DISPATCH(MultiplyFixed)(rows, table, activations, out_features, z);
}

}  // namespace qtipd
#endif  // HWY_ONCE
