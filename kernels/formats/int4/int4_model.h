// Whole models of GPTQ and AWQ: object `quantization_config` of their config.json.
//   quant_method       gptq or awq
//   bits               4
//   group_size         32, 64, 128 or -1
//   checkpoint_format  of GPTQ gptq (where there is none) or gptq_v2, of AWQ as version
//   version            of AWQ gemm (where there is none)
// Keys and values as https://huggingface.co/docs/transformers/main_classes/quantization and
// https://github.com/vllm-project/vllm/pull/26092 describe them.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_MODEL_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_MODEL_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/api/model_checkpoint.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Whether quant_method is gptq or awq.
bool IsInt4ModelConfig(const std::string& config);

// WeightFormat::PlanModel of this format. Looks at no tensor's data: whether a g_idx is in order is
// seen when its linear is imported.
// Errors: MODEL_CONFIG_INVALID naming the key; MODEL_CONFIG_CONTRADICTS where a linear is not of
// the method that it names; LAYER_NOT_FOUND; those of an import, naming the tensor.
absl::StatusOr<ModelPlan> PlanInt4Model(const ModelCheckpoint& checkpoint);

// WeightFormat::ModelConfig of this format: quantization_config of a GPTQ model, other keys left as
// they are. Errors: MODEL_CONFIG_INVALID; FailedPrecondition/MODEL_NOT_UNIFORM where layers differ
// in group_size or checkpoint_format.
absl::StatusOr<std::string> WriteInt4ModelConfig(const std::string& config,
                                                 const std::map<std::string, PackedLayer>& layers);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_MODEL_H_
