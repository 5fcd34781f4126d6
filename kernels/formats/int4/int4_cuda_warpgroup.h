// The fused kernel whose warps multiply four at a time: for batches above 8 where a
// multiprocessor has three or four row blocks, on compute capability 9.0.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_WARPGROUP_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_WARPGROUP_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/warpgroup_stream.h"
#include "kernels/formats/int4/int4_cuda_fused.h"

namespace qtipd {

static_assert(kInt4MostVectors == kStreamVectors);

inline constexpr int kInt4StreamSlots = 1;  // row blocks of a warp

// Word j multiplies columns 32 (j / 2) + 8 t + 4 (j % 2) + 0..3 of lane t.
inline constexpr MatrixColumns kInt4MatrixColumns = {
    .step = {0, 2, 16, 18}, .half = 1, .quarter = 4};

// Of the activations of one launch, arranged.
constexpr int64_t Int4ArrangedBytes(int64_t units) {
  return units * kInt4UnitCols / kMatrixStepCols * MatrixStepBytes(kStreamVectors);
}

// What one launch gets.
struct Int4StreamArguments {
  StreamArguments stream;
  void* z;
  int out_features;
  int vectors;       // valid ones, at most kStreamVectors
  bool is_half;      // scales
  bool writes_half;  // z
};

// Of kernels for 1, 2 or 4 scales a unit. `config` uses warpgroups.
template <int kScales>
absl::Status LaunchInt4StreamKernel(const CudaDevice& device, bool has_zeros,
                                    const Int4FusedConfig& config,
                                    const Int4StreamArguments& arguments);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_WARPGROUP_H_
