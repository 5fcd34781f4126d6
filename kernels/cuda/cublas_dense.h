// Dense multiplication by cuBLAS and cuBLASLt, whichever is faster for the shape on this GPU.
#ifndef QTIPD_KERNELS_CUDA_CUBLAS_DENSE_H_
#define QTIPD_KERNELS_CUDA_CUBLAS_DENSE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/cuda/cuda_device.h"

namespace qtipd {

// FP16 weights and activations, FP32 accumulation, F16 or F32 output. Times cuBLAS's own choice and
// cuBLASLt's first heuristics on weights that do not fit into L2, and keeps the fastest; all are in
// candidate_seconds(). Blocks for some milliseconds and allocates while it does.
absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareCublasDense(CudaDevice& device,
                                                                  const DenseProblem& problem);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUBLAS_DENSE_H_
