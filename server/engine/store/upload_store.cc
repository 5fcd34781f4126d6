#include "server/engine/store/upload_store.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/atomic_file.h"
#include "server/base/sha256.h"

namespace qtipd {

class UploadStore::Stream final : public UploadStream {
 public:
  Stream(UploadStore& store, AtomicFile file) : store_(store), file_(std::move(file)) {}

  absl::Status Write(std::span<const std::byte> chunk) override {
    bytes_ += chunk.size();
    if (bytes_ > store_.max_bytes_) {
      return FieldError(absl::StatusCode::kResourceExhausted, "UPLOAD_TOO_LARGE", "upload",
                        "more than " + std::to_string(bytes_ - 1) + " bytes",
                        "at most " + std::to_string(store_.max_bytes_) + " bytes");
    }
    hash_.Update(chunk);
    return file_.Write(chunk);
  }

  absl::StatusOr<std::string> Finish(const std::string& sha256) override {
    const std::string found = hash_.Finish();
    if (found != sha256) {
      return FieldError(absl::StatusCode::kDataLoss, "UPLOAD_HASH_MISMATCH", "sha256", sha256,
                        found + " (the SHA-256 of what arrived)");
    }
    return store_.Add(found, file_);
  }

 private:
  UploadStore& store_;
  AtomicFile file_;
  Sha256 hash_;
  uint64_t bytes_ = 0;
};

UploadStore::UploadStore(std::string directory, uint64_t max_bytes)
    : directory_(std::move(directory)), max_bytes_(max_bytes) {
  std::error_code ignored;  // what cannot be removed now will be at the next start
  for (const auto& entry : std::filesystem::directory_iterator(directory_, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("upload-") || name.starts_with(".tmp-")) unlink(entry.path().c_str());
  }
}

absl::StatusOr<std::unique_ptr<UploadStream>> UploadStore::Begin() {
  QTIPD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(directory_));
  return std::make_unique<Stream>(*this, std::move(file));
}

absl::StatusOr<std::string> UploadStore::Add(const std::string& sha256, AtomicFile& file) {
  std::lock_guard lock(mutex_);
  const std::string id = sha256 + "." + std::to_string(next_++);
  const std::string name = "upload-" + id;
  QTIPD_RETURN_IF_ERROR(file.CommitUnsynced(name));
  uploads_[id].path = directory_ + "/" + name;
  return id;
}

absl::StatusOr<std::string> UploadStore::Path(const std::string& upload_id) {
  std::lock_guard lock(mutex_);
  const auto found = uploads_.find(upload_id);
  if (found != uploads_.end()) return found->second.path;
  return FieldError(absl::StatusCode::kNotFound, "UPLOAD_NOT_FOUND", "upload_id", upload_id,
                    "the id of an upload that no operation has consumed");
}

std::shared_ptr<void> UploadStore::Hold(const std::string& upload_id) {
  {
    std::lock_guard lock(mutex_);
    const auto found = uploads_.find(upload_id);
    if (found == uploads_.end()) return nullptr;
    ++found->second.holders;
  }
  return std::shared_ptr<void>(
      this, [upload_id](void* store) { static_cast<UploadStore*>(store)->Release(upload_id); });
}

void UploadStore::Release(const std::string& upload_id) {
  std::lock_guard lock(mutex_);
  const auto found = uploads_.find(upload_id);
  if (--found->second.holders > 0) return;
  unlink(found->second.path.c_str());
  uploads_.erase(found);
}

std::string UploadStore::ContentOf(const std::string& upload_id) {
  return upload_id.substr(0, upload_id.find('.'));
}

}  // namespace qtipd
