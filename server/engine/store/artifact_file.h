// An artefact as a safetensors file: the format's tensors, and what they mean in the metadata.
#ifndef QTIPD_SERVER_ENGINE_STORE_ARTIFACT_FILE_H_
#define QTIPD_SERVER_ENGINE_STORE_ARTIFACT_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/api/registry.h"
#include "kernels/api/weight_format.h"
#include "server/base/atomic_file.h"

namespace qtipd {

// An artefact's file, complete and on disk but without its name; gone if it never gets one.
struct StagedArtifact {
  AtomicFile file;
  std::string sha256;  // of its bytes
  // Names it `<directory>/<sha256>.safetensors`. Errors: those of AtomicFile::Commit.
  absl::Status Commit();
  // The same, without syncing the directory.
  absl::Status CommitUnsynced();
};

// The bytes depend on the layer and the seed alone. Blocking. Errors:
// ResourceExhausted/DISK_FULL; Internal/FILE_WRITE_FAILED; Cancelled, which leaves no file.
absl::StatusOr<StagedArtifact> StageArtifactFile(const std::string& directory,
                                                 const PackedLayer& layer, uint64_t seed,
                                                 const Progress& progress);

// "<directory>/<sha256>.safetensors"
std::string ArtifactPath(const std::string& directory, const std::string& sha256);

// Maps the file, checks its hash and lets its format validate it; the tensors share the mapping.
// Errors: DataLoss/ARTIFACT_FILE_DAMAGED if it is missing, altered or not an artefact.
absl::StatusOr<PackedLayer> ReadArtifactFile(const std::string& directory,
                                             const std::string& sha256, const Registry& registry);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_STORE_ARTIFACT_FILE_H_
