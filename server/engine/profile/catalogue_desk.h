// Where questions for a chip's metrics are asked, one at a time.
#ifndef QTIPD_SERVER_ENGINE_PROFILE_CATALOGUE_DESK_H_
#define QTIPD_SERVER_ENGINE_PROFILE_CATALOGUE_DESK_H_

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/engine/device/device_executor.h"
#include "server/engine/profile/profile_collector.h"

namespace qtipd {

// A question about a device opens that device, so it waits its turn there as every job does. The
// chip that the answer names is kept, and from then on asked for without the device. A CPU has no
// chip that could be asked for: its questions always wait. Thread-safe.
class CatalogueDesk {
 public:
  explicit CatalogueDesk(Clock& clock) : clock_(clock) {}

  // Answers `task` about its chip or, where `executor` is given, about that device. Blocks;
  // `is_cancelled` is asked several times a second, on the calling thread. `collector` and
  // `executor` outlive what is enqueued on the executor.
  // Errors: ResourceExhausted/CATALOGUE_BUSY where another question is being answered, or the
  // device worked on for 30 s; Cancelled/CANCELLED; those of DeviceExecutor::Enqueue and of
  // ProfileCollector::ReadCatalogue.
  absl::StatusOr<MetricCatalogue> Ask(ProfileCollector& collector, CatalogueTask task,
                                      DeviceExecutor* executor,
                                      const std::function<bool()>& is_cancelled);

 private:
  absl::StatusOr<MetricCatalogue> AskDevice(ProfileCollector& collector, const CatalogueTask& task,
                                            DeviceExecutor& executor,
                                            const std::function<bool()>& is_cancelled);
  std::string ChipOf(const std::string& device);
  void Learn(const DeviceInfo& info, const std::string& chip);

  Clock& clock_;
  std::mutex asking_;  // held while a question is asked
  std::mutex chips_mutex_;
  std::map<std::string, std::string> chips_;  // by device; guarded by chips_mutex_
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_PROFILE_CATALOGUE_DESK_H_
