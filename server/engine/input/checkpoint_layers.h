// The layers in a checkpoint's flat list of tensors.
#ifndef QTIPD_SERVER_ENGINE_INPUT_CHECKPOINT_LAYERS_H_
#define QTIPD_SERVER_ENGINE_INPUT_CHECKPOINT_LAYERS_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"
#include "kernels/api/registry.h"

namespace qtipd {

struct CheckpointLayer {
  std::string prefix;  // with its final dot, or empty
  TensorMap tensors;   // names without the prefix
  const WeightFormat* format = nullptr;
};

// Picks the layer `prefix` (its final dot may be left out), or, where it is empty, the only layer
// that a format recognises. `format` limits the choice to one format; empty: every format in order.
// Errors: FORMAT_UNKNOWN; NotFound/LAYER_NOT_FOUND and InvalidArgument/LAYER_AMBIGUOUS, both
// listing the prefixes there are.
absl::StatusOr<CheckpointLayer> FindLayer(const TensorMap& tensors, const std::string& prefix,
                                          const std::string& format, const Registry& registry);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_INPUT_CHECKPOINT_LAYERS_H_
