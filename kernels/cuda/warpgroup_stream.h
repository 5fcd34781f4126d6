// What a kernel of warpgroup_stream.cuh gets, and what it takes.
#ifndef QTIPD_KERNELS_CUDA_WARPGROUP_STREAM_H_
#define QTIPD_KERNELS_CUDA_WARPGROUP_STREAM_H_

#include "kernels/cuda/warpgroup_layout.h"

namespace qtipd {

inline constexpr int kStreamVectors = 16;
inline constexpr int kStreamTiles = kStreamVectors / 8;
inline constexpr int kStreamRingSlots = 3;

struct StreamArguments {
  const char* packed;       // records [row block][unit]
  const char* activations;  // arranged (arrange_matrices.h), of kStreamVectors
  int units;                // of a row block
  int chunk_rows;           // row blocks between two reductions
  // Block i owns row_quotient row blocks, and one more where i < row_remainder.
  int row_quotient;
  int row_remainder;
};

// Of units of `unit_cols` columns, behind `table_bytes`.
QTIPD_HOST_DEVICE constexpr int StreamSharedBytes(int table_bytes, int unit_cols, int slots) {
  const int record_bytes = unit_cols / kMatrixStepCols * MatrixStepBytes(kStreamVectors);
  return table_bytes + WarpgroupRingBytes(record_bytes, kStreamRingSlots) +
         WarpgroupSumsBytes(kStreamVectors, slots) + WarpgroupBarrierBytes(kStreamRingSlots);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_WARPGROUP_STREAM_H_
