// The fused kernel of format "lut" whose warps multiply four at a time: for batches above 8 and
// enough rows, on compute capability 9.0.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/warpgroup_stream.h"
#include "kernels/formats/lut/lut_cuda_fused.h"

namespace qtipd {

static_assert(kLutMaxColumns == kStreamVectors);

// Up to here warps may have several row blocks.
inline constexpr int kLutBitsOfSeveralSlots = 2;

// Step t of a block multiplies columns 32 (t / 2) + 8 q + 4 (t % 2) + 0..3 of lane q.
inline constexpr MatrixColumns kLutMatrixColumns = {
    .step = {0, 2, 16, 18}, .half = 1, .quarter = 4};

// Of the activations of one launch, arranged.
QTIPD_HOST_DEVICE constexpr int64_t LutArrangedBytes(int64_t in_features) {
  return LutUnitsPerRow(in_features) * kLutUnitCols / kMatrixStepCols *
         MatrixStepBytes(kStreamVectors);
}

// `config` uses warpgroups; 1 to 4 bits, one codebook, no blocks of 32. arguments.u are arranged.
template <int kBits>
absl::Status LaunchLutWarpgroupBits(const CudaDevice& device, const LutFusedConfig& config,
                                    const LutFusedArguments& arguments);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_H_
