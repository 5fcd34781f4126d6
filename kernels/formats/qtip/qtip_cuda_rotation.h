// The rotations around the fused kernel: Hadamard transforms of activation vectors.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/dtype.h"
#include "kernels/cuda/cuda_limits.h"
#include "kernels/formats/qtip/qtip_cuda_transform.h"

namespace qtipd {

// Activations are divided by it on the way in and multiplied on the way out, which keeps them in
// fp16's range; upstream's constant.
inline constexpr float kActivationGuard = 32;

// Describe: the rotations of one launch.
struct RotationProblem {
  int64_t size = 0;  // elements of a vector; it has a HadamardOrder
  int64_t vectors = 1;
  bool has_scales = false;  // an output rotation with SV
};

enum class RotationKernel {
  kStages,  // qtip_cuda_rotation.cu: powers of two
  kOrder,   // qtip_cuda_rotation_order.cu: a cluster shares a vector
  kRows,    // qtip_cuda_rotation_rows.cu: blocks of their own, each four rows of had_K
};

// Choose: how. A function of the problem and the device's limits alone.
struct RotationConfig {
  RotationKernel kernel = RotationKernel::kStages;
  int blocks = 0;             // of a vector; but for kRows a cluster
  int local = 0;              // elements in the memory of a block, at most
  int threads = 0;            // of a block
  bool keeps_scales = false;  // in shared memory
  size_t shared_bytes = 0;
  std::string ToString() const;
};

// Errors: Unimplemented/SHAPE_UNSUPPORTED for powers of two above 16384 below compute capability
// 9.0, which lacks clusters, and for sizes that no kernel has the shared memory for.
absl::StatusOr<RotationConfig> ChooseRotationConfig(const RotationProblem& problem,
                                                    const CudaLimits& limits);

// All: `batch` contiguous vectors of rotation.sides.features() elements, of which each shard is
// transformed by itself, fp32 and orthonormal. Sizes from 32 to 131072. Enqueue and return;
// capturable. In and out may not overlap. Errors: those of ChooseRotationConfig. With `As`: what is
// chosen for `as`, which may have less than `device`.

// `activations` is the dtype of x or y, F16 or BF16.

// u = fp16(H^T (x * su) / kActivationGuard) for a transposed rotation: x of `activations`, u fp16
// [batch, features], su fp32 [features].
absl::Status LaunchInputRotation(const CudaDevice& device, const CudaRotation& rotation,
                                 int64_t batch, const void* x, const void* su, void* u,
                                 DType activations = DType::kF16);
absl::Status LaunchInputRotationAs(const CudaDevice& device, const CudaLimits& as,
                                   const CudaRotation& rotation, int64_t batch, const void* x,
                                   const void* su, void* u, DType activations = DType::kF16);
// y = H z * sv * kActivationGuard, rounded once: z fp32, y of `activations` [batch, features], sv
// fp32 [features]; where sv is null, y = H z.
absl::Status LaunchOutputRotation(const CudaDevice& device, const CudaRotation& rotation,
                                  int64_t batch, const void* z, const void* sv, void* y,
                                  DType activations = DType::kF16);
absl::Status LaunchOutputRotationAs(const CudaDevice& device, const CudaLimits& as,
                                    const CudaRotation& rotation, int64_t batch, const void* z,
                                    const void* sv, void* y, DType activations = DType::kF16);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_H_
