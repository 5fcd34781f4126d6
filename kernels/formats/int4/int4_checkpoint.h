// Layers of GPTQ and AWQ checkpoints in, layers of GPTQ checkpoints out.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CHECKPOINT_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CHECKPOINT_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/formats/int4/int4_layer.h"

namespace qtipd {

// Tensors of an artefact and what they are.
struct Int4Checkpoint {
  Shape shape;
  Int4Spec spec;
  TensorMap tensors;
};

// Reads qweight, qzeros, scales and, where there is one, g_idx. Whether they are GPTQ's or AWQ's is
// told by the shape of qweight beside that of scales. GPTQ's codes and scales are taken over as
// they are, AWQ's codes are reordered. `given` are the options that the user stated:
//   checkpoint_format  how GPTQ's qzeros are meant; without it gptq, but gptq_v2 where all of them
//                      are 8. For AWQ, how they are to be kept; without it gptq_v2
//   group_size, symmetric, scale_dtype  must be those of the tensors
// Errors: TENSOR_MISSING, TENSOR_UNKNOWN, TENSOR_DTYPE_UNSUPPORTED, TENSOR_SHAPE_INVALID,
// TENSOR_NOT_FINITE, TENSOR_VALUE_INVALID, OPTION_INVALID, SHAPE_UNSUPPORTED;
// Unimplemented/LAYER_UNSUPPORTED for a bias and for a g_idx in another order (act-order).
absl::StatusOr<Int4Checkpoint> ReadInt4Checkpoint(const TensorMap& tensors,
                                                  const std::map<std::string, OptionValue>& given);

// What of that follows from names, types and shapes alone; returns whether the layer is AWQ's.
absl::StatusOr<bool> CheckInt4CheckpointShapes(const TensorMap& tensors,
                                               const std::map<std::string, OptionValue>& given);

// qweight, scales, qzeros (written for symmetric layers too) and g_idx, as GPTQ checkpoints have
// them.
TensorMap WriteInt4Checkpoint(const Int4Layer& layer, const TensorMap& tensors);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CHECKPOINT_H_
