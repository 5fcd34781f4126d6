// Accumulating a Hessian from activations.
#ifndef QTIPD_SERVER_ENGINE_JOBS_CALIBRATE_JOB_H_
#define QTIPD_SERVER_ENGINE_JOBS_CALIBRATE_JOB_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/jobs/job_context.h"
#include "server/engine/types.h"

namespace qtipd {

// Checks all of a request that does not need the file's content.
absl::Status CheckCalibrate(const CalibrateSpec& spec, const JobContext& context);

// Adds X^T X of the activations to nothing, or to the Hessian of that name. What is stored appears
// once it is complete. Returns the Hessian's name.
// Errors: TENSOR_NOT_FOUND, TENSOR_DTYPE_UNSUPPORTED, TENSOR_SHAPE_UNSUPPORTED, HESSIAN_SHAPE where
// the Hessian to add to has another width, NON_FINITE, and those of HessianStore.
absl::StatusOr<std::string> RunCalibrate(const CalibrateSpec& spec, const JobContext& context,
                                         Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_CALIBRATE_JOB_H_
