// Weights of `1mad` from states. Included by sources that are compiled once per instruction set.
#if defined(QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_HASH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_HASH_INL_H_
#undef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_HASH_INL_H_
#else
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_HASH_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/cpu/simd/trellis_ops-inl.h"
#include "kernels/formats/qtip/qtip_code.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {

constexpr uint32_t kFactor = Qtip1MadHash(1) - Qtip1MadHash(0);
constexpr uint32_t kAddend = Qtip1MadHash(0);

// y + `addend` of vectors of states.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> Sums(
    D df, hwy::HWY_NAMESPACE::Vec<hwy::HWY_NAMESPACE::RebindToUnsigned<D>> states, int addend) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  const auto hash = hn::Add(hn::Mul(states, hn::Set(du, kFactor)), hn::Set(du, kAddend));
  return hn::ConvertTo(df, SumOfBytes(di, hash, hn::Set(di, addend)));
}

}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_HASH_INL_H_
