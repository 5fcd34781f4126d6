#include "kernels/io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "kernels/api/error.h"
#include "kernels/io/mapped_file.h"

namespace qtipd {
namespace {

using ::testing::HasSubstr;

TensorMap SmallTensors() {
  return {{"b", HostTensor::Take<float>(DType::kF32, {2, 3}, {1, 2, 3, 4, 5, 6})},
          {"a", HostTensor::Take<uint16_t>(DType::kF16, {3}, {0x3C00, 0, 0x8000})},
          {"none", HostTensor::Take<float>(DType::kF32, {0, 4}, {})},
          {"one", HostTensor::Take<int64_t>(DType::kI64, {}, {7})}};
}

// A file with this header text and `data_bytes` of zeros after it.
std::vector<std::byte> FileWith(const std::string& header, size_t data_bytes) {
  std::vector<std::byte> file(8 + header.size() + data_bytes);
  const uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, header.data(), header.size());
  return file;
}

absl::Status ParseStatus(std::span<const std::byte> bytes) {
  return ParseSafetensors(bytes, nullptr, "f.safetensors").status();
}

std::string HeaderOf(const std::string& dtype, const std::string& shape,
                     const std::string& offsets) {
  return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

void ExpectInvalid(const std::vector<std::byte>& file, const std::string& text,
                   absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const absl::Status status = ParseStatus(file);
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_EQ(GetErrorInfo(status).reason, "SAFETENSORS_INVALID") << status;
  EXPECT_EQ(GetErrorInfo(status).metadata["file"], "f.safetensors");
  EXPECT_THAT(std::string(status.message()), HasSubstr(text));
}

std::string WriteTemporary(const std::string& name, std::span<const std::byte> bytes) {
  const std::string path = testing::TempDir() + name;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
  return path;
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const auto bytes = BuildSafetensors(SmallTensors(), {{"seed", "42"}});
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto file = ReadSafetensors(WriteTemporary("round_trip.safetensors", *bytes));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata, (SafetensorsMetadata{{"seed", "42"}}));
  ASSERT_EQ(file->tensors.size(), 4);
  EXPECT_EQ(file->tensors.at("b").ToFloat(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file->tensors.at("b").ShapeText(), "[2, 3]");
  EXPECT_EQ(file->tensors.at("a").dtype(), DType::kF16);
  EXPECT_EQ(file->tensors.at("one").element_count(), 1);
  EXPECT_EQ(file->tensors.at("none").element_count(), 0);
}

TEST(Safetensors, WritesTheSameBytesTwiceWithEveryTensorAligned) {
  const auto first = BuildSafetensors(SmallTensors(), {{"k", "v"}});
  const auto second = BuildSafetensors(SmallTensors(), {{"k", "v"}});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
  const auto header = ParseSafetensorsHeader(*first, first->size(), "f");
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->tensors.at("one").begin % 64, 0);  // largest elements come first
  for (const auto& [name, entry] : header->tensors) {
    EXPECT_EQ(entry.begin % DTypeSize(entry.dtype), 0) << name;
  }
}

TEST(Safetensors, StopsWritingWhenTheSinkFails) {
  int calls = 0;
  const absl::Status status = WriteSafetensors(SmallTensors(), {}, [&](std::span<const std::byte>) {
    return ++calls == 2 ? absl::ResourceExhaustedError("disk full") : absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(calls, 2);
}

TEST(Safetensors, RefusesToWriteATensorWhoseBytesDoNotMatchItsShape) {
  const float value = 0;
  const HostTensor wrong = HostTensor::Copy(DType::kF32, {2}, std::as_bytes(std::span(&value, 1)));
  EXPECT_EQ(GetErrorInfo(BuildSafetensors({{"w", wrong}}).status()).reason, "SAFETENSORS_INVALID");
  const HostTensor right = HostTensor::Copy(DType::kF32, {1}, std::as_bytes(std::span(&value, 1)));
  EXPECT_FALSE(BuildSafetensors({{"__metadata__", right}}).ok());
}

TEST(Safetensors, RefusesEveryTruncationOfAValidFile) {
  const auto bytes = BuildSafetensors(SmallTensors(), {{"k", "v"}});
  ASSERT_TRUE(bytes.ok());
  for (size_t length = 0; length < bytes->size(); ++length) {
    const absl::Status status = ParseStatus(std::span(*bytes).first(length));
    ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << "length " << length << ": " << status;
    ASSERT_EQ(GetErrorInfo(status).reason, "SAFETENSORS_INVALID");
  }
}

TEST(Safetensors, RefusesAHeaderLongerThanTheFileOrTheBound) {
  std::vector<std::byte> file = FileWith("{}", 0);
  const uint64_t beyond_file = 3;
  std::memcpy(file.data(), &beyond_file, 8);
  ExpectInvalid(file, "header of 3 bytes", absl::StatusCode::kDataLoss);
  const uint64_t beyond_bound = ~uint64_t{0};
  std::memcpy(file.data(), &beyond_bound, 8);
  ExpectInvalid(file, "at most 100000000");
}

TEST(Safetensors, RefusesHeadersThatAreNotSafetensors) {
  for (const std::string header : {"", "[]", "1", "{", "{\"w\":", "{\"w\":{\"x\":[[[[1]]]]}}"}) {
    ExpectInvalid(FileWith(header, 0), "not a JSON object");
  }
  ExpectInvalid(FileWith(std::string(1 << 20, '['), 0), "not a JSON object");
  ExpectInvalid(FileWith(R"({"w":1})", 0), "no object");
  ExpectInvalid(FileWith(R"({"__metadata__":{"a":1}})", 0), "__metadata__ entry a");
  ExpectInvalid(FileWith(R"({"__metadata__":[]})", 0), "__metadata__");
}

TEST(Safetensors, RefusesADuplicateName) {
  const std::string entry = R"("w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  ExpectInvalid(FileWith("{" + entry + "," + entry + "}", 1), "the name twice");
}

TEST(Safetensors, RefusesUnknownDtypes) {
  ExpectInvalid(FileWith(HeaderOf("F8_E4M3", "[1]", "[0,1]"), 1), "dtype F8_E4M3");
  ExpectInvalid(FileWith(R"({"w":{"shape":[1],"data_offsets":[0,1]}})", 1), "no dtype");
}

TEST(Safetensors, RefusesOffsetsOutsideTheFile) {
  ExpectInvalid(FileWith(HeaderOf("U8", "[8]", "[0,8]"), 7), "within the 7 bytes",
                absl::StatusCode::kDataLoss);
  ExpectInvalid(FileWith(HeaderOf("U8", "[8]", "[8,0]"), 8), "begin <= end");
  ExpectInvalid(FileWith(HeaderOf("U8", "[8]", "[-1,7]"), 8), "no data_offsets");
  ExpectInvalid(FileWith(HeaderOf("U8", "[8]", "[0,8,9]"), 8), "no data_offsets");
  ExpectInvalid(FileWith(HeaderOf("U8", "[8]", "[0,1e30]"), 8), "no data_offsets");
}

TEST(Safetensors, RefusesAShapeThatDoesNotMatchItsBytes) {
  ExpectInvalid(FileWith(HeaderOf("F32", "[3]", "[0,8]"), 8), "the 12 of its shape");
  ExpectInvalid(FileWith(HeaderOf("F32", "[4611686018427387904,4]", "[0,0]"), 0), "2^64");
  ExpectInvalid(FileWith(HeaderOf("F32", "[4294967296,4294967296]", "[0,0]"), 0), "2^64");
  ExpectInvalid(FileWith(HeaderOf("F32", "[-2]", "[0,8]"), 8), "no size");
  ExpectInvalid(FileWith(HeaderOf("F32", "[2.0]", "[0,8]"), 8), "no size");
  ExpectInvalid(FileWith(HeaderOf("F32", "8", "[0,8]"), 8), "no shape");
}

TEST(Safetensors, RefusesOverlapsHolesAndTrailingBytes) {
  const auto two = [](const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],)"
           R"("data_offsets":)" +
           second + "}}";
  };
  EXPECT_TRUE(ParseStatus(FileWith(two("[4,8]"), 8)).ok());
  ExpectInvalid(FileWith(two("[2,6]"), 6), "where the tensor before it ends");
  ExpectInvalid(FileWith(two("[5,9]"), 9), "where the tensor before it ends");
  ExpectInvalid(FileWith(two("[4,8]"), 11), "3 bytes after the last tensor");
}

TEST(Safetensors, ErrorsNameTheTensorAndWhatIsWrong) {
  const absl::Status status = ParseStatus(FileWith(HeaderOf("F32", "[3]", "[0,8]"), 8));
  EXPECT_EQ(GetErrorInfo(status).metadata["tensor"], "w");
  EXPECT_EQ(GetErrorInfo(status).metadata["what"],
            "got 8 bytes, allowed the 12 of its shape and dtype");
}

TEST(Safetensors, ReadsAHeaderWithoutTheData) {
  const auto bytes = BuildSafetensors(SmallTensors(), {{"k", "v"}});
  ASSERT_TRUE(bytes.ok());
  const auto header = ReadSafetensorsHeader(WriteTemporary("header.safetensors", *bytes));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->metadata.at("k"), "v");
  EXPECT_EQ(header->tensors.at("b").end - header->tensors.at("b").begin, 24);
  EXPECT_EQ(header->tensors.at("b").shape, (std::vector<int64_t>{2, 3}));
}

TEST(Safetensors, NamesAFileThatCannotBeRead) {
  const absl::Status missing = ReadSafetensors("/nowhere/x.safetensors").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(GetErrorInfo(missing).reason, "FILE_NOT_FOUND");
  EXPECT_EQ(GetErrorInfo(ReadSafetensors(testing::TempDir()).status()).reason, "FILE_UNREADABLE");
  EXPECT_EQ(GetErrorInfo(ReadSafetensors("/dev/zero").status()).reason, "FILE_UNREADABLE");
}

TEST(Safetensors, TensorsOutliveTheFileObject) {
  const auto bytes = BuildSafetensors(SmallTensors());
  ASSERT_TRUE(bytes.ok());
  HostTensor kept;
  {
    auto file = ReadSafetensors(WriteTemporary("kept.safetensors", *bytes));
    ASSERT_TRUE(file.ok());
    kept = file->tensors.at("b");
  }
  EXPECT_EQ(kept.ToFloat().back(), 6);
}

TEST(Safetensors, DroppedPagesReadTheSameAgain) {
  std::vector<float> values(100'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const auto bytes = BuildSafetensors({{"x", HostTensor::Take(DType::kF32, {100'000}, values)}});
  const auto file = ReadSafetensors(WriteTemporary("dropped.safetensors", *bytes));
  ASSERT_TRUE(file.ok()) << file.status();
  const HostTensor& x = file->tensors.at("x");
  EXPECT_EQ(x.ToFloat(), values);
  DropMappedPages(x.bytes());
  DropMappedPages(x.bytes().first(3));  // no whole page
  EXPECT_EQ(x.ToFloat(), values);
}

TEST(Safetensors, AHeaderMayBeWrittenBeforeItsData) {
  const std::vector<double> values = {1, 2, 3, 4, 5};
  std::vector<std::byte> bytes;
  const ByteSink sink = [&](std::span<const std::byte> part) {
    bytes.insert(bytes.end(), part.begin(), part.end());
    return absl::OkStatus();
  };
  ASSERT_TRUE(WriteSafetensorsHeader({{"a", DType::kF64, {2}}, {"b", DType::kF64, {3, 1}}},
                                     {{"k", "v"}}, sink)
                  .ok());
  EXPECT_EQ(bytes.size() % 64, 0u);
  ASSERT_TRUE(sink(std::as_bytes(std::span(values))).ok());
  const auto file = ParseSafetensors(bytes, nullptr, "f");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata.at("k"), "v");
  EXPECT_EQ(file->tensors.at("b").ToFloat(), (std::vector<float>{3, 4, 5}));
}

TEST(Safetensors, FindTensorOffersNearNames) {
  const TensorMap tensors = {{"layer.weight", {}}, {"layer.bias", {}}};
  EXPECT_TRUE(FindTensor(tensors, "layer.bias", "f").ok());
  const absl::Status status = FindTensor(tensors, "layer.wieght", "f.safetensors").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(GetErrorInfo(status).reason, "TENSOR_NOT_FOUND");
  EXPECT_EQ(std::string(status.message()),
            "tensor of f.safetensors: got layer.wieght, allowed layer.weight, layer.bias");
  EXPECT_THAT(std::string(FindTensor({}, "w", "f").status().message()), HasSubstr("no tensors"));
}

}  // namespace
}  // namespace qtipd
