// Checks of single tensors of a layer, each error naming the tensor.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_TENSORS_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_TENSORS_H_

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"

namespace qtipd {

// Elements of a tensor copied out of bytes that lie at any address.
inline uint32_t Int4TensorWord(const HostTensor& tensor, int64_t index) {
  uint32_t word;
  std::memcpy(&word, tensor.bytes().data() + index * sizeof(word), sizeof(word));
  return word;
}

// The tensor, or TENSOR_MISSING with those that there are.
absl::StatusOr<const HostTensor*> FindInt4Tensor(const TensorMap& tensors, const std::string& name);

// Whether all names are among `known`. Errors: TENSOR_UNKNOWN; LAYER_UNSUPPORTED for a bias.
absl::Status CheckInt4Names(const TensorMap& tensors,
                            std::initializer_list<std::string_view> known);

// A matrix of one of `dtypes`, both sides positive, with as many bytes as its shape says.
// `allowed_shape` is for the error. Errors: TENSOR_DTYPE_UNSUPPORTED, TENSOR_SHAPE_INVALID.
absl::Status CheckInt4Matrix(const std::string& name, const HostTensor& tensor,
                             std::initializer_list<DType> dtypes, const std::string& allowed_shape);

// Whether `tensor` has `shape`. Errors: TENSOR_SHAPE_INVALID.
absl::Status CheckInt4TensorShape(const std::string& name, const HostTensor& tensor,
                                  const std::vector<int64_t>& shape);

// Whether every scale is finite, and 16 times it too. Errors: TENSOR_NOT_FINITE,
// TENSOR_VALUE_INVALID.
absl::Status CheckInt4Scales(const HostTensor& scales);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_TENSORS_H_
