// Holding a GPU's compute clock, and letting it go whatever happens.
#ifndef QTIPD_SERVER_TELEMETRY_CLOCK_LOCK_H_
#define QTIPD_SERVER_TELEMETRY_CLOCK_LOCK_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/telemetry/nvml_api.h"

namespace qtipd {

// Locks at the default application clock: the one that the driver chooses under load when nobody
// has set another. Locked there, a run has the clock of an undisturbed one, and only what the board
// cannot sustain (power, heat) still lowers it, which the clock events tell. The maximum would
// promise a clock that boards do not hold; a base clock would measure another device.
//
// The lock belongs to the driver and outlives the process. So a marker file is written before it
// and removed after it is undone; RestoreLockedClocks undoes what a killed process left.
// NVML does not tell a lock that somebody else made: ours replaces it, and undoing ours undoes it.
// Thread-safe; the destructor unlocks.
class ClockLock {
 public:
  // `uuid` names the marker, below `marker_directory`. `device_id` is for messages.
  ClockLock(std::shared_ptr<Nvml> nvml, NvmlDevice device, std::string device_id, std::string uuid,
            std::string marker_directory);
  ~ClockLock();

  // Idempotent. Errors: PermissionDenied/CLOCK_LOCK_NOT_PERMITTED; Unimplemented/
  // CLOCK_LOCK_UNSUPPORTED; Internal/CLOCK_LOCK_FAILED; those of AtomicFile.
  absl::Status Lock();
  absl::Status Unlock();

 private:
  absl::Status Failure(NvmlReturn result, const std::string& cure);

  const std::shared_ptr<Nvml> nvml_;
  const NvmlDevice device_;
  const std::string device_id_;
  const std::string uuid_;
  const std::string directory_;
  std::mutex mutex_;
  bool is_locked_ = false;  // guarded by mutex_
};

struct RestoredClocks {
  std::string uuid;
  absl::Status status;  // not OK: the clocks may still be locked, and the marker is kept
};

// The devices whose clocks a killed process left locked, by the markers in `directory`; no marker
// is touched.
std::vector<std::string> DevicesLeftLocked(const std::string& directory);

// What becomes of the marker of a lock that is undone.
enum class UndoneMarker {
  kRemove,
  // For a process whose own threads may lock again after the look: the next start looks again.
  kKeep,
};

// Undoes the lock of each of them.
std::vector<RestoredClocks> RestoreLockedClocks(Nvml& nvml, const std::string& directory,
                                                UndoneMarker marker = UndoneMarker::kRemove);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_CLOCK_LOCK_H_
