#include "client/model_directory.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <system_error>
#include <utility>

#include "client/layer_tensors.h"
#include "client/transfer.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/safetensors.h"
#include "server/base/atomic_file.h"

namespace qtipd {
namespace {

namespace fs = std::filesystem;

absl::Status NotWritable(const std::string& path, const std::string& why) {
  return FieldError(absl::StatusCode::kFailedPrecondition, "FILE_NOT_WRITABLE", "directory",
                    path + " (" + why + ")", "a new name in a directory that can be written");
}

// A directory beside the final one that takes its name at the end, or goes.
class NewDirectory {
 public:
  static absl::StatusOr<NewDirectory> Create(const std::string& path) {
    std::error_code error;
    const bool is_free = !fs::exists(path, error) ||
                         (fs::is_directory(path, error) && fs::is_empty(path, error) && !error);
    if (!is_free) {
      return FieldError(absl::StatusCode::kAlreadyExists, "FILE_EXISTS", "directory", path,
                        "a path that does not exist, or an empty directory");
    }
    const fs::path target = fs::path(path).lexically_normal();
    const fs::path place = target.has_filename() ? target : target.parent_path();
    const fs::path parent = place.has_parent_path() ? place.parent_path() : ".";
    std::string made = parent / (".tmp-" + place.filename().string() + "-XXXXXX");
    if (mkdtemp(made.data()) == nullptr) return NotWritable(path, std::strerror(errno));
    return NewDirectory(place.string(), std::move(made));
  }
  NewDirectory(NewDirectory&& other) noexcept
      : target_(std::move(other.target_)), path_(std::exchange(other.path_, "")) {}
  NewDirectory& operator=(NewDirectory&&) = delete;
  ~NewDirectory() {
    std::error_code ignored;  // what cannot be removed is seen by its name
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  absl::Status Commit() {
    QTIPD_RETURN_IF_ERROR(SyncDirectory(path_));
    std::error_code error;
    // mkdtemp's mode is for its owner alone.
    fs::permissions(path_,
                    fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                        fs::perms::others_read | fs::perms::others_exec,
                    error);
    fs::rename(path_, target_, error);
    if (error) return NotWritable(target_, error.message());
    path_.clear();
    return absl::OkStatus();
  }

 private:
  NewDirectory(std::string target, std::string path)
      : target_(std::move(target)), path_(std::move(path)) {}
  std::string target_;
  std::string path_;
};

absl::Status WriteFile(const std::string& directory, const std::string& name,
                       const std::string& text) {
  QTIPD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(directory));
  QTIPD_RETURN_IF_ERROR(file.Write(std::as_bytes(std::span(text))));
  return file.Commit(name);
}

class ModelWriter {
 public:
  ModelWriter(Session& session, Connection& connection, const v1::Model& model,
              const std::string& directory, const InterruptScope& interrupt)
      : session_(session),
        connection_(connection),
        model_(model),
        directory_(directory),
        interrupt_(interrupt) {}

  absl::Status Write(uint64_t shard_bytes) {
    std::vector<uint64_t> sizes;
    for (const v1::ModelLayer& layer : model_.layers()) sizes.push_back(layer.packed_bytes());
    const std::vector<int> shards = CutIntoShards(sizes, shard_bytes);
    const auto count = static_cast<int>(shards.size());
    int first = 0;
    for (int shard = 0; shard < count; ++shard) {
      const std::string name = count == 1 ? kSingleTensorFile : ShardFileName(shard + 1, count);
      QTIPD_RETURN_IF_ERROR(WriteShard(name, first, first + shards[shard]));
      first += shards[shard];
    }
    if (count > 1) {
      QTIPD_RETURN_IF_ERROR(WriteText(kTensorIndexFile, TensorIndexText(index_, tensor_bytes_)));
    }
    return WriteText(kConfigFile, model_.config());
  }
  const std::vector<std::string>& files() const { return files_; }
  uint64_t tensor_bytes() const { return tensor_bytes_; }

 private:
  static absl::Status Interrupted() { return InterruptedByUser("export", "nothing was written"); }

  absl::Status WriteText(const std::string& name, const std::string& text) {
    files_.push_back(name);
    return WriteFile(directory_, name, text);
  }

  // Fetches the layers one by one to files of their own and joins those, mapped.
  absl::Status WriteShard(const std::string& name, int first, int end) {
    TensorMap tensors;
    std::vector<std::string> parts;
    for (int i = first; i < end; ++i) {
      const v1::ModelLayer& layer = model_.layers(i);
      parts.push_back(directory_ + "/.part-" + std::to_string(i));
      v1::ExportArtifactRequest request;
      request.set_name(layer.artifact());
      request.set_form(v1::EXPORT_FORM_PACKED);
      QTIPD_RETURN_IF_ERROR(
          DownloadArtifact(session_, connection_, request, parts.back(), true, interrupt_)
              .status());
      QTIPD_ASSIGN_OR_RETURN(const SafetensorsFile part, ReadSafetensors(parts.back()));
      for (const auto& [tensor, value] : part.tensors) {
        tensors[layer.prefix() + tensor] = value;
        index_[layer.prefix() + tensor] = name;
        tensor_bytes_ += value.bytes().size();
      }
    }
    QTIPD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(directory_));
    QTIPD_RETURN_IF_ERROR(
        WriteSafetensors(tensors, {{"format", "pt"}}, [&](std::span<const std::byte> bytes) {
          if (interrupt_.WasInterrupted()) return Interrupted();
          return file.Write(bytes);
        }));
    QTIPD_RETURN_IF_ERROR(file.Commit(name));
    files_.push_back(name);
    std::error_code ignored;  // the directory goes or stays as a whole
    for (const std::string& part : parts) fs::remove(part, ignored);
    return absl::OkStatus();
  }

  Session& session_;
  Connection& connection_;
  const v1::Model& model_;
  const std::string& directory_;
  const InterruptScope& interrupt_;
  std::map<std::string, std::string> index_;  // tensor -> file
  std::vector<std::string> files_;
  uint64_t tensor_bytes_ = 0;
};

}  // namespace

absl::StatusOr<TensorMap> SelectModelTensors(const CheckpointDirectory& directory,
                                             const std::string& prefix,
                                             const std::string& display_name,
                                             v1::StartImportRequest& request) {
  QTIPD_ASSIGN_OR_RETURN(const LayerTensors below,
                         SelectLayer(directory.tensors, prefix, display_name));
  TensorMap sent;
  for (const auto& [layer, tensors] : GroupByLayer(below.tensors)) {
    if (!HasQuantizedTensors(tensors)) continue;
    for (const auto& [name, tensor] : tensors) sent[layer + name] = tensor;
  }
  for (const auto& [name, tensor] : directory.tensors) {
    if (!sent.contains(name)) request.add_absent_tensors(name);
  }
  request.set_model_config(directory.config);
  request.set_prefix(below.prefix);
  return sent;
}

std::vector<int> CutIntoShards(const std::vector<uint64_t>& layer_bytes, uint64_t shard_bytes) {
  std::vector<int> counts;
  uint64_t held = 0;
  for (const uint64_t bytes : layer_bytes) {
    if (counts.empty() || held + bytes > shard_bytes) {
      counts.push_back(0);
      held = 0;
    }
    ++counts.back();
    held += bytes;
  }
  return counts;
}

absl::StatusOr<ModelExport> DownloadModel(Session& session, Connection& connection,
                                          const v1::Model& model, const std::string& path,
                                          uint64_t shard_bytes, const InterruptScope& interrupt) {
  QTIPD_ASSIGN_OR_RETURN(NewDirectory directory, NewDirectory::Create(path));
  ModelWriter writer(session, connection, model, directory.path(), interrupt);
  QTIPD_RETURN_IF_ERROR(writer.Write(shard_bytes));
  QTIPD_RETURN_IF_ERROR(directory.Commit());
  return ModelExport{path, writer.files(), writer.tensor_bytes()};
}

}  // namespace qtipd
