#include "client/transfer.h"

#include <algorithm>
#include <filesystem>
#include <span>

#include "client/progress.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/safetensors.h"
#include "server/base/atomic_file.h"
#include "server/base/sha256.h"

namespace qtipd {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

// A progress line for bytes, in the clothes of an operation's.
v1::OperationMetadata TransferProgress(const std::string& kind, const std::string& target,
                                       uint64_t done, uint64_t total) {
  v1::OperationMetadata metadata;
  metadata.set_kind(kind);
  metadata.set_target(target);
  metadata.set_state(v1::RUNNING);
  metadata.set_progress(total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total));
  return metadata;
}

absl::StatusOr<AtomicFile> CreateFile(const std::filesystem::path& place) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(place, ignored)) {
    absl::StatusOr<AtomicFile> file =
        AtomicFile::Create(place.has_parent_path() ? place.parent_path() : ".");
    if (file.ok() || absl::IsResourceExhausted(file.status())) return file;
  }
  return FieldError(absl::StatusCode::kFailedPrecondition, "FILE_NOT_WRITABLE", "file",
                    place.string(), "a file in a directory that exists and can be written");
}

void LimitStream(const Session& session, const Connection& connection,
                 grpc::ClientContext& context) {
  if (session.options().is_timeout_given) connection.SetDeadline(context);
}

}  // namespace

absl::StatusOr<std::string> UploadTensors(Session& session, Connection& connection,
                                          const TensorMap& tensors,
                                          const std::string& display_name) {
  uint64_t total = 0;
  for (const auto& [name, tensor] : tensors) total += tensor.bytes().size();
  ProgressBar bar(session.err(), IsStderrTerminal());
  grpc::ClientContext context;
  LimitStream(session, connection, context);
  v1::UploadFileResponse response;
  const auto writer = connection.qtip().UploadFile(&context, &response);
  Sha256 hash;
  uint64_t sent = 0;
  bool is_open = true;  // once false, the server has ended the call and Finish says why
  const absl::Status written =
      WriteSafetensors(tensors, {}, [&](std::span<const std::byte> piece) -> absl::Status {
        for (; is_open && !piece.empty();) {
          const auto chunk = piece.first(std::min(kChunkBytes, piece.size()));
          piece = piece.subspan(chunk.size());
          hash.Update(chunk);
          v1::UploadFileRequest request;
          request.set_chunk(chunk.data(), chunk.size());
          is_open = writer->Write(request);
          sent += chunk.size();
          bar.Update(TransferProgress("upload", display_name, sent, total));
        }
        return absl::OkStatus();
      });
  if (!written.ok()) {
    context.TryCancel();
    writer->Finish().IgnoreError();
    return written;
  }
  v1::UploadFileRequest last;
  last.set_sha256(hash.Finish());
  if (is_open && writer->Write(last)) writer->WritesDone();
  QTIPD_RETURN_IF_ERROR(FromGrpc(writer->Finish(), connection.target()));
  return response.upload_id();
}

absl::StatusOr<Download> DownloadArtifact(Session& session, Connection& connection,
                                          const v1::ExportArtifactRequest& request,
                                          const std::string& path, bool may_overwrite,
                                          const InterruptScope& interrupt) {
  std::error_code ignored;
  if (!may_overwrite && std::filesystem::exists(path, ignored)) {
    return FieldError(absl::StatusCode::kAlreadyExists, "FILE_EXISTS", "file", path,
                      "a path that does not exist, or --force");
  }
  const std::filesystem::path place(path);
  QTIPD_ASSIGN_OR_RETURN(AtomicFile file, CreateFile(place));
  ProgressBar bar(session.err(), IsStderrTerminal());
  grpc::ClientContext context;
  LimitStream(session, connection, context);
  const InterruptWatch watch(interrupt, [&context] { context.TryCancel(); });
  const auto reader = connection.qtip().ExportArtifact(&context, request);
  Sha256 hash;
  Download download;
  uint64_t total = 0;
  absl::Status written;
  for (v1::ExportArtifactResponse part; written.ok() && reader->Read(&part);) {
    if (part.total_bytes() != 0) total = part.total_bytes();
    if (!part.sha256().empty()) download.sha256 = part.sha256();
    hash.Update(std::as_bytes(std::span(part.chunk())));
    download.bytes += part.chunk().size();
    written = file.Write(std::as_bytes(std::span(part.chunk())));
    bar.Update(TransferProgress("export", request.name(), download.bytes, total));
  }
  if (!written.ok()) context.TryCancel();
  const grpc::Status finished = reader->Finish();
  QTIPD_RETURN_IF_ERROR(written);
  if (interrupt.WasInterrupted()) return InterruptedByUser("export", "nothing was written");
  QTIPD_RETURN_IF_ERROR(FromGrpc(finished, connection.target()));
  if (const std::string got = hash.Finish(); got != download.sha256 || total != download.bytes) {
    return FieldError(absl::StatusCode::kDataLoss, "DOWNLOAD_HASH_MISMATCH", "sha256", got,
                      download.sha256);
  }
  QTIPD_RETURN_IF_ERROR(file.Commit(place.filename()));
  return download;
}

}  // namespace qtipd
