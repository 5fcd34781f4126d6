// Models: the artefacts below a name, and what their format says of them together.
#ifndef QTIPD_SERVER_ENGINE_STORE_MODEL_STORE_H_
#define QTIPD_SERVER_ENGINE_STORE_MODEL_STORE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/registry.h"
#include "server/engine/history/history_store.h"
#include "server/engine/store/artifact_store.h"
#include "server/engine/types.h"

namespace qtipd {

// The name of a linear's artefact: the model's, a slash, the prefix without its final dot.
std::string LayerArtifactName(const std::string& model, const std::string& prefix);

// The model's layers, whether or not it was imported as one, with a config made for them. Maps the
// artefacts' files and reads little of them. Blocking.
// Errors: NotFound/MODEL_NOT_FOUND where no artefact's name begins with `name` and a slash;
// FailedPrecondition/MODEL_NOT_UNIFORM; ARTIFACT_FILE_DAMAGED.
absl::StatusOr<ModelView> ReadModel(const std::string& name, HistoryStore& history,
                                    const ArtifactStore& artifacts, const Registry& registry);

// Whether two texts of a config.json mean the same: equal, or equal as JSON.
bool IsSameConfig(const std::string& left, const std::string& right);

absl::Status ModelNotFound(const std::string& name);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_STORE_MODEL_STORE_H_
