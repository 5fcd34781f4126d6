// Reads what is to be quantized: W, and optionally a Hessian of its inputs.
#ifndef QTIPD_SERVER_ENGINE_INPUT_MATRIX_SOURCE_H_
#define QTIPD_SERVER_ENGINE_INPUT_MATRIX_SOURCE_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"
#include "kernels/api/weight_format.h"
#include "server/engine/input/float_array.h"
#include "server/engine/input/input_files.h"
#include "server/engine/store/hessian_store.h"
#include "server/engine/types.h"

namespace qtipd {

// The tensors that a TensorSource names, checked but not converted: cheap, the files are mapped.
struct SourceTensors {
  HostTensor weights;  // [out_features, in_features], F16, BF16 or F32
  Shape shape;
  HostTensor hessian;        // [n, n], or [n(n+1)/2] the lower triangle by rows; empty: none
  HostTensor hessian_mean;   // [n]; empty: none
  double hessian_scale = 1;  // what its values are to be multiplied by
  bool has_hessian = false;
};

// Finds and checks the tensors. A flattened Hessian's optional mean is the tensor beside it whose
// name ends in `mu`, as QTIP's Hessian files have it: H + mu mu^T is used.
// Errors: TENSOR_NOT_FOUND, TENSOR_DTYPE_UNSUPPORTED, TENSOR_SHAPE_UNSUPPORTED, HESSIAN_SHAPE,
// HESSIAN_NOT_FOUND, HESSIAN_FILE_DAMAGED, and those of InputFiles::Open.
absl::StatusOr<SourceTensors> OpenSource(InputFiles& files, HessianStore& hessians,
                                         const TensorSource& source);

// W in fp32, row-major. Errors: InvalidArgument/NON_FINITE naming tensor and first index;
// InvalidArgument/WEIGHTS_ALL_ZERO; Cancelled.
absl::StatusOr<FloatArray> ReadWeights(const SourceTensors& tensors, const std::string& tensor_name,
                                       const Progress& progress);

// H as [n, n] in fp32, mean folded in; empty where there is none. Takes no memory beside it.
// Errors: NON_FINITE, InvalidArgument/HESSIAN_NOT_SYMMETRIC, Cancelled.
absl::StatusOr<FloatArray> ReadHessian(const SourceTensors& tensors, const std::string& tensor_name,
                                       const Progress& progress);

// The weights of `source`, the same bytes everywhere; all cores. Errors: Cancelled.
absl::StatusOr<FloatArray> RandomWeights(const RandomSource& source, const Progress& progress);

// Some of the same weights again, unchecked: values[i] is element first + i.
void ReadWeightsAgain(const SourceTensors& tensors, int64_t first, std::span<float> values);
void RandomWeightsAgain(const RandomSource& source, int64_t first, std::span<float> values);

// Hash of everything in the source that determines the result; for recipes. Errors: Cancelled.
absl::StatusOr<std::string> ContentSha256(const SourceTensors& tensors, const Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_INPUT_MATRIX_SOURCE_H_
