#include "server/transport/upload_file.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/transport/call_record.h"
#include "server/transport/io_pool.h"

namespace qtipd {
namespace {

constexpr size_t kMaxChunkBytes = size_t{1} << 20;
constexpr size_t kSha256Digits = 64;

bool IsSha256(const std::string& text) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == kSha256Digits && std::all_of(text.begin(), text.end(), is_digit);
}

// One step at a time, gRPC reading or the I/O pool writing, so that no member needs a lock.
class UploadReactor final : public grpc::ServerReadReactor<v1::UploadFileRequest> {
 public:
  UploadReactor(const RpcEnvironment& environment, RpcName name,
                const grpc::CallbackServerContext& context, v1::UploadFileResponse* response)
      : environment_(environment),
        context_(context),
        record_(environment, std::move(name), context),
        response_(*response) {}

  void Begin() {
    environment_.io->Post([this] {
      absl::StatusOr<std::unique_ptr<UploadStream>> upload = environment_.engine.BeginUpload();
      if (!upload.ok()) {
        Finish(record_.Finish(upload.status()));
        return;
      }
      upload_ = *std::move(upload);
      StartRead(&message_);
    });
  }

  void OnReadDone(bool ok) override {
    environment_.io->Post([this, ok] { ok ? Take() : End(); });
  }

  void OnDone() override { delete this; }

 private:
  void Take() {
    absl::Status status = Write();
    if (status.ok() && message_.sha256().empty()) {
      StartRead(&message_);
      return;
    }
    if (status.ok()) status = Keep();
    upload_.reset();
    Finish(record_.Finish(status));
  }

  // The client has sent all it will, without a hash; or it has gone.
  void End() {
    upload_.reset();
    if (context_.IsCancelled()) {
      Finish(record_.FinishCancelled());
      return;
    }
    Finish(record_.Finish(InvalidField("UPLOAD_INCOMPLETE", "sha256", "nothing",
                                       "the hash of all bytes in the last message")));
  }

  absl::Status Write() {
    const std::string& chunk = message_.chunk();
    if (chunk.size() > kMaxChunkBytes) {
      return InvalidField("CHUNK_TOO_LARGE", "chunk", std::to_string(chunk.size()) + " bytes",
                          "at most " + std::to_string(kMaxChunkBytes) + " bytes");
    }
    if (chunk.empty()) return absl::OkStatus();
    return upload_->Write(std::as_bytes(std::span(chunk)));
  }

  absl::Status Keep() {
    if (!IsSha256(message_.sha256())) {
      return InvalidField("UPLOAD_HASH_INVALID", "sha256", "'" + message_.sha256() + "'",
                          "64 lower-case hexadecimal digits");
    }
    QTIPD_ASSIGN_OR_RETURN(const std::string id, upload_->Finish(message_.sha256()));
    response_.set_upload_id(id);
    return absl::OkStatus();
  }

  const RpcEnvironment& environment_;
  const grpc::CallbackServerContext& context_;
  CallRecord record_;
  v1::UploadFileResponse& response_;
  v1::UploadFileRequest message_;
  std::unique_ptr<UploadStream> upload_;
};

}  // namespace

grpc::ServerReadReactor<v1::UploadFileRequest>* UploadFileCall(const RpcEnvironment& environment,
                                                               RpcName name,
                                                               grpc::CallbackServerContext* context,
                                                               v1::UploadFileResponse* response) {
  auto* reactor = new UploadReactor(environment, std::move(name), *context, response);
  reactor->Begin();
  return reactor;
}

}  // namespace qtipd
