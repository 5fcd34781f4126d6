// Operations that decide the speed of decoding a trellis and that Highway 1.0 lacks: one
// instruction where the instruction set being compiled has it, the same from other operations where
// it does not. Included after highway.h by sources that are compiled once per instruction set;
// those that define HWY_WANT_AVX3_DL before it also get AVX-512 with VBMI, VBMI2 and VNNI.
#if defined(QTIPD_KERNELS_CPU_SIMD_TRELLIS_OPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QTIPD_KERNELS_CPU_SIMD_TRELLIS_OPS_INL_H_
#undef QTIPD_KERNELS_CPU_SIMD_TRELLIS_OPS_INL_H_
#else
#define QTIPD_KERNELS_CPU_SIMD_TRELLIS_OPS_INL_H_
#endif

#include <cstdint>

#include "hwy/cache_control.h"
#include "hwy/highway.h"

// Whether LookUp128, WordsOf, Windows64 and BroadcastHalf exist: they replace memory by registers,
// so that there is nothing to be gained from them where each is many instructions.
#undef QTIPD_HAVE_BYTE_LOOKUP
#if HWY_TARGET == HWY_AVX3_DL
#define QTIPD_HAVE_BYTE_LOOKUP 1
#else
#define QTIPD_HAVE_BYTE_LOOKUP 0
#endif

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {

// Asks for the weights that follow those at `stream` by a page: processors fetch ahead on their
// own, but not beyond the page that is being read.
HWY_INLINE void PrefetchStream(const void* stream) {
  constexpr int kPageBytes = 4096;
  hwy::Prefetch(static_cast<const char*>(stream) + kPageBytes);
}

// The upper halves of (high : low) << kBits, in lanes of 16 bits.
template <int kBits, class D, class V = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE V FunnelShiftLeft(D /*d*/, V high, V low) {
#if QTIPD_HAVE_BYTE_LOOKUP
  if constexpr (sizeof(V) == 64) return V{_mm512_shldi_epi16(high.raw, low.raw, kBits)};
#endif
  namespace hn = hwy::HWY_NAMESPACE;
  return hn::Or(hn::ShiftLeft<kBits>(high), hn::ShiftRight<16 - kBits>(low));
}

#if QTIPD_HAVE_BYTE_LOOKUP
// sum + the four products of each lane: bytes of `a` unsigned, bytes of `b` signed.
// In assembly, because Highway compiles this target without saying that it has VNNI, though it asks
// the processor for it.
HWY_INLINE hwy::HWY_NAMESPACE::Vec512<int32_t> DotBytes(hwy::HWY_NAMESPACE::Vec512<uint8_t> a,
                                                        hwy::HWY_NAMESPACE::Vec512<uint8_t> b,
                                                        hwy::HWY_NAMESPACE::Vec512<int32_t> sum) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
  return sum;
}
#endif

// The sum of the four bytes of each lane of `x`, plus `addend`.
template <class D, class V, class VI = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE VI SumOfBytes(D d, V x, VI addend) {
  namespace hn = hwy::HWY_NAMESPACE;
#if QTIPD_HAVE_BYTE_LOOKUP
  if constexpr (sizeof(V) == 64) {
    const hn::Full512<uint8_t> d8;
    return DotBytes(hn::BitCast(d8, x), hn::Vec512<uint8_t>{_mm512_set1_epi8(1)}, addend);
  }
#elif HWY_TARGET == HWY_AVX3
  if constexpr (sizeof(V) == 64) {
    const __m512i pairs = _mm512_maddubs_epi16(x.raw, _mm512_set1_epi8(1));
    return hn::Add(VI{_mm512_madd_epi16(pairs, _mm512_set1_epi16(1))}, addend);
  }
#endif
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  if constexpr (sizeof(V) == 32) {
    const __m256i pairs = _mm256_maddubs_epi16(x.raw, _mm256_set1_epi8(1));
    return hn::Add(VI{_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))}, addend);
  }
#elif HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
  if constexpr (sizeof(V) == 16) {
    const __m128i pairs = _mm_maddubs_epi16(x.raw, _mm_set1_epi8(1));
    return hn::Add(VI{_mm_madd_epi16(pairs, _mm_set1_epi16(1))}, addend);
  }
#elif HWY_TARGET == HWY_NEON
  if constexpr (sizeof(V) == 16) {
    const uint16x8_t pairs = vpaddlq_u8(vreinterpretq_u8_u32(x.raw));
    return VI{vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(addend.raw), pairs))};
  }
#endif
  const hn::RebindToUnsigned<D> du;
  const V odd_bytes = hn::Set(du, 0x00FF00FFu);
  const V pairs = hn::Add(hn::And(x, odd_bytes), hn::And(hn::ShiftRight<8>(x), odd_bytes));
  const V sum = hn::Add(hn::And(pairs, hn::Set(du, 0xFFFFu)), hn::ShiftRight<16>(pairs));
  return hn::Add(hn::BitCast(d, sum), addend);
}

// x times x in units of 2^-15, rounded, of lanes of 16 bits: -1 squared is 0x8000.
template <class D, class V = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<hwy::HWY_NAMESPACE::RebindToUnsigned<D>> SquareOfFractions(D d,
                                                                                              V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToUnsigned<D> du;
#if HWY_TARGET == HWY_SCALAR
  // Highway's own product overflows at -1.
  const int64_t square = int64_t{hn::GetLane(x)} * hn::GetLane(x);
  return hn::Set(du, static_cast<uint16_t>((2 * square + 0x8000) >> 16));
#else
  const V square = hn::MulFixedPoint15(x, x);
#if HWY_TARGET == HWY_NEON
  // The instruction stops at 0x7FFF; a mask of ones is -1.
  const auto is_least = hn::Eq(x, hn::Set(d, int16_t{-0x8000}));
  return hn::BitCast(du, hn::Sub(square, hn::VecFromMask(d, is_least)));
#else
  return hn::BitCast(du, square);
#endif
#endif
}

#if QTIPD_HAVE_BYTE_LOOKUP

using ByteVec = hwy::HWY_NAMESPACE::Vec512<uint8_t>;
using WordVec = hwy::HWY_NAMESPACE::Vec512<uint16_t>;
using LongVec = hwy::HWY_NAMESPACE::Vec512<uint32_t>;
using FloatVec = hwy::HWY_NAMESPACE::Vec512<float>;

// Byte index[i] mod 128 of the table (low, high), for every i.
HWY_INLINE ByteVec LookUp128(ByteVec low, ByteVec high, ByteVec index) {
  return ByteVec{_mm512_permutex2var_epi8(low.raw, index.raw, high.raw)};
}

// Word index[i] mod 64 of (low, high); mod 32 of `low`.
HWY_INLINE WordVec WordsOf(WordVec low, WordVec high, WordVec index) {
  return WordVec{_mm512_permutex2var_epi16(low.raw, index.raw, high.raw)};
}
HWY_INLINE WordVec WordsOf(WordVec low, WordVec index) {
  return WordVec{_mm512_permutexvar_epi16(index.raw, low.raw)};
}

// Byte index[i] mod 64 of `from`.
HWY_INLINE ByteVec BytesOf(ByteVec from, ByteVec index) {
  return ByteVec{_mm512_permutexvar_epi8(index.raw, from.raw)};
}

// The low two bytes of each 32-bit lane: eight bits from bit shift[i] mod 64 on of the 64-bit lane
// that byte i is in. The high two are zero.
HWY_INLINE LongVec Windows64(WordVec from, ByteVec shift) {
  constexpr uint64_t kLowBytes = 0x3333333333333333;
  return LongVec{_mm512_maskz_multishift_epi64_epi8(kLowBytes, shift.raw, from.raw)};
}

// Eight floats, twice; two floats, eight times; eight bytes, eight times.
HWY_INLINE FloatVec BroadcastHalf(const float* from) {
  return FloatVec{_mm512_broadcast_f32x8(_mm256_loadu_ps(from))};
}
HWY_INLINE FloatVec BroadcastPair(const float* from) {
  double pair;
  __builtin_memcpy(&pair, from, sizeof pair);
  return FloatVec{_mm512_castpd_ps(_mm512_set1_pd(pair))};
}

HWY_INLINE ByteVec BroadcastBytes(const int8_t* from) {
  int64_t eight;
  __builtin_memcpy(&eight, from, sizeof eight);
  return ByteVec{_mm512_set1_epi64(eight)};
}

#endif  // QTIPD_HAVE_BYTE_LOOKUP

}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#endif  // QTIPD_KERNELS_CPU_SIMD_TRELLIS_OPS_INL_H_
