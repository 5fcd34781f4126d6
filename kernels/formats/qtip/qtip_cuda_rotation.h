// The rotations around the fused kernel: Hadamard transforms of activation vectors.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/formats/qtip/qtip_cuda_transform.h"

namespace qtipd {

// Activations are divided by it on the way in and multiplied on the way out, which keeps them in
// fp16's range; upstream's constant.
inline constexpr float kActivationGuard = 32;

// Blocks of one vector: `blocks` share it as a cluster, each with up to `local` elements in its
// memory. A function of the size alone, which has a HadamardOrder.
struct RotationConfig {
  int local = 0;
  int blocks = 0;
  int threads = 0;
};
RotationConfig ChooseRotationConfig(int64_t features);

// All: `batch` contiguous vectors of rotation.sides.features() elements, of which each shard is
// transformed by itself, fp32 and orthonormal. Sizes from 32 to 131072. Enqueue and return;
// capturable. In and out may not overlap. Errors:
// Unimplemented/SHAPE_UNSUPPORTED for shards of more than 16384 elements below compute capability
// 9.0, which lacks clusters.

// u = fp16(H^T (x * su) / kActivationGuard) for a transposed rotation: x, u fp16 [batch, features],
// su fp32 [features].
absl::Status LaunchInputRotation(const CudaDevice& device, const CudaRotation& rotation,
                                 int64_t batch, const void* x, const void* su, void* u);
// y = fp16(H z * sv * kActivationGuard): z fp32, y fp16 [batch, features], sv fp32 [features];
// where sv is null, y = fp16(H z).
absl::Status LaunchOutputRotation(const CudaDevice& device, const CudaRotation& rotation,
                                  int64_t batch, const void* z, const void* sv, void* y);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_H_
