// Where profiles come from: a process of its own, or a fake.
#ifndef QTIPD_SERVER_ENGINE_PROFILE_PROFILE_COLLECTOR_H_
#define QTIPD_SERVER_ENGINE_PROFILE_PROFILE_COLLECTOR_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/profiler/profile_protocol.h"

namespace qtipd {

// Thread-safe; both calls block until the answer is there.
class ProfileCollector {
 public:
  virtual ~ProfileCollector() = default;
  // `is_cancelled` is asked several times a second; empty: never. Errors: Cancelled;
  // PROFILER_HELPER_FAILED; the helper's own refusals.
  virtual absl::StatusOr<ProfileData> Collect(const ProfileTask& task,
                                              const std::function<bool()>& is_cancelled) = 0;
  virtual absl::StatusOr<MetricCatalogue> ReadCatalogue(
      const CatalogueTask& task, const std::function<bool()>& is_cancelled) = 0;
};

struct HelperConfig {
  std::string program;                    // qtip-profiler
  std::string cuda_module;                // libqtipd_cuda.so
  double timeout_seconds = 600;           // for a profile
  double catalogue_timeout_seconds = 30;  // somebody waits for it
};

// Starts the helper for every call and kills it with its children when the call is cancelled or
// takes longer than the time it has.
std::unique_ptr<ProfileCollector> MakeHelperCollector(HelperConfig config);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_PROFILE_PROFILE_COLLECTOR_H_
