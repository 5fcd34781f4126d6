// UploadFile and ExportArtifact.
#include <gtest/gtest.h>

#include "tests/server/transport/server_fixture.h"

namespace qtipd {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
const std::string kHash(64, 'a');

class UploadFile : public ServerFixture {
 protected:
  UploadFile() {
    engine_.upload_sha256 = kHash;
    writer_ = qtip_->UploadFile(&context_, &response_);
  }
  bool Send(const std::string& chunk, const std::string& sha256 = "") {
    v1::UploadFileRequest request;
    request.set_chunk(chunk);
    request.set_sha256(sha256);
    return writer_->Write(request);
  }
  grpc::Status End() {
    writer_->WritesDone();
    return writer_->Finish();
  }

  grpc::ClientContext context_;
  v1::UploadFileResponse response_;
  std::unique_ptr<grpc::ClientWriter<v1::UploadFileRequest>> writer_;
};

TEST_F(UploadFile, KeepsChunksInOrder) {
  Send(std::string(kMiB, 'x'));
  Send("middle");
  Send("end", kHash);
  ASSERT_TRUE(End().ok());
  EXPECT_EQ(response_.upload_id(), "upload-1");
  EXPECT_EQ(engine_.uploaded(), std::string(kMiB, 'x') + "middleend");
  EXPECT_EQ(engine_.abandoned_uploads(), 0);
}

TEST_F(UploadFile, TakesTheHashInAMessageOfItsOwn) {
  Send("all");
  Send("", kHash);
  EXPECT_TRUE(End().ok());
  EXPECT_EQ(engine_.uploaded(), "all");
}

TEST_F(UploadFile, RefusesAnotherHash) {
  Send("all", std::string(64, 'b'));
  const grpc::Status status = End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(InfoOf(status).reason(), "UPLOAD_HASH_MISMATCH");
  EXPECT_EQ(engine_.abandoned_uploads(), 1);
}

TEST_F(UploadFile, RefusesWhatIsNoHash) {
  Send("all", std::string(64, 'A'));
  EXPECT_EQ(InfoOf(End()).reason(), "UPLOAD_HASH_INVALID");
}

TEST_F(UploadFile, RefusesAChunkOverOneMebibyte) {
  Send(std::string(kMiB + 1, 'x'));
  const auto info = InfoOf(End());
  EXPECT_EQ(info.reason(), "CHUNK_TOO_LARGE");
  EXPECT_EQ(info.metadata().at("got"), "1048577 bytes");
  EXPECT_EQ(engine_.abandoned_uploads(), 1);
}

TEST_F(UploadFile, RefusesAnEndWithoutAHash) {
  Send("all");
  EXPECT_EQ(InfoOf(End()).reason(), "UPLOAD_INCOMPLETE");
  EXPECT_EQ(engine_.abandoned_uploads(), 1);
}

TEST_F(UploadFile, AClientThatLeavesLeavesNothing) {
  Send("all");
  engine_.WaitForUploadedBytes();
  context_.TryCancel();
  EXPECT_EQ(End().error_code(), grpc::StatusCode::CANCELLED);
  server_->Stop(std::chrono::seconds(10));  // waits for the call to end
  EXPECT_EQ(engine_.abandoned_uploads(), 1);
}

class ExportArtifact : public ServerFixture {
 protected:
  std::unique_ptr<grpc::ClientReader<v1::ExportArtifactResponse>> Export(
      const std::string& name, v1::ExportForm form = v1::EXPORT_FORM_UNSPECIFIED) {
    v1::ExportArtifactRequest request;
    request.set_name(name);
    request.set_form(form);
    return qtip_->ExportArtifact(&context_, request);
  }

  grpc::ClientContext context_;
  v1::ExportArtifactResponse message_;
};

TEST_F(ExportArtifact, SendsChunksOfOneMebibyteAndTheHashLast) {
  engine_.artifacts["w2"].name = "w2";
  for (size_t i = 0; i < 2 * kMiB + 100; ++i) engine_.export_bytes += static_cast<char>(i * 7);
  const auto reader = Export("w2", v1::EXPORT_FORM_DENSE);
  std::string bytes;
  std::vector<size_t> sizes;
  while (reader->Read(&message_)) {
    EXPECT_EQ(message_.total_bytes(), sizes.empty() ? engine_.export_bytes.size() : 0);
    sizes.push_back(message_.chunk().size());
    bytes += message_.chunk();
    EXPECT_EQ(message_.sha256().empty(), bytes.size() < engine_.export_bytes.size());
  }
  ASSERT_TRUE(reader->Finish().ok());
  EXPECT_EQ(sizes, (std::vector<size_t>{kMiB, kMiB, 100}));
  EXPECT_EQ(bytes, engine_.export_bytes);
  EXPECT_EQ(*engine_.export_form, ExportForm::kDense);
}

TEST_F(ExportArtifact, AnEmptyFileIsOneMessage) {
  engine_.artifacts["w2"].name = "w2";
  const auto reader = Export("w2");
  ASSERT_TRUE(reader->Read(&message_));
  EXPECT_EQ(message_.sha256().size(), 64u);
  EXPECT_FALSE(reader->Read(&message_));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(ExportArtifact, BytesThatAreMissingAreAnError) {
  engine_.artifacts["w2"].name = "w2";
  engine_.export_bytes = "short";
  engine_.export_missing_bytes = 3;
  const auto reader = Export("w2");
  while (reader->Read(&message_)) {
  }
  const auto info = InfoOf(reader->Finish());
  EXPECT_EQ(info.reason(), "EXPORT_TRUNCATED");
  EXPECT_EQ(info.metadata().at("missing_bytes"), "3");
}

TEST_F(ExportArtifact, AnUnknownArtifactIsAnError) {
  const auto reader = Export("none");
  EXPECT_FALSE(reader->Read(&message_));
  EXPECT_EQ(InfoOf(reader->Finish()).reason(), "ARTIFACT_NOT_FOUND");
}

TEST_F(ExportArtifact, AFormThatIsUnknownIsAnError) {
  const auto reader = Export("w2", static_cast<v1::ExportForm>(9));
  EXPECT_FALSE(reader->Read(&message_));
  EXPECT_EQ(InfoOf(reader->Finish()).reason(), "EXPORT_FORM_UNKNOWN");
}

TEST_F(ExportArtifact, AClientThatLeavesEndsTheExport) {
  engine_.artifacts["w2"].name = "w2";
  engine_.export_bytes.assign(32 * kMiB, 'x');
  const auto reader = Export("w2");
  ASSERT_TRUE(reader->Read(&message_));
  context_.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  server_->Stop(std::chrono::seconds(10));
  EXPECT_EQ(metrics_.handled(),
            std::vector<std::string>{"qtipd.v1.QtipService/ExportArtifact server_stream Canceled"});
}

}  // namespace
}  // namespace qtipd
