// A model directory as Hugging Face writes it: config.json, and safetensors files, one or several
// with an index (https://huggingface.co/docs/huggingface_hub/package_reference/serialization).
#ifndef QTIPD_KERNELS_IO_CHECKPOINT_DIRECTORY_H_
#define QTIPD_KERNELS_IO_CHECKPOINT_DIRECTORY_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"

namespace qtipd {

inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kSingleTensorFile[] = "model.safetensors";
inline constexpr char kTensorIndexFile[] = "model.safetensors.index.json";

// Of an index, which is parsed as a whole and takes up to twenty times its size in memory
// meanwhile: 160,000 tensors at 100 bytes a line.
inline constexpr uint64_t kMaxIndexBytes = uint64_t{16} << 20;

// "model-00002-of-00007.safetensors"; `shard` counts from 1.
std::string ShardFileName(int shard, int shards);

struct CheckpointDirectory {
  std::string config;  // text of config.json, not looked into
  TensorMap tensors;   // of all files, full names; views of the mapped files, which live as long
};

// The path to open for a file of the directory, or NotFound. A reader of other people's paths
// checks here where links lead.
using FileResolver = std::function<absl::StatusOr<std::string>(const std::string& file_name)>;

// Reads config and headers and maps every tensor file; no tensor's data is read. With an index,
// the tensors are those that it lists, otherwise those of model.safetensors.
// Errors: FILE_NOT_FOUND, FILE_UNREADABLE, FILE_TOO_LARGE (of the JSON files);
// MODEL_INDEX_INVALID; MODEL_SHARD_MISSING where the index names a file that is not there, or a
// tensor that its file lacks; SAFETENSORS_INVALID; the resolver's own.
absl::StatusOr<CheckpointDirectory> ReadCheckpointDirectory(const FileResolver& resolve);

// Resolves below `directory`, whatever a link there leads to.
FileResolver ResolveIn(const std::string& directory);

// Tensor name -> name of its file, from the text of an index. `display_name` names it in errors.
// Errors: MODEL_INDEX_INVALID.
absl::StatusOr<std::map<std::string, std::string>> ParseTensorIndex(std::string_view text,
                                                                    std::string_view display_name);

// The text of an index; `total_bytes` are those of all tensors.
std::string TensorIndexText(const std::map<std::string, std::string>& file_of_tensor,
                            uint64_t total_bytes);

// A tensor's name up to and with its last dot, or nothing: the layer that it belongs to.
std::string LayerPrefix(const std::string& tensor_name);

// Whether `tensors`, names without a prefix, can be a quantized layer: any but `weight` and `bias`.
bool HasQuantizedTensors(const TensorMap& tensors);

// Tensors by LayerPrefix, names without it.
std::map<std::string, TensorMap> GroupByLayer(const TensorMap& tensors);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_IO_CHECKPOINT_DIRECTORY_H_
