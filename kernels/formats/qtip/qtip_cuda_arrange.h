// Activations in the order in which the wide fused kernel loads them.
//
// One load of a warp is what one matrix instruction takes of B, for every eight vectors:
// consecutive bytes, where row-major activations would be eight rows, a cache line each. Of unit c,
// step j = 0 to 7 (half j / 4 of the unit, columns 2 i + {0, 1, 8, 9} of the lanes' tiles, i = j %
// 4):
//
//   [c][j][t / 2][lane] 16 bytes: of vector 8 t + g columns 2 i, + 1, + 8 and + 9, then those of
//                                 vector 8 (t + 1) + g; t even
//
// where lane = 4 g + q has tile 4 (j / 4) + q of the unit. Columns and vectors that do not exist
// are zeros.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ARRANGE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ARRANGE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_cuda_layout.h"

namespace qtipd {

inline constexpr int kUnitSteps = 8;  // matrix instructions that take a unit's columns, two at once

// Bytes that a warp loads for one step, of `columns` vectors: 16 or 32.
QTIPD_HOST_DEVICE constexpr int ArrangedStepBytes(int columns) { return 32 * columns; }
QTIPD_HOST_DEVICE constexpr int64_t ArrangedBytes(int64_t in_features, int columns) {
  return UnitsPerRow(in_features) * kUnitSteps * ArrangedStepBytes(columns);
}

// u fp16 [vectors, in_features], vectors at most `columns`, to `arranged`, ArrangedBytes(), 16-byte
// aligned. Enqueues; capturable; overlaps the grid before until it reads.
absl::Status LaunchArrange(const CudaDevice& device, int64_t in_features, int vectors, int columns,
                           const void* u, void* arranged);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ARRANGE_H_
