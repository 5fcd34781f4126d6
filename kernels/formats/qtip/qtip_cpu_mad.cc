// Two forms. Where bytes are looked up in registers (AVX-512 VBMI), 64-bit lanes take the words of
// a row each, eight rows to a vector, and one instruction cuts two states out of every lane:
// columns 2 k and 2 k + 1 of eight rows. Elsewhere a vector is neighbouring columns of one row,
// gathered by a byte shuffle and shifted lane by lane; four rows at a time, so that sums stay in
// registers.
#define HWY_WANT_AVX3_DL 1
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_cpu_mad.cc"
#include "kernels/formats/qtip/qtip_cpu_mad.h"

#include <algorithm>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/cpu/simd/trellis_ops-inl.h"
#include "kernels/formats/qtip/qtip_code.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr uint32_t kFactor = Qtip1MadHash(1) - Qtip1MadHash(0);
constexpr uint32_t kAddend = Qtip1MadHash(0);

// y + `addend` of vectors of states.
template <class D>
HWY_INLINE hn::Vec<D> Sums(D df, hn::Vec<hn::RebindToUnsigned<D>> states, int addend) {
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  const auto hash = hn::Add(hn::Mul(states, hn::Set(du, kFactor)), hn::Set(du, kAddend));
  return hn::ConvertTo(df, SumOfBytes(di, hash, hn::Set(di, addend)));
}

#if QTIPD_HAVE_BYTE_LOOKUP

constexpr int64_t kBatchAtOnce = 4;
bool HasKernel(int64_t) { return true; }

constexpr int kParts = 2;  // rows 0 to 7, rows 8 to 15
constexpr int kPartRows = 8;
using FloatTag = hn::Full512<float>;
using WordTag = hn::Full512<uint16_t>;

// How the states of a tile at `kBits` are cut out of its words.
template <int kBits>
struct Cut {
  // Columns whose states end within 64 bits of the first one's beginning.
  static constexpr int kColumns = kBits <= 3 ? 16 : 8;
  static constexpr int kGroups = kQtipTileCols / kColumns;
  static constexpr int kPairs = kColumns / 2;

  HWY_INLINE Cut() {
    const hn::Full512<uint8_t> d8;
    for (int part = 0; part < kParts; ++part) {
      for (int group = 0; group < kGroups; ++group) {
        HWY_ALIGN uint16_t index[32];
        for (int i = 0; i < 32; ++i) {
          // Row, then the four words of its 64 bits, the last one lowest.
          const int row = part * kPartRows + i / 4;
          const int first = row * kBits + group * kColumns * kBits / 16;
          index[i] = static_cast<uint16_t>((first + 3 - i % 4) % (16 * kBits));
        }
        words[part][group] = hn::Load(WordTag(), index);
      }
    }
    for (int pair = 0; pair < kPairs; ++pair) {
      HWY_ALIGN uint8_t shift[64];
      for (int i = 0; i < 64; ++i) {
        const int column = 2 * pair + i / 4 % 2;
        shift[i] = static_cast<uint8_t>((48 - column * kBits + 8 * (i % 2)) % 64);
      }
      shifts[pair] = hn::Load(d8, shift);
    }
  }

  // The 64 bits from which group `group` of columns of rows `part` is cut.
  HWY_INLINE WordVec Lanes(const uint16_t* tile, int part, int group) const {
    const WordVec low = hn::LoadU(WordTag(), tile);
    if constexpr (kBits <= 2) return WordsOf(low, words[part][group]);
    return WordsOf(low, hn::LoadU(WordTag(), tile + 32), words[part][group]);
  }

  WordVec words[kParts][kGroups];
  ByteVec shifts[kPairs];
};

// z of kBatch vectors of activations and one tile row. Two chains of sums where there is but one
// vector, so that additions do not wait for each other.
template <int kBits, int kBatch>
HWY_INLINE void MultiplyTileRow(const Cut<kBits>& cut, const uint16_t* words, int64_t tiles,
                                const float* u, int64_t stride, int64_t out_features, float* z) {
  using C = Cut<kBits>;
  constexpr int kChains = kBatch == 1 ? 2 : 1;
  const FloatTag d;
  FloatVec sums[kParts][kBatch][kChains];
  for (auto& part : sums) {
    for (auto& of_vector : part) {
      for (auto& sum : of_vector) sum = hn::Zero(d);
    }
  }
  for (int64_t tile = 0; tile < tiles; ++tile, words += QtipTileWords(kBits), u += kQtipTileCols) {
    PrefetchStream(words);
    HWY_UNROLL(2)
    for (int group = 0; group < C::kGroups; ++group) {
      const WordVec lanes[kParts] = {cut.Lanes(words, 0, group), cut.Lanes(words, 1, group)};
      HWY_UNROLL(8)
      for (int pair = 0; pair < C::kPairs; ++pair) {
        HWY_UNROLL(2)
        for (int part = 0; part < kParts; ++part) {
          const FloatVec w = Sums(d, Windows64(lanes[part], cut.shifts[pair]), -kQtipMadMean);
          HWY_UNROLL(4)
          for (int b = 0; b < kBatch; ++b) {
            FloatVec& sum = sums[part][b][pair % kChains];
            sum =
                hn::MulAdd(w, BroadcastPair(u + b * stride + group * C::kColumns + 2 * pair), sum);
          }
        }
      }
    }
  }
  for (int part = 0; part < kParts; ++part) {
    for (int b = 0; b < kBatch; ++b) {
      const FloatVec sum = hn::Add(sums[part][b][0], sums[part][b][kChains - 1]);
      HWY_ALIGN float both[16];
      hn::Store(kChains == 1 ? sums[part][b][0] : sum, d, both);
      for (int row = 0; row < kPartRows; ++row) {
        z[b * out_features + part * kPartRows + row] =
            (both[2 * row] + both[2 * row + 1]) / kQtipMadDivisor;
      }
    }
  }
}

template <int kBits>
void MultiplyTileRows(const QtipCpuRows& rows, const float* u, int64_t batch, int64_t out_features,
                      float* z) {
  const Cut<kBits> cut;
  const int64_t tiles = rows.in_features / kQtipTileCols;
  const int64_t in = rows.in_features;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const auto* words =
        reinterpret_cast<const uint16_t*>(rows.packed) + row * tiles * QtipTileWords(kBits);
    float* out = z + row * kQtipTileRows;
    int64_t b = 0;
    for (; b + kBatchAtOnce <= batch; b += kBatchAtOnce) {
      MultiplyTileRow<kBits, kBatchAtOnce>(cut, words, tiles, u + b * in, in, out_features,
                                           out + b * out_features);
    }
    for (; b < batch; ++b) {
      MultiplyTileRow<kBits, 1>(cut, words, tiles, u + b * in, in, out_features,
                                out + b * out_features);
    }
  }
}

#elif HWY_TARGET == HWY_SCALAR

bool HasKernel(int64_t) { return false; }

template <int kBits>
void MultiplyTileRows(const QtipCpuRows&, const float*, int64_t, int64_t, float*) {}

#else

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
  return hn::RotateRight<16>(words);
}

template <int kColumn>
HWY_INLINE hn::Vec<RowSumTag> AddColumn(hn::Vec<RowTag> words, const float* u,
                                        hn::Vec<RowSumTag> sum) {
  const RowTag d;
  const RowSumTag df;
  auto states = hn::ShiftRight<16 - 2 * kColumn>(words);
  if constexpr (kColumn > 0) states = hn::And(states, hn::Set(d, 0xFFFFu));
  return hn::MulAdd(Sums(df, states, 0), hn::Set(df, u[kColumn]), sum);
}

// sum + 8 columns; `mean` is what 510 in place of the byte sums would have given, with its sign
// changed: few columns at a time, so that little is lost where the two cancel.
HWY_INLINE hn::Vec<RowSumTag> AddHalf(hn::Vec<RowTag> words, const float* u,
                                      hn::Vec<RowSumTag> mean, hn::Vec<RowSumTag> sum) {
  mean = AddColumn<0>(words, u, mean);
  mean = AddColumn<1>(words, u, mean);
  mean = AddColumn<2>(words, u, mean);
  mean = AddColumn<3>(words, u, mean);
  mean = AddColumn<4>(words, u, mean);
  mean = AddColumn<5>(words, u, mean);
  mean = AddColumn<6>(words, u, mean);
  return hn::Add(sum, AddColumn<7>(words, u, mean));
}

HWY_INLINE hn::Vec<RowSumTag> MeanOfHalf(const float* u) {
  const RowSumTag d;
  auto sum = hn::LoadU(d, u);
  for (size_t i = hn::Lanes(d); i < 8; i += hn::Lanes(d)) sum = hn::Add(sum, hn::LoadU(d, u + i));
  return hn::Mul(hn::SumOfLanes(d, sum), hn::Set(d, -static_cast<float>(kQtipMadMean)));
}

// z of 2 kLanes rows from `kRow` on.
template <int kRow>
HWY_INLINE void MultiplyByRows(const uint16_t* tile, int64_t tiles, const float* u, float* z) {
  const RowSumTag d;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(RowTag()));
  constexpr int kSecond = kRow + kLanes;
  constexpr bool kIsLast = kSecond + kLanes == kQtipTileRows;
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  for (int64_t i = 0; i < tiles; ++i, tile += QtipTileWords(2), u += kQtipTileCols) {
    const auto left = MeanOfHalf(u), right = MeanOfHalf(u + 8);
    sum0 = AddHalf(HalfRows<false>(tile, kRow, 0), u, left, sum0);
    sum1 = AddHalf(HalfRows<kIsLast>(tile, kSecond, 0), u, left, sum1);
    sum0 = AddHalf(HalfRows<false>(tile, kRow, 1), u + 8, right, sum0);
    sum1 = AddHalf(HalfRows<kIsLast>(tile, kSecond, 1), u + 8, right, sum1);
  }
  const auto divisor = hn::Set(d, kQtipMadDivisor);
  hn::StoreU(hn::Div(sum0, divisor), d, z + kRow);
  hn::StoreU(hn::Div(sum1, divisor), d, z + kSecond);
}

template <int kBits>
void MultiplyTileRows(const QtipCpuRows& rows, const float* u, int64_t /*batch*/,
                      int64_t /*out_features*/, float* z) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t tiles = rows.in_features / kQtipTileCols;
  HWY_ALIGN float sums[kQtipTileRows * hn::MaxLanes(FloatTag())];
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const auto* words =
        reinterpret_cast<const uint16_t*>(rows.packed) + row * tiles * QtipTileWords(kBits);
    if constexpr (kBits == 2) {
      MultiplyByRows<0>(words, tiles, u, z + row * kQtipTileRows);
      if constexpr (hn::MaxLanes(RowTag()) == 4) {
        MultiplyByRows<8>(words, tiles, u, z + row * kQtipTileRows);
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

#endif

void MultiplyMad(const QtipCpuRows& rows, const float* u, int64_t batch, int64_t out_features,
                 float* z) {
  if (rows.spec.bits == 1) return MultiplyTileRows<1>(rows, u, batch, out_features, z);
  if (rows.spec.bits == 2) return MultiplyTileRows<2>(rows, u, batch, out_features, z);
  if (rows.spec.bits == 3) return MultiplyTileRows<3>(rows, u, batch, out_features, z);
  MultiplyTileRows<4>(rows, u, batch, out_features, z);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(HasKernel);
HWY_EXPORT(MultiplyMad);

bool QtipCpuHasMadKernel(const QtipCodeSpec& spec, int64_t batch) {
  return spec.code == QtipCode::k1Mad && spec.state_bits == kQtipStateBits &&
         HWY_DYNAMIC_DISPATCH(HasKernel)(batch);
}

void QtipCpuMultiplyMad(const QtipCpuRows& rows, const float* u, int64_t batch,
                        int64_t out_features, float* z) {
  HWY_DYNAMIC_DISPATCH(MultiplyMad)(rows, u, batch, out_features, z);
}

}  // namespace qtipd
#endif  // HWY_ONCE
