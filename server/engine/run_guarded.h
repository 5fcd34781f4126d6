// Where a job's memory ends, the job ends and not the daemon.
#ifndef QTIPD_SERVER_ENGINE_RUN_GUARDED_H_
#define QTIPD_SERVER_ENGINE_RUN_GUARDED_H_

#include <new>

#include "absl/status/status.h"
#include "kernels/api/error.h"

namespace qtipd {

// What `job`, a callable that returns a Status or StatusOr, returns. Errors:
// ResourceExhausted/HOST_MEMORY_EXHAUSTED where the host has no memory left for it.
template <typename Job>
auto RunGuarded(const Job& job) -> decltype(job()) {
  try {
    return job();
  } catch (const std::bad_alloc&) {
    return MakeError(absl::StatusCode::kResourceExhausted, "HOST_MEMORY_EXHAUSTED",
                     "the host has too little memory free for this work");
  }
}

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_RUN_GUARDED_H_
