// Look-up of floats by the low four bits of a lane: one instruction on AVX-512, which Highway
// offers for indices whose other bits are zero alone. Included after highway.h by sources that are
// compiled once per instruction set.
#if defined(QTIPD_KERNELS_CPU_SIMD_LANE_TABLE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QTIPD_KERNELS_CPU_SIMD_LANE_TABLE_INL_H_
#undef QTIPD_KERNELS_CPU_SIMD_LANE_TABLE_INL_H_
#else
#define QTIPD_KERNELS_CPU_SIMD_LANE_TABLE_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

// Whether LaneOfTable exists. Elsewhere sixteen floats take several vectors, and sources do better
// without a table.
#undef QTIPD_HAVE_LANE_TABLE
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
#define QTIPD_HAVE_LANE_TABLE 1
#else
#define QTIPD_HAVE_LANE_TABLE 0
#endif

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {

#if QTIPD_HAVE_LANE_TABLE
// Lane index[i] mod 16 of `table`, for every i.
HWY_INLINE hwy::HWY_NAMESPACE::Vec512<float> LaneOfTable(
    hwy::HWY_NAMESPACE::Vec512<float> table, hwy::HWY_NAMESPACE::Vec512<uint32_t> index) {
  return hwy::HWY_NAMESPACE::Vec512<float>{_mm512_permutexvar_ps(index.raw, table.raw)};
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#endif  // QTIPD_KERNELS_CPU_SIMD_LANE_TABLE_INL_H_
