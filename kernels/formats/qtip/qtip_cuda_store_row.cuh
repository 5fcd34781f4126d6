// Writing decoded rows of tiles to a row-major matrix.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_STORE_ROW_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_STORE_ROW_CUH_

#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

// A row of a tile is 16 columns, eight pairs in one lane; the lanes with q and q ^ 1 hold the same
// row of neighbouring tiles. They (`writing`: the lanes that call this) exchange halves, so that
// each store of the two writes 32 bytes side by side: a whole sector of the cache, where half
// sectors take the time of whole ones.
__device__ __forceinline__ void StoreRow(__half* row, const uint32_t (&pairs)[8],
                                         unsigned writing) {
  const bool is_odd = threadIdx.x % 2 != 0;
  uint32_t received[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    received[i] = __shfl_xor_sync(writing, is_odd ? pairs[i] : pairs[4 + i], 1);
  }
  // Even lane: its own low half, then the neighbour's; odd lane: the neighbour's high half, its
  // own.
  uint4 left;
  uint4 right;
  if (is_odd) {
    left = make_uint4(received[0], received[1], received[2], received[3]);
    right = make_uint4(pairs[4], pairs[5], pairs[6], pairs[7]);
  } else {
    left = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    right = make_uint4(received[0], received[1], received[2], received[3]);
  }
  __half* tile = row - (is_odd ? kQtipTileCols : 0);
  auto* to = reinterpret_cast<uint4*>(tile + (is_odd ? kQtipTileCols / 2 : 0));
  to[0] = left;
  to[kQtipTileCols / 8] = right;
}

__device__ __forceinline__ void StoreRow(float* row, const uint32_t (&pairs)[8], unsigned) {
#pragma unroll
  for (int i = 0; i < 8; i += 2) {
    const float2 a = __half22float2(*reinterpret_cast<const __half2*>(&pairs[i]));
    const float2 b = __half22float2(*reinterpret_cast<const __half2*>(&pairs[i + 1]));
    reinterpret_cast<float4*>(row)[i / 2] = make_float4(a.x, a.y, b.x, b.y);
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_STORE_ROW_CUH_
