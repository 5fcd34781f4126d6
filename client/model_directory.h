// Models on their way: a directory here to a daemon, and a daemon's artefacts to a directory here.
#ifndef QTIPD_CLIENT_MODEL_DIRECTORY_H_
#define QTIPD_CLIENT_MODEL_DIRECTORY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "client/interrupt.h"
#include "client/session.h"
#include "kernels/io/checkpoint_directory.h"

namespace qtipd {

// Published checkpoints are cut like this too.
inline constexpr uint64_t kDefaultShardBytes = 5'000'000'000;

// The tensors of a model directory that travel: those of quantized layers, below `prefix` unless
// that is empty. All others are named in the request, with the config.
// Errors: NotFound/PREFIX_NOT_FOUND.
absl::StatusOr<TensorMap> SelectModelTensors(const CheckpointDirectory& directory,
                                             const std::string& prefix,
                                             const std::string& display_name,
                                             v1::StartImportRequest& request);

struct ModelExport {
  std::string directory;
  std::vector<std::string> files;  // names, in the order written
  uint64_t tensor_bytes = 0;
};

// Writes config.json and the layers' checkpoint tensors, whole layers to files of at most
// `shard_bytes` (a larger layer gets one of its own), with an index where there are several. Takes
// the space of one file beside the result. The directory appears complete or not at all, also where
// `interrupt` catches a signal.
// Errors: FILE_EXISTS unless `path` is not there or an empty directory; FILE_NOT_WRITABLE; those of
// DownloadArtifact.
absl::StatusOr<ModelExport> DownloadModel(Session& session, Connection& connection,
                                          const v1::Model& model, const std::string& path,
                                          uint64_t shard_bytes, const InterruptScope& interrupt);

// Consecutive layers that go into one file together: how many into each.
std::vector<int> CutIntoShards(const std::vector<uint64_t>& layer_bytes, uint64_t shard_bytes);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_MODEL_DIRECTORY_H_
