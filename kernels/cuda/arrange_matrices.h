// Activations in the order in which matrix instructions of four warps read them from shared memory
// (ptx/warpgroup_mma.h), for any order of a format's columns.
#ifndef QTIPD_KERNELS_CUDA_ARRANGE_MATRICES_H_
#define QTIPD_KERNELS_CUDA_ARRANGE_MATRICES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/api/host_device.h"
#include "kernels/cuda/cuda_device.h"

namespace qtipd {

inline constexpr int kMatrixStepCols = 16;  // that a matrix instruction takes

// Bytes of the activations of one matrix instruction, of `vectors` of them.
QTIPD_HOST_DEVICE constexpr int MatrixStepBytes(int vectors) {
  return kMatrixStepCols * 2 * vectors;
}

// Which columns of W a matrix instruction multiplies: of every 64 columns, four instructions take
// 16 each. Of instruction s, lanes q = 0 to 3 of four have the pair of columns that begins at
// 64 (s / 4) + 2 (step[s % 4] + quarter q), and another one 2 half columns further.
struct MatrixColumns {
  int step[4];
  int half;
  int quarter;
};

// u fp16 [vectors, in_features], to `arranged` [instruction][t][h][g] 16 bytes: of vector 8 t + g,
// t below `columns` / 8, the pairs of lanes q = 0 to 3, of h = 1 those `half` further. As many
// instructions as `padded_features` columns have, a multiple of 64; columns from in_features on and
// vectors that do not exist are zeros. in_features is even, `vectors` at most `columns`, a multiple
// of 8. `u` is 4-byte, `arranged` 16-byte aligned, of MatrixStepBytes(columns) an instruction.
// Enqueues; capturable; overlaps the grid before until it reads.
absl::Status LaunchArrangeMatrices(const CudaDevice& device, const MatrixColumns& order,
                                   int64_t in_features, int64_t padded_features, int vectors,
                                   int columns, const void* u, void* arranged);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_ARRANGE_MATRICES_H_
