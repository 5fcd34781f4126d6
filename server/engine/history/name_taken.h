// The errors of names that are taken, the same wherever that is noticed.
#ifndef QTIPD_SERVER_ENGINE_HISTORY_NAME_TAKEN_H_
#define QTIPD_SERVER_ENGINE_HISTORY_NAME_TAKEN_H_

#include <string>

#include "absl/status/status.h"

namespace qtipd {

// AlreadyExists/ARTIFACT_EXISTS, of an artefact and of a model.
absl::Status ArtifactExists(const std::string& name);
absl::Status ModelExists(const std::string& name);

// AlreadyExists/HESSIAN_EXISTS.
absl::Status HessianExists(const std::string& name);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HISTORY_NAME_TAKEN_H_
