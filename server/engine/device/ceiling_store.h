// The ceilings of devices, measured once per boot of the host and kept over restarts of the daemon.
#ifndef QTIPD_SERVER_ENGINE_DEVICE_CEILING_STORE_H_
#define QTIPD_SERVER_ENGINE_DEVICE_CEILING_STORE_H_

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/device.h"

namespace qtipd {

// The file `ceiling.json` of a data directory. An entry is of one device (its uuid, or its name
// where it has none), one boot and one build; those of other boots and builds are dropped. A file
// that cannot be read counts as none: a ceiling can be measured again. Thread-safe.
class CeilingStore {
 public:
  // `boot_id` empty: unknown, nothing is kept on disk.
  CeilingStore(std::string directory, const std::string& boot_id, const std::string& build);

  std::optional<DeviceCeiling> Find(const DeviceInfo& device) const;
  // Errors: DISK_FULL, FILE_WRITE_FAILED; the ceiling is then known until the daemon ends.
  absl::Status Save(const DeviceInfo& device, const DeviceCeiling& ceiling);

 private:
  std::string Key(const DeviceInfo& device) const;

  const std::string directory_;
  const bool is_kept_;
  const std::string suffix_;  // of every key
  mutable std::mutex mutex_;
  std::map<std::string, DeviceCeiling> ceilings_;  // guarded by mutex_
};

// Of this boot of the host; empty where the system does not say.
std::string ReadBootId(const std::string& root = "");

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_DEVICE_CEILING_STORE_H_
