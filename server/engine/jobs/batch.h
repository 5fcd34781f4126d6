// The batch sizes that jobs take.
#ifndef QTIPD_SERVER_ENGINE_JOBS_BATCH_H_
#define QTIPD_SERVER_ENGINE_JOBS_BATCH_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/error.h"

namespace qtipd {

inline constexpr int64_t kMostBatch = 1024;

// Errors: InvalidArgument/BATCH_INVALID of `field`.
inline absl::Status CheckBatch(const std::string& field, int64_t batch) {
  if (batch >= 1 && batch <= kMostBatch) return absl::OkStatus();
  return InvalidField("BATCH_INVALID", field, std::to_string(batch),
                      "1 to " + std::to_string(kMostBatch));
}

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_BATCH_H_
