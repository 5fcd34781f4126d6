// Operation records as google.longrunning.Operation (AIP-151).
#ifndef QTIPD_SERVER_SERVICE_OPERATION_CONVERSION_H_
#define QTIPD_SERVER_SERVICE_OPERATION_CONVERSION_H_

#include <string>

#include "absl/status/statusor.h"
#include "google/longrunning/operations.pb.h"
#include "server/engine/engine.h"
#include "server/engine/types.h"
#include "server/service/run_conversion.h"

namespace qtipd {

// Returns the operation with an OperationMetadata and, once done, its error or its response: a Run
// for a benchmark, a Profile for a profile, else an Artifact, read from `engine` now. A resource
// that was deleted since then is returned with its name (a run: its id) alone.
google::longrunning::Operation ToProto(const OperationRecord& record, Engine& engine,
                                       Samples samples);

// Takes the id out of "operations/<id>".
// Errors: InvalidArgument/OPERATION_NAME_INVALID.
absl::StatusOr<std::string> OperationId(const std::string& name);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SERVICE_OPERATION_CONVERSION_H_
