// The dense baseline on a GPU: the faster of cuBLAS and cuBLASLt for one shape, by measurement.
#ifndef QTIPD_KERNELS_CUDA_CUBLAS_DENSE_H_
#define QTIPD_KERNELS_CUDA_CUBLAS_DENSE_H_

#include <memory>

#include "kernels/cuda/cuda_device.h"

namespace qtipd {

// F16 or BF16 in, FP32 accumulation, the same or F32 out. Candidates: cublasGemmEx with its own
// choice (at batch 1 also with the operands exchanged, which takes another kernel), and the first
// algorithms of cuBLASLt's heuristics for both orders. Each is timed in a graph that rotates over
// weight copies larger than the L2 cache; the fastest stays. Blocks, and takes about twice the L2's
// size of device memory while it does. Errors: InvalidArgument/DENSE_PROBLEM_INVALID.
absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareCublasDense(CudaDevice& device,
                                                                  const DenseProblem& problem);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUBLAS_DENSE_H_
