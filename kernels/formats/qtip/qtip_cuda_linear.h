// The whole linear of one vector in two or three kernels instead of three of which the first and
// the last wait for every element of the one before them.
//
//   input rotation    in every block of the fused kernel, while its first weights are on their way,
//                     where a warp keeps its activations (2048, 4096 and 8192 columns); else by
//                     itself
//   fused kernel      ends with the four stages of the output transform that lie within its row
//                     blocks, and writes z [16][row blocks]
//   output rotation   the stages between row blocks, and had_K: 16 transforms of a sixteenth of the
//                     elements, which need nothing of each other, in small blocks
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LINEAR_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LINEAR_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/cuda_limits.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"
#include "kernels/formats/qtip/qtip_cuda_transform.h"

namespace qtipd {

// Describe: one layer of code hyb.
struct LinearProblem {
  FusedProblem multiply;  // batch 1
  QtipRotation input;
  QtipRotation output;
  DType activations = DType::kF16;  // of x and y: F16 or BF16
};

// Choose: how. A function of the problem and the device's limits alone.
struct LinearConfig {
  // False: nothing below counts, the three steps run one by one.
  bool is_fused = false;
  bool rotates_input = false;  // in the fused kernel
  FusedConfig multiply;        // its shared memory holds the rotation too
  int finish_splits = 1;       // blocks of the output rotation that share the rows of had_K
  size_t finish_shared_bytes = 0;
  std::string ToString() const;
};
LinearConfig ChooseLinearConfig(const LinearProblem& problem, const CudaLimits& limits);

// What a layer's linear reads beside the vectors.
struct LinearWeights {
  const void* packed;
  const void* table;
  const CudaRotation& input;   // H^T going in
  const CudaRotation& output;  // H coming out
  const void* su;
  const void* sv;
};

// Launch: y = W x, x [in_features], y [out_features], of problem.activations; u fp16 [in_features]
// and z fp32 [out_features] are scratch. Of a configuration that is_fused. Enqueues; capturable.
absl::Status LaunchLinear(const CudaDevice& device, const LinearProblem& problem,
                          const LinearConfig& config, const LinearWeights& weights, const void* x,
                          void* u, void* z, void* y);

struct LinearArguments : FusedArguments {
  const void* x;    // null where u is rotated already
  const float* su;  // of x
  float factor;     // what the input transform multiplies by
  bool is_bf16;     // x; fp16 where it is not
};

template <int kBits>
absl::Status LaunchLinearBits(const CudaDevice& device, const FusedConfig& config,
                              const LinearArguments& arguments);
extern template absl::Status LaunchLinearBits<1>(const CudaDevice&, const FusedConfig&,
                                                 const LinearArguments&);
extern template absl::Status LaunchLinearBits<2>(const CudaDevice&, const FusedConfig&,
                                                 const LinearArguments&);
extern template absl::Status LaunchLinearBits<3>(const CudaDevice&, const FusedConfig&,
                                                 const LinearArguments&);
extern template absl::Status LaunchLinearBits<4>(const CudaDevice&, const FusedConfig&,
                                                 const LinearArguments&);

// The output rotation's last part.
struct FinishArguments {
  const float* z;  // [16][order * points]
  const float* scale;
  void* y;
  const uint16_t* signs;  // PackHadamardSigns()
  int order;
  int points;  // a power of two
  float factor;
  bool is_bf16;  // y; fp16 where it is not
};
absl::Status LaunchFinish(const CudaDevice& device, const LinearConfig& config,
                          const FinishArguments& arguments);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LINEAR_H_
