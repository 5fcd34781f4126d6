// Models and Hessians as JSON text, for the history.
#ifndef QTIPD_SERVER_ENGINE_HISTORY_MODEL_JSON_H_
#define QTIPD_SERVER_ENGINE_HISTORY_MODEL_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/engine/types.h"

namespace qtipd {

// Lossless, but for bytes of a config that are no UTF-8. Errors: DataLoss/HISTORY_RECORD_DAMAGED.
std::string ModelToJson(const ModelRecord& model);
absl::StatusOr<ModelRecord> ModelFromJson(const std::string& text);
std::string HessianToJson(const HessianRecord& hessian);
absl::StatusOr<HessianRecord> HessianFromJson(const std::string& text);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HISTORY_MODEL_JSON_H_
