// Whole-layer kernels of the CUDA backend: the load-time repacking and the decoding to a matrix.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_MATRIX_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_MATRIX_H_

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_code.h"
#include "kernels/formats/qtip/qtip_cuda_layout.h"

namespace qtipd {

// Reorders a checkpoint's trellis (qtip_layout.h) into units (qtip_cuda_layout.h), both in device
// memory: QtipTrellisWords() * 2 and UnitLayerBytes() bytes. Enqueues.
absl::Status LaunchRepack(const CudaDevice& device, Shape shape, const QtipCodeSpec& spec,
                          const void* trellis, void* packed);

// W_trellis [out, in] row-major to `w`, 16-byte aligned, of `dtype` F16 (exact) or F32.
//   packed  units   table  [512] fp16 pairs
// Enqueues; capturable.
absl::Status LaunchDecode(const CudaDevice& device, Shape shape, int bits, const void* packed,
                          const void* table, DType dtype, void* w);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_MATRIX_H_
