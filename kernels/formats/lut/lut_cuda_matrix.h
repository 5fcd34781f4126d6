// Kernels over whole layers of format "lut" that no path times beside the multiply: repacking and
// decoding.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_MATRIX_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_MATRIX_H_

#include "absl/status/status.h"
#include "kernels/api/dtype.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/lut/lut_cuda_layout.h"

namespace qtipd {

// Brings the tensors of a layer into records.
//   indices  bytes [out_features, in_features * bits / 8], as in lut_spec.h
//   scales   16 bits [out_features, in_features / block]; not read without blocks
//   packed   layout.packed_bytes(), 16-byte aligned, overwritten
// All device memory. Enqueues on the device's stream.
absl::Status LaunchLutRepack(const CudaDevice& device, const LutCudaLayout& layout,
                             const void* indices, const void* scales, void* packed);

// Decodes W_hat [out_features, in_features], F16 (rounded once) or F32 (exact).
//   codebooks  fp16 [entries], or [out_features padded to row blocks][entries]
// By at most `blocks` blocks a multiprocessor. Enqueues on the device's stream; capturable.
inline constexpr int kLutDecodeBlocks = 2;
absl::Status LaunchLutDecode(const CudaDevice& device, const LutCudaLayout& layout,
                             const void* packed, const void* codebooks, DType dtype, void* w,
                             int blocks = kLutDecodeBlocks);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_MATRIX_H_
