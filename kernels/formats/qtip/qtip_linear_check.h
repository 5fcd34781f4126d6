// One linear of a QTIP model against what the model's config says of it.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_LINEAR_CHECK_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_LINEAR_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/model_checkpoint.h"
#include "kernels/formats/qtip/qtip_model_config.h"

namespace qtipd {

// Checks dtypes and shapes of the linear's tensors, and the values of `rcp` and `tp_rank`; fills in
// its options, and `rcp` where it is missing in a model that is split. Errors: as PlanQtipModel.
absl::Status CheckQtipLinear(const QtipModelConfig& config, ModelLinear& linear);

// How tensor parallelism splits a decoder layer's projection ("q", "down"): its rcp, 1 by input
// features, 2 by output features. Nothing for what is no projection.
std::optional<int64_t> QtipSplitOf(const std::string& projection);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_LINEAR_CHECK_H_
