// The files that requests name: uploads, and paths on the server under allowed directories.
#ifndef QTIPD_SERVER_ENGINE_INPUT_INPUT_FILES_H_
#define QTIPD_SERVER_ENGINE_INPUT_INPUT_FILES_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/io/checkpoint_directory.h"
#include "kernels/io/safetensors.h"
#include "server/engine/store/upload_store.h"
#include "server/engine/types.h"

namespace qtipd {

// Thread-safe; `uploads` outlives it.
class InputFiles {
 public:
  InputFiles(UploadStore& uploads, std::vector<std::string> allowed_directories);

  // The file to open for `source`. Errors: InvalidArgument/FILE_SOURCE_INVALID unless exactly one
  // of upload_id and server_path is set; UPLOAD_NOT_FOUND;
  // PermissionDenied/SERVER_PATH_NOT_ALLOWED; NotFound/FILE_NOT_FOUND.
  absl::StatusOr<std::string> Resolve(const FileSource& source);
  // The directory that a server path leads to; nothing for an upload and for a file. Errors: those
  // of Resolve but FILE_SOURCE_INVALID.
  absl::StatusOr<std::optional<std::string>> ResolveDirectory(const FileSource& source) const;
  // Reads a directory that ResolveDirectory returned; links in it may lead to allowed directories
  // alone. Errors: those of ReadCheckpointDirectory; SERVER_PATH_NOT_ALLOWED.
  absl::StatusOr<CheckpointDirectory> OpenDirectory(const std::string& directory) const;
  // Resolves and maps it. Errors: also those of ReadSafetensors, in which `display_name`, what the
  // user calls the file, stands for an upload's internal path.
  absl::StatusOr<SafetensorsFile> Open(const FileSource& source, const std::string& display_name);
  // Keeps an upload until the last holder is gone, which ends its life; a server path stays.
  std::shared_ptr<void> Hold(const FileSource& source);

 private:
  // The real path, of whatever kind.
  absl::StatusOr<std::string> ResolveAllowed(const std::string& path) const;
  absl::StatusOr<std::string> ResolveServerPath(const std::string& path) const;

  UploadStore& uploads_;
  const std::vector<std::string> allowed_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_INPUT_INPUT_FILES_H_
