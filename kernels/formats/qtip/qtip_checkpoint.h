// The linears of a whole QTIP model, found and checked before any of them is read.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CHECKPOINT_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CHECKPOINT_H_

#include "absl/status/statusor.h"
#include "kernels/api/model_checkpoint.h"

namespace qtipd {

// WeightFormat::PlanModel of this format; options are `code` and `bits`, and `state_bits` and
// `vector_dim` where they are not the code's defaults. Every tensor's dtype and
// shape is checked against `quip_params`, and of the data only `rcp` and `tp_rank` are read.
//
// Where `split_for_tp` is set and a linear lacks `rcp`, as a model has it that was fine-tuned as a
// whole, the tensor is added: 2 for q, k, v, gate and up, 1 for o and down.
//
// A linear's `bias` is among the plan's other tensors; any other tensor beside those of a layer is
// refused, since nobody knows what it changes.
//
// Errors, all naming the key or the tensor: TENSOR_UNKNOWN; MODEL_CONFIG_INVALID;
// MODEL_CONFIG_CONTRADICTS; MODEL_LAYER_UNQUANTIZED for a plain `weight` of a projection that the
// skip list does not name, and for a projection that other layers have quantized and one has not at
// all; TENSOR_MISSING, TENSOR_DTYPE_UNSUPPORTED, TENSOR_SHAPE_INVALID, TENSOR_VALUE_INVALID;
// NotFound/LAYER_NOT_FOUND where there is no quantized linear. Source: checkpoints relaxml/*-QTIP-*
// on Hugging Face.
absl::StatusOr<ModelPlan> PlanQtipModel(const ModelCheckpoint& checkpoint);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CHECKPOINT_H_
