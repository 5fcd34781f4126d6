#include "server/engine/history/name_taken.h"

#include "kernels/api/error.h"

namespace qtipd {
namespace {

absl::Status Taken(const char* reason, const std::string& name, const std::string& allowed) {
  return FieldError(absl::StatusCode::kAlreadyExists, reason, "name", name, allowed);
}

}  // namespace

absl::Status ArtifactExists(const std::string& name) {
  return Taken("ARTIFACT_EXISTS", name, "a name that no artifact has");
}

absl::Status ModelExists(const std::string& name) {
  return Taken("ARTIFACT_EXISTS", name,
               "a name that no model has, or if_absent to add to that one");
}

absl::Status HessianExists(const std::string& name) {
  return Taken("HESSIAN_EXISTS", name, "a name that no Hessian has, or to add to that one");
}

}  // namespace qtipd
