// Entries of a codebook for 16 or fewer indices at a time, included after highway.h by sources that
// are compiled once per instruction set.
#if defined(QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_LOOKUP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_LOOKUP_INL_H_
#undef QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_LOOKUP_INL_H_
#else
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_LOOKUP_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/cpu/simd/lane_table-inl.h"
#include "kernels/cpu/simd/trellis_ops-inl.h"
#include "kernels/formats/lut/lut_cpu_layout.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Bytes of 64 columns are looked up together only where a register holds 64.
template <int kBits>
using LutFloatTag = hn::CappedTag<float, kBits == 8 && !QTIPD_HAVE_BYTE_LOOKUP ? 8 : kLutLanes>;

// A table of 16 in registers: a permutation where a register holds 16 or 8, memory otherwise. Only
// the low bits of an index count, whatever the others are.
template <int kBits>
class LutTable16 {
 public:
  using D = LutFloatTag<kBits>;
  using V = hn::Vec<D>;
  using VI = hn::Vec<hn::RebindToUnsigned<D>>;

  // `table` is 16 fp16, see lut_cpu_layout.h.
  HWY_INLINE explicit LutTable16(const uint8_t* table) {
    const D d;
    const hn::Rebind<hwy::float16_t, D> d16;
    for (size_t i = 0; i < kLutLanes; i += hn::Lanes(d)) {
      const auto* half = reinterpret_cast<const hwy::float16_t*>(table) + i;
      hn::Store(hn::PromoteTo(d, hn::LoadU(d16, half)), d, values_ + i);
    }
#if QTIPD_HAVE_LANE_TABLE || HWY_TARGET == HWY_AVX2
    low_ = hn::Load(d, values_);
    high_ = hn::Load(d, values_ + kLutLanes - hn::Lanes(d));
#endif
  }

  HWY_INLINE V operator[](VI index) const {
#if QTIPD_HAVE_LANE_TABLE
    return LaneOfTable(low_, index);
#elif HWY_TARGET == HWY_AVX2
    const hn::Indices256<float> in_half{index.raw};
    const V low = hn::TableLookupLanes(low_, in_half);
    if (kBits <= 3) return low;
    // Bit 3 as the sign.
    const V is_high = hn::BitCast(D(), hn::ShiftLeft<28>(index));
    return hn::IfNegativeThenElse(is_high, hn::TableLookupLanes(high_, in_half), low);
#else
    const hn::RebindToSigned<D> di;
    return hn::GatherIndex(D(), values_, hn::And(hn::BitCast(di, index), hn::Set(di, 15)));
#endif
  }

 private:
  HWY_ALIGN float values_[kLutLanes];
#if QTIPD_HAVE_LANE_TABLE || HWY_TARGET == HWY_AVX2
  V low_;
  V high_;
#endif
};

// The indices of one row's chunk, field after field: Take(0), Take(1), ... in this order, in loops
// that are unrolled. Bits above an index are those of others.
template <int kBits>
class LutFields {
 public:
  using DI = hn::RebindToUnsigned<LutFloatTag<kBits>>;
  using VI = hn::Vec<DI>;

  // Of the lanes from `lane` on.
  HWY_INLINE LutFields(const uint8_t* chunk, size_t lane)
      : at_(reinterpret_cast<const uint32_t*>(chunk) + lane), word_(hn::Load(DI(), at_)) {}

  HWY_INLINE VI Take(int field) {
    if constexpr (kBits == 3) {
      if (field == 10) NextWord<0>();
      if (field == 20) NextWord<2>();
      if (field == 30) word_ = hn::Or(rest_, hn::ShiftLeft<4>(word_));
    }
    const VI index = word_;
    word_ = hn::ShiftRight<kBits>(word_);
    return index;
  }

 private:
  // Two bits are left of a word after ten fields of three.
  template <int kShift>
  HWY_INLINE void NextWord() {
    rest_ = kShift == 0 ? word_ : hn::Or(rest_, hn::ShiftLeft<kShift>(word_));
    at_ += kLutLanes;
    word_ = hn::Load(DI(), at_);
  }

  const uint32_t* at_;
  VI word_;
  VI rest_ = hn::Zero(DI());
};

}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_LOOKUP_INL_H_
