// Files on their way in, staged until an operation consumes them.
#ifndef QTIPD_SERVER_ENGINE_STORE_UPLOAD_STORE_H_
#define QTIPD_SERVER_ENGINE_STORE_UPLOAD_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/engine.h"

namespace qtipd {

// Thread-safe. Uploads do not survive a restart.
class UploadStore {
 public:
  // Removes what an earlier daemon staged in `directory`, which exists.
  UploadStore(std::string directory, uint64_t max_bytes);

  absl::StatusOr<std::unique_ptr<UploadStream>> Begin();
  // The staged file. Errors: NotFound/UPLOAD_NOT_FOUND.
  absl::StatusOr<std::string> Path(const std::string& upload_id);
  // Keeps the file until the last holder is gone, which removes it; a mapping of it stays valid.
  // Unknown ids are ignored. The store outlives the holders.
  std::shared_ptr<void> Hold(const std::string& upload_id);
  // What an upload's bytes are, for deduplication: equal for equal files.
  static std::string ContentOf(const std::string& upload_id);

 private:
  class Stream;
  struct Upload {
    std::string path;
    int64_t holders = 0;
  };
  absl::StatusOr<std::string> Add(const std::string& sha256, class AtomicFile& file);
  void Release(const std::string& upload_id);

  const std::string directory_;
  const uint64_t max_bytes_;
  std::mutex mutex_;
  uint64_t next_ = 1;                      // guarded by mutex_
  std::map<std::string, Upload> uploads_;  // by id; guarded by mutex_
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_STORE_UPLOAD_STORE_H_
