// Which tensors of a checkpoint make up one layer.
#ifndef QTIPD_CLIENT_LAYER_TENSORS_H_
#define QTIPD_CLIENT_LAYER_TENSORS_H_

#include <string>

#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"

namespace qtipd {

struct LayerTensors {
  std::string prefix;  // with its final dot; empty if all tensors were taken
  TensorMap tensors;   // full names; the bytes are shared with the file's
};

// The tensors whose names begin with `prefix`, which means a whole path component: "layers.1" takes
// "layers.1.trellis" and not "layers.10.trellis". An empty prefix takes all of them, and the daemon
// says whether they are one layer. `display_name` names the file in errors.
// Errors: NotFound/PREFIX_NOT_FOUND with near prefixes.
absl::StatusOr<LayerTensors> SelectLayer(const TensorMap& tensors, const std::string& prefix,
                                         const std::string& display_name);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_LAYER_TENSORS_H_
