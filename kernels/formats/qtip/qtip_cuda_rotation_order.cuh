// What the two kernels for sizes of an order K > 1 share.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_ORDER_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_ORDER_CUH_

#include "kernels/formats/qtip/qtip_cuda_rotation.cuh"

namespace qtipd {

struct OrderArguments : RotationArguments {
  const uint16_t* signs;  // PackHadamardSigns()
  int order;
  int points;  // features / order
};

// Stages [bit, bit + kStages) of `count` elements.
template <int kStages>
__device__ __forceinline__ void PartStages(float* part, int count, int bit) {
  constexpr int kSize = 1 << kStages;
  const int low_mask = (1 << bit) - 1;
  for (int item = threadIdx.x; item < count / kSize; item += blockDim.x) {
    const int base = ((item & ~low_mask) << kStages) | (item & low_mask);
    float v[kSize];
#pragma unroll
    for (int k = 0; k < kSize; ++k) v[k] = part[Padded(base + (k << bit))];
    Butterflies(v);
#pragma unroll
    for (int k = 0; k < kSize; ++k) part[Padded(base + (k << bit))] = v[k];
  }
}

// sums[r][p] += element (r, c) of had_K times v[p], for the four rows whose signs are the low bits
// of `word`.
__device__ __forceinline__ void AddSigned(uint32_t word, const float (&v)[8],
                                          float (&sums)[kSignBlock][8]) {
#pragma unroll
  for (int r = 0; r < kSignBlock; ++r) {
    const float sign = __uint_as_float(((word << (31 - r)) & 0x80000000u) | 0x3F800000u);
#pragma unroll
    for (int p = 0; p < 8; ++p) sums[r][p] = fmaf(sign, v[p], sums[r][p]);
  }
}

// Few vectors, or no room for more at once: qtip_cuda_rotation_rows.cu.
template <RotationKind kKind>
absl::Status LaunchRowsRotation(const CudaDevice& device, const RotationConfig& config,
                                const OrderArguments& args, int64_t vectors);
extern template absl::Status LaunchRowsRotation<RotationKind::kInput>(const CudaDevice&,
                                                                      const RotationConfig&,
                                                                      const OrderArguments&,
                                                                      int64_t);
extern template absl::Status LaunchRowsRotation<RotationKind::kUnscaled>(const CudaDevice&,
                                                                         const RotationConfig&,
                                                                         const OrderArguments&,
                                                                         int64_t);
extern template absl::Status LaunchRowsRotation<RotationKind::kOutput>(const CudaDevice&,
                                                                       const RotationConfig&,
                                                                       const OrderArguments&,
                                                                       int64_t);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_ORDER_CUH_
