// Decoding a layer on a GPU.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_DECODE_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_DECODE_H_

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/int4/int4_cuda_layout.h"

namespace qtipd {

// Of eight warps each; a measurement may vary it.
inline constexpr int kInt4DecodeBlocks = 1;

// w[out, in] = W of `dtype`, F16 (rounded once) or F32 (exact).
//   packed  layout.bytes(), 16-byte aligned     w  32-byte aligned, overwritten
// Enqueues on the device's stream; buffers must outlive the work; capturable.
absl::Status LaunchInt4Decode(const CudaDevice& device, Shape shape, const Int4CudaLayout& layout,
                              const void* packed, DType dtype, void* w,
                              int blocks_a_processor = kInt4DecodeBlocks);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_DECODE_H_
