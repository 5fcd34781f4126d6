#include "server/engine/input/input_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/mapped_file.h"

namespace qtipd {
namespace {

namespace fs = std::filesystem;

// Whether `path` lies below `directory`; both free of symlinks and dots.
bool IsBelow(const fs::path& path, const fs::path& directory) {
  const auto [left, right] =
      std::mismatch(directory.begin(), directory.end(), path.begin(), path.end());
  return left == directory.end() && right != path.end();
}

}  // namespace

InputFiles::InputFiles(UploadStore& uploads, std::vector<std::string> allowed_directories)
    : uploads_(uploads), allowed_(std::move(allowed_directories)) {}

absl::StatusOr<std::string> InputFiles::Resolve(const FileSource& source) {
  if (source.upload_id.empty() == source.server_path.empty()) {
    return InvalidField("FILE_SOURCE_INVALID", "file",
                        source.upload_id.empty() ? "neither" : "both",
                        "exactly one of upload_id and server_path");
  }
  if (!source.upload_id.empty()) return uploads_.Path(source.upload_id);
  return ResolveServerPath(source.server_path);
}

absl::StatusOr<std::string> InputFiles::ResolveAllowed(const std::string& path) const {
  std::error_code error;
  // Resolves symlinks first, so that a link out of an allowed directory leads nowhere.
  const fs::path real = fs::weakly_canonical(path, error);
  const bool is_allowed =
      !error && fs::path(path).is_absolute() &&
      std::any_of(allowed_.begin(), allowed_.end(), [&](const std::string& directory) {
        std::error_code missing;
        const fs::path allowed = fs::canonical(directory, missing);
        return !missing && (IsBelow(real, allowed) || real == allowed);
      });
  if (!is_allowed) {
    std::string allowed;
    for (const std::string& directory : allowed_)
      allowed += (allowed.empty() ? "" : ", ") + directory;
    return FieldError(absl::StatusCode::kPermissionDenied, "SERVER_PATH_NOT_ALLOWED", "server_path",
                      path,
                      allowed.empty() ? "none: the daemon's configuration names no directories"
                                      : "an absolute path below " + allowed);
  }
  return real.string();
}

absl::StatusOr<std::string> InputFiles::ResolveServerPath(const std::string& path) const {
  QTIPD_ASSIGN_OR_RETURN(std::string real, ResolveAllowed(path));
  std::error_code error;
  if (fs::is_regular_file(real, error)) return real;
  return FieldError(absl::StatusCode::kNotFound, "FILE_NOT_FOUND", "server_path", path,
                    "a regular file that exists");
}

absl::StatusOr<std::optional<std::string>> InputFiles::ResolveDirectory(
    const FileSource& source) const {
  if (source.server_path.empty() || !source.upload_id.empty()) return std::optional<std::string>();
  QTIPD_ASSIGN_OR_RETURN(std::string real, ResolveAllowed(source.server_path));
  std::error_code error;
  if (!fs::is_directory(real, error)) return std::optional<std::string>();
  return std::optional(std::move(real));
}

absl::StatusOr<CheckpointDirectory> InputFiles::OpenDirectory(const std::string& directory) const {
  return ReadCheckpointDirectory(
      [&](const std::string& name) { return ResolveServerPath(directory + "/" + name); });
}

absl::StatusOr<SafetensorsFile> InputFiles::Open(const FileSource& source,
                                                 const std::string& display_name) {
  QTIPD_ASSIGN_OR_RETURN(const std::string path, Resolve(source));
  QTIPD_ASSIGN_OR_RETURN(const ReadOnlyFile file, ReadOnlyFile::Open(path));
  QTIPD_ASSIGN_OR_RETURN(const ReadOnlyFile::Mapping mapping, file.Map());
  std::string shown = display_name;
  if (shown.empty()) shown = source.server_path.empty() ? "the upload" : source.server_path;
  return ParseSafetensors(mapping.bytes, mapping.owner, shown);
}

std::shared_ptr<void> InputFiles::Hold(const FileSource& source) {
  return uploads_.Hold(source.upload_id);
}

}  // namespace qtipd
