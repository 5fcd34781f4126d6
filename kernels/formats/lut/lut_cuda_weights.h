// A layer of format "lut" resident on a GPU.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WEIGHTS_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WEIGHTS_H_

#include <memory>
#include <vector>

#include "kernels/api/weight_format.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/lut/lut_cuda_layout.h"
#include "kernels/formats/lut/lut_layer.h"

namespace qtipd {

LutCudaLayout LutCudaLayoutOf(const LutSpec& spec, Shape shape);

// Bytes on the device of a layer with `copies` copies.
uint64_t LutCudaResidentBytes(const LutCudaLayout& layout, int copies);

// What the fused kernels look weights up in, layout.table_bytes(): see lut_cuda_layout.h.
std::vector<uint16_t> LutCudaTable(const LutCudaLayout& layout, const LutLayer& layer);

// Uploads `layer` and repacks it for the kernels. Blocks. Errors: DEVICE_MEMORY_EXHAUSTED.
absl::StatusOr<std::unique_ptr<ResidentWeights>> LoadLutOnCuda(CudaDevice& device,
                                                               const LutLayer& layer);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WEIGHTS_H_
