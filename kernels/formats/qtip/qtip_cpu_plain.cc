#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_cpu_plain.cc"
#include "kernels/formats/qtip/qtip_cpu_plain.h"

#include <algorithm>
#include <cstring>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using StateTag = hn::CappedTag<uint32_t, kQtipTileCols>;
using States = hn::Vec<StateTag>;
using WeightTag = hn::Rebind<float, StateTag>;
using Weights = hn::Vec<WeightTag>;

// The states of a row from the 16 bytes at `row`, `first` on.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE States RowStates(const QtipPlainWindows& windows, const uint8_t* row, size_t first) {
  uint32_t bits = 0;
  for (int i = 3; i >= 0; --i) bits = bits << 8 | row[windows.pattern[first][i]];
  return hn::Set(StateTag(), bits >> windows.shift[first] & windows.mask);
}
#else
HWY_INLINE States RowStates(const QtipPlainWindows& windows, const uint8_t* row, size_t first) {
  const StateTag d;
  const hn::Repartition<uint8_t, StateTag> d8;
  const auto pattern = hn::Load(d8, windows.pattern[first]);
  const auto bits = hn::BitCast(d, hn::TableLookupBytes(hn::LoadDup128(d8, row), pattern));
  return hn::And(hn::Shr(bits, hn::Load(d, windows.shift + first)), hn::Set(d, windows.mask));
}
#endif

// y / kQtipMadDivisor, correctly rounded: with a fused multiply-add the quotient's error is known
// exactly and corrected.
HWY_INLINE Weights DivideByMadDivisor(Weights y) {
  const WeightTag d;
#if HWY_NATIVE_FMA
  const Weights reciprocal = hn::Set(d, 1.0f / kQtipMadDivisor);
  const Weights quotient = hn::Mul(y, reciprocal);
  const Weights rest = hn::NegMulAdd(quotient, hn::Set(d, kQtipMadDivisor), y);
  return hn::MulAdd(rest, reciprocal, quotient);
#else
  return hn::Div(y, hn::Set(d, kQtipMadDivisor));
#endif
}

struct OneMad {
  const float* table;
  Weights operator()(States state) const {
    const StateTag d;
    const States x = hn::Add(hn::Mul(state, hn::Set(d, 34038481u)), hn::Set(d, 76625530u));
    const States odd_bytes = hn::Set(d, 0x00FF00FFu);
    const States pairs = hn::Add(hn::And(x, odd_bytes), hn::And(hn::ShiftRight<8>(x), odd_bytes));
    const States sum = hn::Add(hn::And(pairs, hn::Set(d, 0xFFFFu)), hn::ShiftRight<16>(pairs));
    const hn::RebindToSigned<StateTag> signed_tag;
    const auto centred = hn::Sub(hn::BitCast(signed_tag, sum), hn::Set(signed_tag, kQtipMadMean));
    return DivideByMadDivisor(hn::ConvertTo(WeightTag(), centred));
  }
};

struct ThreeInst {
  const float* table;
  // The fp16 of bits 30..16 and the sign in bit 31 of `halves`, neither subnormal nor infinite, as
  // fp32.
  static Weights Widen(States halves) {
    const StateTag d;
    const States magnitude = hn::Add(hn::ShiftRight<3>(hn::And(halves, hn::Set(d, 0x7FFF0000u))),
                                     hn::Set(d, 0x38000000u));
    const States sign = hn::And(halves, hn::Set(d, 0x80000000u));
    return hn::BitCast(WeightTag(), hn::Or(magnitude, sign));
  }
  // Rounds to the 11 significant bits of an fp16, ties to even. The sum of two such halves is 0 or
  // at least 2^-13, so never a subnormal fp16.
  static Weights RoundToHalf(Weights sum) {
    const StateTag d;
    const States bits = hn::BitCast(d, sum);
    const States odd = hn::And(hn::ShiftRight<13>(bits), hn::Set(d, 1u));
    const States rounded = hn::Add(hn::Add(bits, hn::Set(d, 0xFFFu)), odd);
    return hn::BitCast(WeightTag(), hn::And(rounded, hn::Set(d, ~0x1FFFu)));
  }
  Weights operator()(States state) const {
    const StateTag d;
    const States x = hn::Add(hn::Mul(state, hn::Set(d, 89226354u)), hn::Set(d, 64248484u));
    const States halves = hn::Xor(hn::And(x, hn::Set(d, 0x8FFF8FFFu)), hn::Set(d, 0x3B603B60u));
    return RoundToHalf(hn::Add(Widen(halves), Widen(hn::ShiftLeft<16>(halves))));
  }
};

struct FromTable {
  const float* table;
  Weights operator()(States state) const {
    const hn::RebindToSigned<StateTag> signed_tag;
    return hn::GatherIndex(WeightTag(), table, hn::BitCast(signed_tag, state));
  }
};

template <class Code>
HWY_INLINE void DecodeSingles(const QtipPlainWindows& windows, const Code& code, const uint8_t* row,
                              float* weights) {
  for (size_t first = 0; first < kQtipTileCols; first += hn::Lanes(StateTag())) {
    hn::Store(code(RowStates(windows, row, first)), WeightTag(), weights + first);
  }
}

HWY_INLINE void DecodePairs(const QtipPlainWindows& windows, const float* table, const uint8_t* row,
                            float* weights) {
  alignas(64) uint32_t states[kQtipTileCols];
  for (size_t first = 0; first < kQtipTileCols / 2; first += hn::Lanes(StateTag())) {
    hn::Store(RowStates(windows, row, first), StateTag(), states + first);
  }
  for (int i = 0; i < kQtipTileCols / 2; ++i) {
    std::memcpy(weights + 2 * i, table + 2 * states[i], 2 * sizeof(float));
  }
}

template <class DecodeRow>
HWY_INLINE void DecodeTiles(int bits, const uint16_t* words, int64_t tiles, float* block,
                            int64_t stride, const DecodeRow& decode_row) {
  // A tile, its first word again behind the last, and room to load 16 bytes anywhere in it.
  uint16_t circle[QtipTileWords(kQtipMaxBits) + 8] = {};
  for (int64_t tile = 0; tile < tiles; ++tile, words += QtipTileWords(bits)) {
    std::copy_n(words, QtipTileWords(bits), circle);
    circle[QtipTileWords(bits)] = words[0];
    for (int row = 0; row < kQtipTileRows; ++row) {
      decode_row(reinterpret_cast<const uint8_t*>(circle + row * bits),
                 block + row * stride + tile * kQtipTileCols);
    }
  }
}

void DecodePlain(const QtipCodeSpec& spec, const QtipPlainWindows& windows, const float* table,
                 const uint16_t* words, int64_t tiles, float* block, int64_t stride) {
  const auto decode_with = [&](const auto& decode_row) HWY_ATTR {
    DecodeTiles(spec.bits, words, tiles, block, stride, decode_row);
  };
  const auto singles = [&](const auto& code) HWY_ATTR {
    decode_with([&](const uint8_t* row, float* weights)
                    HWY_ATTR { DecodeSingles(windows, code, row, weights); });
  };
  if (spec.code == QtipCode::k1Mad) return singles(OneMad{table});
  if (spec.code == QtipCode::k3Inst) return singles(ThreeInst{table});
  if (spec.vector_dim == 1) return singles(FromTable{table});
  decode_with([&](const uint8_t* row, float* weights)
                  HWY_ATTR { DecodePairs(windows, table, row, weights); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(DecodePlain);

QtipPlainWindows MakeQtipPlainWindows(const QtipCodeSpec& spec) {
  QtipPlainWindows windows{};
  windows.mask = (uint32_t{1} << spec.state_bits) - 1;
  for (int i = 0; i < kQtipTileCols / spec.vector_dim; ++i) {
    const int offset = i * spec.step_bits();
    const auto word = static_cast<uint8_t>(offset / 16);
    // Little-endian: the word that holds the later bits comes first.
    const uint8_t bytes[4] = {static_cast<uint8_t>(2 * word + 2),
                              static_cast<uint8_t>(2 * word + 3), static_cast<uint8_t>(2 * word),
                              static_cast<uint8_t>(2 * word + 1)};
    std::copy_n(bytes, 4, windows.pattern[i]);
    windows.shift[i] = 32 - offset % 16 - spec.state_bits;
  }
  return windows;
}

void QtipCpuDecodePlain(const QtipCodeSpec& spec, const QtipPlainWindows& windows,
                        const float* table, const uint16_t* words, int64_t tiles, float* block,
                        int64_t stride) {
  HWY_DYNAMIC_DISPATCH(DecodePlain)(spec, windows, table, words, tiles, block, stride);
}

}  // namespace qtipd
#endif  // HWY_ONCE
