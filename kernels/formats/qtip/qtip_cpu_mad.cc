#define HWY_WANT_AVX3_DL 1
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_cpu_mad.cc"
#include "kernels/formats/qtip/qtip_cpu_mad.h"

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/formats/qtip/qtip_cpu_mad_rows-inl.h"
#include "kernels/formats/qtip/qtip_cpu_mad_windows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

bool HasKernel(int64_t) { return false; }

template <int kBits>
void MultiplyTileRows(const QtipCpuRows&, const float*, int64_t, int64_t, float*) {}

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
