#include "server/transport/export_artifact.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "server/service/handlers.h"
#include "server/transport/call_record.h"
#include "server/transport/io_pool.h"

namespace qtipd {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

// One step at a time: the engine prepares, the I/O pool reads, gRPC writes, the pool reads, ...
// Each step's end starts the next or finishes, so that no member needs a lock, and a client that
// leaves is noticed at the end of the step.
class ExportReactor final : public grpc::ServerWriteReactor<v1::ExportArtifactResponse> {
 public:
  ExportReactor(const RpcEnvironment& environment, RpcName name,
                const grpc::CallbackServerContext& context)
      : environment_(environment),
        context_(context),
        record_(environment, std::move(name), context) {}

  void Begin(const v1::ExportArtifactRequest& request) {
    const absl::StatusOr<ExportForm> form = ToExportForm(request.form());
    if (!form.ok()) {
      Finish(record_.Finish(form.status()));
      return;
    }
    environment_.engine.ExportArtifact(
        request.name(), *form, [this](absl::StatusOr<std::unique_ptr<ExportStream>> stream) {
          stream_ = std::move(stream);
          environment_.io->Post([this] { SendFirst(); });
        });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      Finish(record_.FinishCancelled());
    } else if (sent_bytes_ == (*stream_)->total_bytes()) {
      Finish(record_.Finish(absl::OkStatus()));
    } else {
      environment_.io->Post([this] { SendNext(); });
    }
  }

  void OnDone() override { delete this; }

 private:
  void SendFirst() {
    if (!stream_.ok()) {
      Finish(record_.Finish(stream_.status()));
      return;
    }
    message_.set_total_bytes((*stream_)->total_bytes());
    SendNext();
    // Nothing below: the write may have ended, and the reactor with it.
  }

  void SendNext() {
    if (context_.IsCancelled()) {
      Finish(record_.FinishCancelled());
      return;
    }
    if (const absl::Status read = ReadChunk(); !read.ok()) {
      Finish(record_.Finish(read));
      return;
    }
    StartWrite(&message_);
  }

  absl::Status ReadChunk() {
    ExportStream& stream = **stream_;
    if (sent_bytes_ > 0) message_.clear_total_bytes();
    const uint64_t left = stream.total_bytes() - sent_bytes_;
    std::string& chunk = *message_.mutable_chunk();
    chunk.resize(std::min<uint64_t>(left, kChunkBytes));
    if (!chunk.empty()) {
      const auto read = stream.Read(std::as_writable_bytes(std::span(chunk)));
      if (!read.ok()) return read.status();
      if (*read == 0) {
        return MakeError(absl::StatusCode::kDataLoss, "EXPORT_TRUNCATED",
                         "the export ended " + std::to_string(left) + " bytes early",
                         {{"missing_bytes", std::to_string(left)}});
      }
      chunk.resize(*read);
      sent_bytes_ += *read;
    }
    if (sent_bytes_ == stream.total_bytes()) message_.set_sha256(stream.sha256());
    return absl::OkStatus();
  }

  const RpcEnvironment& environment_;
  const grpc::CallbackServerContext& context_;
  CallRecord record_;
  absl::StatusOr<std::unique_ptr<ExportStream>> stream_;
  v1::ExportArtifactResponse message_;
  uint64_t sent_bytes_ = 0;
};

}  // namespace

grpc::ServerWriteReactor<v1::ExportArtifactResponse>* ExportArtifactCall(
    const RpcEnvironment& environment, RpcName name, grpc::CallbackServerContext* context,
    const v1::ExportArtifactRequest* request) {
  auto* reactor = new ExportReactor(environment, std::move(name), *context);
  reactor->Begin(*request);
  return reactor;
}

}  // namespace qtipd
