// The fused kernel of format "lut" whose warps multiply four at a time: for batches above 8 and
// enough rows, on compute capability 9.0.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda/arrange_matrices.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/lut/lut_cuda_fused.h"

namespace qtipd {

inline constexpr int kLutWarpgroups = 4;          // of a block
inline constexpr int kLutWarpgroupMostSlots = 4;  // row blocks of a warp
inline constexpr int kLutWarpgroupRingSlots = 3;  // units of activations of a warpgroup
inline constexpr int kLutWarpgroupTiles = kLutMaxColumns / 8;
inline constexpr int kLutUnitSteps = kLutUnitCols / kMatrixStepCols;
inline constexpr int kLutUnitActivationBytes = kLutUnitSteps * MatrixStepBytes(kLutMaxColumns);

// Step t of a block multiplies columns 32 (t / 2) + 8 q + 4 (t % 2) + 0..3 of lane q.
inline constexpr MatrixColumns kLutMatrixColumns = {
    .step = {0, 2, 16, 18}, .half = 1, .quarter = 4};

// Of the activations of one launch, arranged.
QTIPD_HOST_DEVICE constexpr int64_t LutArrangedBytes(int64_t in_features) {
  return LutUnitsPerRow(in_features) * kLutUnitActivationBytes;
}

// Table, ring and its two barriers a slot, sums of four row blocks a slot.
QTIPD_HOST_DEVICE constexpr int LutWarpgroupSharedBytes(int bits, int slots) {
  const int table_entries = bits == 3 ? 64 : 256;
  return table_entries * kLutTableRow +
         kLutWarpgroups * kLutWarpgroupRingSlots * (kLutUnitActivationBytes + 2 * 8) +
         slots * 4 * kLutMaxColumns * kLutUnitRows * 4;
}

// `config` uses warpgroups; 1 to 4 bits, one codebook, no blocks of 32. arguments.u are arranged.
template <int kBits>
absl::Status LaunchLutWarpgroupBits(const CudaDevice& device, const LutFusedConfig& config,
                                    const LutFusedArguments& arguments);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_H_
