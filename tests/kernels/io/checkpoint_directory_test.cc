#include "kernels/io/checkpoint_directory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kernels/api/error.h"
#include "kernels/io/safetensors.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

class CheckpointDirectoryTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
  }
  void WriteTensors(const std::string& name, const std::vector<std::string>& tensors) {
    TensorMap map;
    for (const std::string& tensor : tensors) {
      map[tensor] = HostTensor::Take(DType::kF32, {1}, std::vector<float>{1});
    }
    const std::vector<std::byte> bytes = *BuildSafetensors(map);
    Write(name, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  absl::StatusOr<CheckpointDirectory> Read() {
    return ReadCheckpointDirectory(ResolveIn(directory_.path()));
  }
  std::string Reason() { return GetErrorInfo(Read().status()).reason; }

  TempDir directory_;
};

TEST_F(CheckpointDirectoryTest, ReadsASingleFile) {
  Write("config.json", "{}");
  WriteTensors("model.safetensors", {"a.weight", "b.weight"});
  const auto directory = Read();
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_EQ(directory->config, "{}");
  EXPECT_EQ(directory->tensors.size(), 2u);
}

TEST_F(CheckpointDirectoryTest, TakesWhatTheIndexListsAndNothingElse) {
  Write("config.json", "{}");
  WriteTensors("one.safetensors", {"a", "stray"});
  WriteTensors("two.safetensors", {"b"});
  WriteTensors("model.safetensors", {"old"});
  Write(kTensorIndexFile, TensorIndexText({{"a", "one.safetensors"}, {"b", "two.safetensors"}}, 8));
  const auto directory = Read();
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_EQ(directory->tensors.size(), 2u);
  EXPECT_TRUE(directory->tensors.contains("a") && directory->tensors.contains("b"));
}

TEST_F(CheckpointDirectoryTest, NamesWhatIsMissing) {
  EXPECT_EQ(Reason(), "FILE_NOT_FOUND");
  Write("config.json", "{}");
  EXPECT_EQ(Reason(), "FILE_NOT_FOUND");
  Write(kTensorIndexFile, TensorIndexText({{"a", "one.safetensors"}}, 4));
  EXPECT_EQ(Reason(), "MODEL_SHARD_MISSING");
  WriteTensors("one.safetensors", {"b"});
  const absl::Status status = Read().status();
  EXPECT_EQ(GetErrorInfo(status).reason, "MODEL_SHARD_MISSING");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("field"), "tensor a of model.safetensors.index.json");
}

TEST_F(CheckpointDirectoryTest, RefusesAnIndexThatIsNone) {
  for (const char* text : {"", "[]", "{}", R"({"weight_map": []})", R"({"weight_map": {}})",
                           R"({"weight_map": {"a": 1}})", R"({"weight_map": {"a": ".."}})",
                           R"({"weight_map": {"a": "sub/x.safetensors"}})",
                           R"({"weight_map": {"a": "/etc/passwd"}})"}) {
    EXPECT_EQ(GetErrorInfo(ParseTensorIndex(text, "index").status()).reason, "MODEL_INDEX_INVALID")
        << text;
  }
}

TEST_F(CheckpointDirectoryTest, WritesAnIndexThatItReads) {
  const std::map<std::string, std::string> files = {{"a.b", "x"}, {"c", "y"}};
  EXPECT_EQ(*ParseTensorIndex(TensorIndexText(files, 12), "index"), files);
}

TEST_F(CheckpointDirectoryTest, RefusesAConfigBeyondReason) {
  Write("config.json", std::string((size_t{4} << 20) + 1, ' '));
  EXPECT_EQ(Reason(), "FILE_TOO_LARGE");
}

TEST_F(CheckpointDirectoryTest, RefusesAnIndexBeyondItsBound) {
  Write("config.json", "{}");
  Write(kTensorIndexFile, "");
  std::filesystem::resize_file(directory_ / kTensorIndexFile, kMaxIndexBytes + 1);
  const ErrorInfo info = GetErrorInfo(Read().status());
  EXPECT_EQ(info.reason, "FILE_TOO_LARGE");
  EXPECT_EQ(info.metadata.at("allowed"), "at most 16777216 bytes");
  std::filesystem::resize_file(directory_ / kTensorIndexFile, kMaxIndexBytes);
  EXPECT_EQ(Reason(), "MODEL_INDEX_INVALID");
}

TEST_F(CheckpointDirectoryTest, GroupsTensorsByLayer) {
  const HostTensor one = HostTensor::Take(DType::kF32, {1}, std::vector<float>{1});
  const auto groups = GroupByLayer({{"a.b.weight", one}, {"a.b.bias", one}, {"c", one}});
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_FALSE(HasQuantizedTensors(groups.at("a.b.")));
  EXPECT_TRUE(HasQuantizedTensors(groups.at("")));
  EXPECT_EQ(ShardFileName(2, 11), "model-00002-of-00011.safetensors");
}

}  // namespace
}  // namespace qtipd
