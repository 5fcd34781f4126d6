// What errors mean to a run.
#ifndef QTIPD_SERVER_ENGINE_JOBS_RUN_ERRORS_H_
#define QTIPD_SERVER_ENGINE_JOBS_RUN_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "kernels/api/error.h"

namespace qtipd {

// Cancelled or DEVICE_LOST: nothing that comes after could be measured.
inline bool IsEndOfRun(const absl::Status& status) {
  return absl::IsCancelled(status) || GetErrorInfo(status).reason == "DEVICE_LOST";
}

// "REASON: message", for a note on a result that exists all the same.
inline std::string ErrorText(const absl::Status& status) {
  return GetErrorInfo(status).reason + ": " + std::string(status.message());
}

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_RUN_ERRORS_H_
