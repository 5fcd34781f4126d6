// Tensors on their way to a daemon and artefacts on their way back, in chunks with a hash.
#ifndef QTIPD_CLIENT_TRANSFER_H_
#define QTIPD_CLIENT_TRANSFER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "client/interrupt.h"
#include "client/session.h"
#include "kernels/api/host_tensor.h"

namespace qtipd {

// Sends `tensors` as one safetensors file, never whole in memory, and returns the upload's id.
// `display_name` is for the progress line. Blocks.
// Errors: those of UploadFile and of WriteSafetensors.
absl::StatusOr<std::string> UploadTensors(Session& session, Connection& connection,
                                          const TensorMap& tensors,
                                          const std::string& display_name);

struct Download {
  uint64_t bytes = 0;
  std::string sha256;
};

// Writes an artefact to `path` through a temporary file beside it, renamed once the hash is right,
// so that `path` is either whole or as it was. Errors: FILE_EXISTS unless `may_overwrite`;
// FILE_NOT_WRITABLE; DataLoss/DOWNLOAD_HASH_MISMATCH; INTERRUPTED_BY_USER once `interrupt` says so.
absl::StatusOr<Download> DownloadArtifact(Session& session, Connection& connection,
                                          const v1::ExportArtifactRequest& request,
                                          const std::string& path, bool may_overwrite,
                                          const InterruptScope& interrupt);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_TRANSFER_H_
