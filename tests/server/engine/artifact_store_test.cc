#include "server/engine/store/artifact_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kernels/api/error.h"
#include "kernels/io/safetensors.h"
#include "server/base/sha256.h"
#include "server/engine/store/artifact_file.h"
#include "server/engine/store/exporter.h"
#include "server/engine/store/stored_files.h"
#include "server/engine/store/upload_store.h"
#include "tests/fakes/cancelled_at.h"
#include "tests/fakes/fake_format.h"
#include "tests/fakes/fake_metrics.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

std::string Reason(const absl::Status& status) { return GetErrorInfo(status).reason; }

class ArtifactStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AddFakeFormat(registry_, std::make_shared<FakeFormatControl>());
    history_ = *OpenSqliteHistory(directory_ / "history.sqlite");
    files_ = directory_ / "artifacts";
    std::filesystem::create_directory(files_);
    store_ = std::make_unique<ArtifactStore>(files_, *history_, registry_, metrics_);
  }

  PackedLayer ALayer(float value = 1) {
    PackedLayer layer{.format = "fake", .shape = {4, 8}};
    layer.options = *CheckOptions((*registry_.FindFormat("fake"))->schema(), {});
    layer.tensors["rounded"] = HostTensor::Take(DType::kF32, {4, 8}, std::vector<float>(32, value));
    return layer;
  }
  ArtifactRecord Save(const std::string& name, float value = 1) {
    ArtifactRecord record;
    record.name = name;
    record.seed = 5;
    record.recipe_sha256 = "recipe " + name;
    const auto saved = store_->Save(ALayer(value), record, NoProgress());
    EXPECT_TRUE(saved.ok()) << saved.status();
    return *saved;
  }
  // The record of Save("w") with another recipe's hash.
  ArtifactRecord Wanted(const std::string& recipe) {
    const PackedLayer layer = ALayer();
    return {.name = "w",
            .format = layer.format,
            .options = layer.options,
            .shape = layer.shape,
            .recipe_sha256 = recipe,
            .seed = 5};
  }
  std::string FileOf(const ArtifactRecord& record) { return ArtifactPath(files_, record.sha256); }

  TempDir directory_;
  std::string files_;
  Registry registry_;
  FakeMetrics metrics_;
  std::unique_ptr<HistoryStore> history_;
  std::unique_ptr<ArtifactStore> store_;
};

TEST_F(ArtifactStoreTest, FilesAreNamedByTheirContent) {
  const ArtifactRecord record = Save("w");
  EXPECT_TRUE(std::filesystem::exists(FileOf(record)));
  EXPECT_EQ(record.packed_bytes, 128u);
  EXPECT_EQ(record.bits_per_weight, 32);
  EXPECT_EQ(record.compression_ratio, 0.5);
  EXPECT_EQ(Save("v").sha256, record.sha256);
  EXPECT_NE(Save("u", 2).sha256, record.sha256);
}

TEST_F(ArtifactStoreTest, ANameThatIsTakenLeavesNoFileBehind) {
  const ArtifactRecord record = Save("w");
  EXPECT_EQ(Reason(store_->Save(ALayer(2), record, NoProgress()).status()), "ARTIFACT_EXISTS");
  const std::filesystem::directory_iterator files(files_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
  EXPECT_EQ(Reason(store_->Save(ALayer(), record, NoProgress()).status()), "ARTIFACT_EXISTS");
  EXPECT_TRUE(std::filesystem::exists(FileOf(record)));  // the same bytes have a name
}

TEST_F(ArtifactStoreTest, ACancelledSaveLeavesNoFileBehind) {
  ArtifactRecord record;
  record.name = "w";
  // At the beginning, and where the tensor comes.
  for (const int at : {1, 2}) {
    EXPECT_TRUE(absl::IsCancelled(store_->Save(ALayer(), record, CancelledAt(at)).status())) << at;
    EXPECT_TRUE(std::filesystem::is_empty(files_)) << at;
  }
  EXPECT_EQ(Reason(store_->Get("w").status()), "ARTIFACT_NOT_FOUND");
}

TEST_F(ArtifactStoreTest, TheFileItselfSaysWhatItIs) {
  const auto file = ReadSafetensors(FileOf(Save("w")));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata.at("qtipd.format"), "fake");
  EXPECT_EQ(file->metadata.at("qtipd.format_version"), "1");
  EXPECT_EQ(file->metadata.at("qtipd.seed"), "5");
  EXPECT_EQ(file->metadata.at("qtipd.out_features"), "4");
  EXPECT_EQ(file->metadata.at("qtipd.in_features"), "8");
  EXPECT_EQ(file->metadata.at("qtipd.options"), R"({"bits":2,"code":"plain"})");
}

TEST_F(ArtifactStoreTest, ReadsBackWhatWasSaved) {
  const auto layer = store_->Read(Save("w", 3));
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->shape, (Shape{4, 8}));
  EXPECT_EQ(layer->options, ALayer().options);
  EXPECT_EQ(layer->tensors.at("rounded").ToFloat(), std::vector<float>(32, 3));
}

TEST_F(ArtifactStoreTest, NamesFollowTheirRule) {
  for (const char* good : {"w", "model/layers.0/q_proj.", "A-Z_0", "..", "/"}) {
    EXPECT_TRUE(CheckArtifactName(good).ok()) << good;
  }
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a\n"),
                                 std::string("\xC3\xA9"), std::string(201, 'a')}) {
    EXPECT_EQ(Reason(CheckArtifactName(bad)), "NAME_INVALID") << bad;
  }
}

TEST_F(ArtifactStoreTest, ChecksRecipesOnlyIfAbsentIsAskedFor) {
  Save("w");
  EXPECT_FALSE((*store_->CheckNewName({.name = "free"}, false)).has_value());
  EXPECT_EQ(Reason(store_->CheckNewName(Wanted("recipe w"), false).status()), "ARTIFACT_EXISTS");
  EXPECT_EQ((*store_->CheckNewName(Wanted("recipe w"), true))->name, "w");
  EXPECT_EQ(Reason(store_->CheckNewName(Wanted("other"), true).status()),
            "ARTIFACT_RECIPE_DIFFERS");
  EXPECT_FALSE((*store_->CheckNewName(Wanted(""), true)).has_value());  // not known yet
}

TEST_F(ArtifactStoreTest, NamesWhatDiffersInARecipe) {
  Save("w");
  const auto field = [&](const ArtifactRecord& wanted) {
    const absl::Status status = store_->CheckNewName(wanted, true).status();
    EXPECT_EQ(Reason(status), "ARTIFACT_RECIPE_DIFFERS");
    return GetErrorInfo(status).metadata["field"] + " " + GetErrorInfo(status).metadata["got"];
  };
  ArtifactRecord wanted = Wanted("other");
  EXPECT_EQ(field(wanted), "source  with other content");
  wanted.source = "random seed=1";
  EXPECT_EQ(field(wanted), "source random seed=1");
  wanted.shape = {8, 8};
  EXPECT_EQ(field(wanted), "shape 8x8");
  wanted = Wanted("other");
  wanted.seed = 6;
  EXPECT_EQ(field(wanted), "seed 6");
  wanted.options = *CheckOptions((*registry_.FindFormat("fake"))->schema(), {{"bits", int64_t{5}}});
  EXPECT_EQ(field(wanted), "bits 5");
}

TEST_F(ArtifactStoreTest, AnAlteredFileIsReportedAndItsRecordStays) {
  const ArtifactRecord record = Save("w");
  std::fstream file(FileOf(record), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x7f');
  file.close();
  const absl::Status status = store_->Read(record).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Reason(status), "ARTIFACT_FILE_DAMAGED");
  EXPECT_TRUE(store_->Get("w").ok());
}

TEST_F(ArtifactStoreTest, AMissingFileIsReportedAndItsRecordStays) {
  const ArtifactRecord record = Save("w");
  std::filesystem::remove(FileOf(record));
  EXPECT_TRUE(store_->Restore().ok());
  EXPECT_EQ(Reason(store_->Read(record).status()), "ARTIFACT_FILE_DAMAGED");
  EXPECT_TRUE(store_->Get("w").ok());
}

TEST_F(ArtifactStoreTest, RestoreRemovesHalfWrittenFilesAndNothingElse) {
  const ArtifactRecord record = Save("w");
  std::ofstream(files_ + "/.tmp-abc123") << "half";
  std::ofstream(files_ + "/notes.txt") << "mine";
  ASSERT_TRUE(store_->Restore().ok());
  EXPECT_FALSE(std::filesystem::exists(files_ + "/.tmp-abc123"));
  EXPECT_TRUE(std::filesystem::exists(files_ + "/notes.txt"));
  EXPECT_TRUE(std::filesystem::exists(FileOf(record)));
}

TEST_F(ArtifactStoreTest, FilesThatNoRecordNamesAreFoundAndLeftAlone) {
  const ArtifactRecord record = Save("w");
  const std::string lost = files_ + "/" + std::string(64, 'a') + ".safetensors";
  std::ofstream(lost) << "artefact";
  for (const std::string& other :
       {std::string(64, 'A') + ".safetensors", std::string("a.safetensors"),
        std::string(64, 'b') + ".txt", std::string(64, 'c')}) {
    std::ofstream(files_ + "/" + other) << "mine";
  }
  const UnnamedFiles found = FindUnnamedFiles(files_, {record.sha256});
  EXPECT_EQ(found.count, 1);
  EXPECT_EQ(found.bytes, 8u);
  EXPECT_EQ(found.example, lost);
  ASSERT_TRUE(store_->Restore().ok());
  EXPECT_TRUE(std::filesystem::exists(lost));
}

TEST_F(ArtifactStoreTest, MetricsFollowTheTotals) {
  Save("a");
  Save("b");
  EXPECT_EQ(metrics_.artifacts("fake"), (FakeMetrics::CountAndBytes{2, 256}));
  ASSERT_TRUE(store_->Delete("a").ok());
  ASSERT_TRUE(store_->Delete("b").ok());
  EXPECT_EQ(metrics_.artifacts("fake"), (FakeMetrics::CountAndBytes{0, 0}));
}

// ---- Exports and uploads ----

std::vector<std::byte> ReadAll(ExportStream& stream) {
  std::vector<std::byte> all;
  std::byte chunk[100];
  while (const size_t size = *stream.Read(chunk)) all.insert(all.end(), chunk, chunk + size);
  return all;
}

TEST_F(ArtifactStoreTest, ExportsPackedAndDense) {
  for (const ExportForm form : {ExportForm::kPacked, ExportForm::kDense}) {
    auto stream = PrepareExport(ALayer(3), form, registry_, files_);
    ASSERT_TRUE(stream.ok()) << stream.status();
    const std::vector<std::byte> bytes = ReadAll(**stream);
    EXPECT_EQ(bytes.size(), (*stream)->total_bytes());
    EXPECT_EQ(Sha256Hex(bytes), (*stream)->sha256());
    const auto file = *ParseSafetensors(bytes, nullptr, "export");
    const std::string name = form == ExportForm::kDense ? "weight" : "rounded";
    EXPECT_EQ(file.tensors.at(name).shape(), (std::vector<int64_t>{4, 8}));
    EXPECT_EQ(file.tensors.at(name).ToFloat(), std::vector<float>(32, 3));
  }
  EXPECT_TRUE(std::filesystem::is_empty(files_));
}

class UploadStoreTest : public ::testing::Test {
 protected:
  std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
  TempDir directory_;
  UploadStore store_{directory_.path(), 10};
};

TEST_F(UploadStoreTest, KeepsAFinishedUploadUntilItsLastHolderIsGone) {
  auto upload = *store_.Begin();
  ASSERT_TRUE(upload->Write(Bytes("abc")).ok());
  const std::string id = *upload->Finish(Sha256Hex(std::string_view("abc")));
  EXPECT_TRUE(std::filesystem::exists(*store_.Path(id)));
  EXPECT_EQ(UploadStore::ContentOf(id), Sha256Hex(std::string_view("abc")));
  std::shared_ptr<void> holder = store_.Hold(id);
  std::shared_ptr<void> second = store_.Hold(id);
  holder.reset();
  EXPECT_TRUE(store_.Path(id).ok());
  second.reset();
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  EXPECT_EQ(store_.Hold(id), nullptr);
  EXPECT_EQ(Reason(store_.Path(id).status()), "UPLOAD_NOT_FOUND");
}

TEST_F(UploadStoreTest, RefusesAnUploadThatIsTooLarge) {
  auto upload = *store_.Begin();
  ASSERT_TRUE(upload->Write(Bytes("0123456789")).ok());
  EXPECT_EQ(Reason(upload->Write(Bytes("a"))), "UPLOAD_TOO_LARGE");
}

TEST_F(UploadStoreTest, RefusesAnotherHashAndKeepsNothing) {
  auto upload = *store_.Begin();
  ASSERT_TRUE(upload->Write(Bytes("abc")).ok());
  const absl::Status status = upload->Finish("00").status();
  EXPECT_EQ(Reason(status), "UPLOAD_HASH_MISMATCH");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  upload.reset();
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(UploadStoreTest, ForgetsUploadsAtTheNextStart) {
  auto upload = *store_.Begin();
  const std::string id = *upload->Finish(Sha256Hex(std::string_view("")));
  upload.reset();
  std::ofstream(directory_ / "notes.txt") << "mine";
  UploadStore next(directory_.path(), 10);
  EXPECT_EQ(Reason(next.Path(id).status()), "UPLOAD_NOT_FOUND");
  EXPECT_TRUE(std::filesystem::exists(directory_ / "notes.txt"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / ("upload-" + id)));
}

}  // namespace
}  // namespace qtipd
