// A whole model's checkpoint, as formats see it.
#ifndef QTIPD_KERNELS_API_MODEL_CHECKPOINT_H_
#define QTIPD_KERNELS_API_MODEL_CHECKPOINT_H_

#include <map>
#include <string>
#include <vector>

#include "kernels/api/host_tensor.h"
#include "kernels/api/options.h"

namespace qtipd {

// What there is of a model directory.
struct ModelCheckpoint {
  std::string config;                       // text of its config.json
  TensorMap tensors;                        // full names; mapped, so that only what is read costs
  std::vector<std::string> absent_tensors;  // that the directory has and `tensors` has not
};

// One quantized linear of it.
struct ModelLinear {
  std::string prefix;                          // of its tensors, with the final dot
  TensorMap tensors;                           // names without the prefix
  std::map<std::string, OptionValue> options;  // for WeightFormat::Import
};

struct ModelPlan {
  std::vector<ModelLinear> linears;        // ordered by prefix
  std::vector<std::string> other_tensors;  // that belong to none of them, absent ones too
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_MODEL_CHECKPOINT_H_
