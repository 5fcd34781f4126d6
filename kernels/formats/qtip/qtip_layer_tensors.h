// Reads and checks single tensors of a QTIP layer; qtip_layer.cc puts the layer together.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYER_TENSORS_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYER_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"
#include "kernels/formats/qtip/qtip_layer.h"

namespace qtipd {

// The tensor `name`, owned by `tensors`. Errors: TENSOR_MISSING with the names there are.
absl::StatusOr<const HostTensor*> FindQtipTensor(const TensorMap& tensors, const std::string& name);

// Whether all tensors are among kQtipTensorNames. `prefix` comes before their names in errors.
// Errors: TENSOR_UNKNOWN.
absl::Status CheckQtipTensorNames(const TensorMap& tensors, const std::string& prefix = "");

// Whether a tensor has as many elements as its shape says. Errors: TENSOR_SHAPE_INVALID.
absl::Status CheckQtipTensorLength(const std::string& name, const HostTensor& tensor);

// A float tensor of `rank` dimensions as fp32; `allowed` describes its shape in errors.
// Errors: TENSOR_MISSING, TENSOR_DTYPE_UNSUPPORTED, TENSOR_SHAPE_INVALID, TENSOR_NOT_FINITE.
absl::StatusOr<std::vector<float>> ReadQtipReals(const TensorMap& tensors, const std::string& name,
                                                 size_t rank, const std::string& allowed);

// Code, state bits, weights a step and table size that `choice` and the shape of `tlut` agree on;
// `bits` is left as it is. Errors: CODE_REQUIRED, TENSOR_MISSING, TENSOR_SHAPE_INVALID,
// OPTION_INVALID.
absl::StatusOr<QtipCodeSpec> ReadQtipCode(const TensorMap& tensors, const QtipCodeChoice& choice);

// The values of `tlut` as fp16 bits, empty for a code without a table.
// Errors: those of ReadQtipReals.
absl::StatusOr<std::vector<uint16_t>> ReadQtipTlut(const TensorMap& tensors,
                                                   const QtipCodeSpec& spec);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYER_TENSORS_H_
