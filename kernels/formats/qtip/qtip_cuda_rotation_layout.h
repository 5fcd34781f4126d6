// Sizes that the rotation kernels and the choice of their configuration share.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_LAYOUT_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_LAYOUT_H_

#include "kernels/api/host_device.h"

namespace qtipd {

inline constexpr int kStageBits =
    4;  // butterfly stages between two exchanges through shared memory
inline constexpr int kPerThread = 1 << kStageBits;
inline constexpr int kMaxClusterBlocks = 8;  // the largest portable cluster

// Floats of `local` elements of a vector in shared memory: one word of padding every 16, and a
// multiple of 16 bytes, since the scales that follow are loaded four at a time.
QTIPD_HOST_DEVICE constexpr int PaddedCount(int local) { return (local + local / 16 + 3) / 4 * 4; }

// qtip_cuda_rotation_order.cu: threads of a block, and floats between rows of a slice: 8 or 24
// modulo 32, so that four rows of two neighbouring groups of four positions lie in different banks.
inline constexpr int kOrderThreads = 512;
QTIPD_HOST_DEVICE constexpr int SliceStride(int slice) { return slice == 8 ? 8 : slice + 8; }

// qtip_cuda_rotation_rows.cu.
inline constexpr int kRowsThreads = 512;
inline constexpr int kRowsPositions = 8;  // of a thread
inline constexpr int kMaxRowSplits = 32;  // threads that share the columns of a sum
inline constexpr int kRowsScalePoints =
    2048;  // up to here the scales of four rows are loaded ahead

// Threads that share the columns of had_K for the same positions.
QTIPD_HOST_DEVICE constexpr int RowSplits(int points) {
  const int octets = points / kRowsPositions;
  const int splits = octets < kRowsThreads ? kRowsThreads / octets : 1;
  return splits < kMaxRowSplits ? splits : kMaxRowSplits;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_LAYOUT_H_
