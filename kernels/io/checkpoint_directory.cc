#include "kernels/io/checkpoint_directory.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <span>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/mapped_file.h"
#include "kernels/io/safetensors.h"
#include "nlohmann/json.hpp"

namespace qtipd {
namespace {

using Json = nlohmann::json;

// A config has a few kilobytes, an index a line of some 100 bytes for a tensor.
constexpr uint64_t kMaxConfigBytes = uint64_t{4} << 20;

absl::StatusOr<std::string> ReadText(const FileResolver& resolve, const std::string& name,
                                     uint64_t max_bytes) {
  QTIPD_ASSIGN_OR_RETURN(const std::string path, resolve(name));
  QTIPD_ASSIGN_OR_RETURN(const ReadOnlyFile file, ReadOnlyFile::Open(path));
  if (file.bytes() > max_bytes) {
    return InvalidField("FILE_TOO_LARGE", path, std::to_string(file.bytes()) + " bytes",
                        "at most " + std::to_string(max_bytes) + " bytes");
  }
  std::string text(file.bytes(), '\0');
  QTIPD_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(text))));
  return text;
}

bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos && name != "." && name != "..";
}

absl::Status IndexError(std::string_view where, std::string_view got, std::string_view allowed) {
  return InvalidField("MODEL_INDEX_INVALID", where, got, allowed);
}

// Maps the index's files one by one and takes from each the tensors that the index places there.
absl::StatusOr<TensorMap> ReadShards(const FileResolver& resolve,
                                     const std::map<std::string, std::string>& file_of_tensor) {
  std::map<std::string, SafetensorsFile> files;
  TensorMap tensors;
  for (const auto& [tensor, file_name] : file_of_tensor) {
    const std::string field = "tensor " + tensor + " of " + kTensorIndexFile;
    auto file = files.find(file_name);
    if (file == files.end()) {
      const absl::StatusOr<std::string> path = resolve(file_name);
      if (absl::IsNotFound(path.status())) {
        return FieldError(absl::StatusCode::kNotFound, "MODEL_SHARD_MISSING", field,
                          file_name + ", which is not there", "a file of the directory");
      }
      QTIPD_RETURN_IF_ERROR(path.status());
      QTIPD_ASSIGN_OR_RETURN(SafetensorsFile opened, ReadSafetensors(*path));
      file = files.emplace(file_name, std::move(opened)).first;
    }
    const auto found = file->second.tensors.find(tensor);
    if (found == file->second.tensors.end()) {
      return FieldError(absl::StatusCode::kNotFound, "MODEL_SHARD_MISSING", field,
                        file_name + ", which has no such tensor", "the file that has the tensor");
    }
    tensors.emplace(tensor, found->second);
  }
  return tensors;
}

}  // namespace

std::string ShardFileName(int shard, int shards) {
  char name[64];
  std::snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", shard, shards);
  return name;
}

FileResolver ResolveIn(const std::string& directory) {
  return [directory](const std::string& name) -> absl::StatusOr<std::string> {
    const std::string path = directory + "/" + name;
    std::error_code error;
    if (std::filesystem::exists(path, error)) return path;
    return FieldError(absl::StatusCode::kNotFound, "FILE_NOT_FOUND", "file", path,
                      "a model directory: config.json, and model.safetensors or several files with "
                      "an index");
  };
}

absl::StatusOr<std::map<std::string, std::string>> ParseTensorIndex(std::string_view text,
                                                                    std::string_view display_name) {
  const std::string name(display_name);
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object()) {
    return IndexError(name, "no JSON object with a weight_map", "{\"weight_map\": {tensor: file}}");
  }
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : map->items()) {
    const std::string field = "tensor " + tensor + " of " + name;
    if (!file.is_string()) return IndexError(field, file.type_name(), "the name of a file");
    files[tensor] = file.get<std::string>();
    if (!IsPlainFileName(files[tensor])) {
      return IndexError(field, files[tensor], "the name of a file in the directory");
    }
  }
  if (files.empty()) return IndexError(name, "no tensors", "a weight_map with at least one");
  return files;
}

std::string TensorIndexText(const std::map<std::string, std::string>& file_of_tensor,
                            uint64_t total_bytes) {
  const Json json = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", file_of_tensor}};
  return json.dump(2) + "\n";
}

absl::StatusOr<CheckpointDirectory> ReadCheckpointDirectory(const FileResolver& resolve) {
  CheckpointDirectory directory;
  QTIPD_ASSIGN_OR_RETURN(directory.config, ReadText(resolve, kConfigFile, kMaxConfigBytes));
  const absl::StatusOr<std::string> index = ReadText(resolve, kTensorIndexFile, kMaxIndexBytes);
  if (index.ok()) {
    QTIPD_ASSIGN_OR_RETURN(const auto file_of_tensor, ParseTensorIndex(*index, kTensorIndexFile));
    QTIPD_ASSIGN_OR_RETURN(directory.tensors, ReadShards(resolve, file_of_tensor));
    return directory;
  }
  if (!absl::IsNotFound(index.status())) return index.status();
  QTIPD_ASSIGN_OR_RETURN(const std::string path, resolve(kSingleTensorFile));
  QTIPD_ASSIGN_OR_RETURN(SafetensorsFile file, ReadSafetensors(path));
  directory.tensors = std::move(file.tensors);
  return directory;
}

std::string LayerPrefix(const std::string& tensor_name) {
  const size_t dot = tensor_name.rfind('.');
  return dot == std::string::npos ? "" : tensor_name.substr(0, dot + 1);
}

bool HasQuantizedTensors(const TensorMap& tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& item) {
    return item.first != "weight" && item.first != "bias";
  });
}

std::map<std::string, TensorMap> GroupByLayer(const TensorMap& tensors) {
  std::map<std::string, TensorMap> groups;
  for (const auto& [name, tensor] : tensors) {
    const std::string prefix = LayerPrefix(name);
    groups[prefix][name.substr(prefix.size())] = tensor;
  }
  return groups;
}

}  // namespace qtipd
