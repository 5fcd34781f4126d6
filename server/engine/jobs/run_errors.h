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

// The same with `prefix` before the field that it names; as it is where it names none.
inline absl::Status PrefixField(const absl::Status& status, const std::string& prefix) {
  const ErrorInfo info = GetErrorInfo(status);
  const auto field = info.metadata.find("field");
  const auto got = info.metadata.find("got");
  const auto allowed = info.metadata.find("allowed");
  const auto end = info.metadata.end();
  if (field == end || got == end || allowed == end) return status;
  return FieldError(status.code(), info.reason, prefix + field->second, got->second,
                    allowed->second);
}

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_RUN_ERRORS_H_
