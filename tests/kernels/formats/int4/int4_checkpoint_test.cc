// Layers in and out, and what is refused.
#include "kernels/formats/int4/int4_checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "kernels/formats/int4/int4_awq.h"
#include "kernels/formats/int4/int4_format.h"

namespace qtipd {
namespace {

using Given = std::map<std::string, OptionValue>;

constexpr int64_t kOut = 24;
constexpr int64_t kIn = 256;

std::vector<uint32_t> RandomWords(size_t count, uint64_t seed) {
  std::vector<uint32_t> words(count);
  for (size_t i = 0; i < count; ++i) {
    words[i] = static_cast<uint32_t>(RandomBits(seed, RandomStream::kTest, i));
  }
  return words;
}

HostTensor Words(std::vector<int64_t> shape, uint64_t seed) {
  const size_t count = shape[0] * shape[1];
  return HostTensor::Take(DType::kI32, std::move(shape), RandomWords(count, seed));
}

HostTensor Same(std::vector<int64_t> shape, uint32_t word) {
  return HostTensor::Take(DType::kI32, shape, std::vector<uint32_t>(shape[0] * shape[1], word));
}

HostTensor Scales(int64_t groups, DType dtype = DType::kF16) {
  std::vector<float> values(groups * kOut);
  FillNormal(9, RandomStream::kTest, 0, values);
  std::vector<uint16_t> bits(values.size());
  std::ranges::transform(values, bits.begin(),
                         dtype == DType::kF16 ? FloatToHalf : FloatToBfloat16);
  return HostTensor::Take(dtype, {groups, kOut}, bits);
}

HostTensor Order(int64_t group_size) {
  std::vector<int32_t> g_idx(kIn);
  for (int64_t col = 0; col < kIn; ++col) g_idx[col] = static_cast<int32_t>(col / group_size);
  return HostTensor::Take(DType::kI32, {kIn}, g_idx);
}

TensorMap Gptq(int64_t group_size = 64, DType dtype = DType::kF16) {
  const int64_t groups = kIn / group_size;
  return {{"qweight", Words({kIn / 8, kOut}, 1)},
          {"qzeros", Words({groups, kOut / 8}, 2)},
          {"scales", Scales(groups, dtype)},
          {"g_idx", Order(group_size)}};
}

TensorMap Awq() {
  return {{"qweight", Words({kIn, kOut / 8}, 3)},
          {"qzeros", Words({4, kOut / 8}, 4)},
          {"scales", Scales(4)}};
}

bool AreEqual(const TensorMap& a, const TensorMap& b) {
  return std::ranges::equal(a, b, [](const auto& left, const auto& right) {
    return left.first == right.first && left.second.dtype() == right.second.dtype() &&
           left.second.shape() == right.second.shape() &&
           std::ranges::equal(left.second.bytes(), right.second.bytes());
  });
}

class Int4Checkpoint : public testing::Test {
 protected:
  // "REASON field", or "accepted".
  std::string Refusal(const TensorMap& tensors, const Given& given = {}) {
    const auto layer = format_->Import(tensors, given);
    if (layer.ok()) return "accepted";
    ErrorInfo info = GetErrorInfo(layer.status());
    allowed_ = info.metadata["allowed"];
    return info.reason + " " + info.metadata["field"];
  }
  // The same with one tensor replaced.
  std::string RefusalOf(const std::string& name, HostTensor tensor) {
    TensorMap tensors = Gptq();
    tensors[name] = std::move(tensor);
    return Refusal(tensors);
  }

  const std::unique_ptr<WeightFormat> format_ = MakeInt4Format();
  std::string allowed_;
};

TEST_F(Int4Checkpoint, LayersOfGptqComeBackByteForByte) {
  for (const int64_t group_size : {int64_t{32}, int64_t{64}, int64_t{128}, kIn}) {
    for (const DType dtype : {DType::kF16, DType::kBF16}) {
      for (const char* version : {"gptq", "gptq_v2"}) {
        const TensorMap tensors = Gptq(group_size, dtype);
        const auto layer = format_->Import(tensors, {{"checkpoint_format", std::string(version)}});
        ASSERT_TRUE(layer.ok()) << layer.status();
        EXPECT_EQ(layer->options.GetInt("group_size"), group_size == kIn ? -1 : group_size);
        EXPECT_FALSE(layer->options.GetBool("symmetric"));
        EXPECT_TRUE(AreEqual(*format_->Export(*layer), tensors)) << group_size << version;
      }
    }
  }
}

TEST_F(Int4Checkpoint, SymmetricLayersKeepNoZeroPointsAndExportThem) {
  for (const uint32_t stored : {0x77777777u, 0x88888888u}) {
    TensorMap tensors = Gptq();
    tensors["qzeros"] = Same({4, kOut / 8}, stored);
    const auto layer = format_->Import(tensors, {});
    ASSERT_TRUE(layer.ok()) << layer.status();
    EXPECT_TRUE(layer->options.GetBool("symmetric"));
    EXPECT_EQ(layer->options.GetString("checkpoint_format"),
              stored == 0x77777777u ? "gptq" : "gptq_v2");
    EXPECT_FALSE(layer->tensors.contains("qzeros"));
    EXPECT_TRUE(AreEqual(*format_->Export(*layer), tensors));
  }
}

TEST_F(Int4Checkpoint, ALayerWithoutOrderIsExportedWithOne) {
  TensorMap tensors = Gptq();
  tensors.erase("g_idx");
  const TensorMap exported = *format_->Export(*format_->Import(tensors, {}));
  tensors["g_idx"] = Order(64);
  EXPECT_TRUE(AreEqual(exported, tensors));
}

TEST_F(Int4Checkpoint, LayersOfAwqAreExportedAsGptqOfTheSameWeights) {
  const auto layer = format_->Import(Awq(), {});
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->options.GetString("checkpoint_format"), "gptq_v2");
  const TensorMap exported = *format_->Export(*layer);
  EXPECT_EQ(exported.at("qweight").shape(), (std::vector<int64_t>{kIn / 8, kOut}));
  const auto again = format_->Import(exported, {{"checkpoint_format", std::string("gptq_v2")}});
  EXPECT_EQ(*format_->ReferenceWeights(*again), *format_->ReferenceWeights(*layer));
}

TEST_F(Int4Checkpoint, ZeroPointsOfAwqAreKeptLessOneWhereAskedFor) {
  TensorMap tensors = Awq();
  const Given gptq = {{"checkpoint_format", std::string("gptq")}};
  EXPECT_EQ(Refusal(tensors, gptq), "TENSOR_VALUE_INVALID qzeros") << "random ones have a 0";
  tensors["qzeros"] = Same({4, kOut / 8}, 0x1F987654);
  const auto one = format_->Import(tensors, gptq), zero = format_->Import(tensors, {});
  ASSERT_TRUE(one.ok() && zero.ok());
  EXPECT_EQ(*format_->ReferenceWeights(*one), *format_->ReferenceWeights(*zero));
}

TEST_F(Int4Checkpoint, RecognisesALayerThatLacksATensorAndNamesIt) {
  for (const char* name : {"qweight", "qzeros", "scales"}) {
    TensorMap tensors = Gptq();
    tensors.erase(name);
    EXPECT_TRUE(format_->Recognises(tensors)) << name;
    EXPECT_EQ(Refusal(tensors), std::string("TENSOR_MISSING ") + name);
  }
  EXPECT_FALSE(format_->Recognises({{"scales", Scales(4)}, {"weight", Scales(4)}}));
}

TEST_F(Int4Checkpoint, RefusesActOrderByName) {
  std::vector<int32_t> order(kIn);
  for (int64_t col = 0; col < kIn; ++col) order[col] = static_cast<int32_t>(col / 64);
  std::swap(order[63], order[64]);
  TensorMap tensors = Gptq();
  tensors["g_idx"] = HostTensor::Take(DType::kI32, {kIn}, order);
  EXPECT_EQ(Refusal(tensors), "LAYER_UNSUPPORTED g_idx");
  EXPECT_NE(allowed_.find("not supported"), std::string::npos) << allowed_;
  EXPECT_EQ(format_->Import(tensors, {}).status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(Int4Checkpoint, RefusesABiasAndForeignTensorsByName) {
  EXPECT_EQ(RefusalOf("bias", Scales(1)), "LAYER_UNSUPPORTED bias");
  EXPECT_EQ(RefusalOf("trellis", Scales(1)), "TENSOR_UNKNOWN trellis");
}

TEST_F(Int4Checkpoint, NamesTheTensorOfAnotherType) {
  for (const char* name : {"qweight", "qzeros", "g_idx"}) {
    TensorMap tensors = Gptq();
    const HostTensor& right = tensors[name];
    tensors[name] = HostTensor::Copy(DType::kF32, right.shape(), right.bytes());
    EXPECT_EQ(Refusal(tensors), std::string("TENSOR_DTYPE_UNSUPPORTED ") + name);
  }
  EXPECT_EQ(RefusalOf("scales", Same({4, kOut}, 0)), "TENSOR_DTYPE_UNSUPPORTED scales");
  EXPECT_EQ(allowed_, "F16, BF16");
}

TEST_F(Int4Checkpoint, NamesTheTensorOfAnotherShape) {
  EXPECT_EQ(RefusalOf("qweight", Words({kIn / 8, kOut + 8}, 1)), "TENSOR_SHAPE_INVALID qweight");
  EXPECT_EQ(RefusalOf("qweight", Words({kIn / 8 + 1, kOut}, 1)), "TENSOR_SHAPE_INVALID scales");
  EXPECT_EQ(RefusalOf("qzeros", Words({4, kOut}, 1)), "TENSOR_SHAPE_INVALID qzeros");
  EXPECT_EQ(RefusalOf("qzeros", Words({3, kOut / 8}, 1)), "TENSOR_SHAPE_INVALID qzeros");
  EXPECT_EQ(RefusalOf("g_idx", Words({kIn, 1}, 1)), "TENSOR_SHAPE_INVALID g_idx");
  TensorMap tensors = Gptq();
  tensors["scales"] = Scales(16);
  tensors["qzeros"] = Words({16, kOut / 8}, 1);
  EXPECT_EQ(Refusal(tensors), "TENSOR_SHAPE_INVALID scales") << "groups of 16";
  EXPECT_EQ(allowed_, "groups of 32, 64, 128 or all of the 256 in_features");
}

// A file's header can say anything of the bytes.
TEST_F(Int4Checkpoint, RefusesShapesThatTheirBytesDoNotFill) {
  for (const char* name : {"qweight", "qzeros", "scales", "g_idx"}) {
    const TensorMap right = Gptq();
    const auto bytes = right.at(name).bytes();
    for (const std::vector<int64_t>& shape :
         {std::vector<int64_t>{int64_t{1} << 62, 8}, {-1, -1}, {0, 24}, {}}) {
      TensorMap tensors = right;
      tensors[name] = HostTensor::Copy(right.at(name).dtype(), shape, bytes);
      EXPECT_EQ(Refusal(tensors), std::string("TENSOR_SHAPE_INVALID ") + name);
    }
    TensorMap tensors = right;
    tensors[name] = HostTensor::Copy(right.at(name).dtype(), right.at(name).shape(),
                                     bytes.first(bytes.size() - 3));
    EXPECT_EQ(Refusal(tensors), std::string("TENSOR_SHAPE_INVALID ") + name);
  }
}

TEST_F(Int4Checkpoint, RefusesScalesThatAreNoNumbers) {
  std::vector<uint16_t> half(4 * kOut, FloatToHalf(1));
  half[5] = 0x7C00;
  EXPECT_EQ(RefusalOf("scales", HostTensor::Take(DType::kF16, {4, kOut}, half)),
            "TENSOR_NOT_FINITE scales");
  std::vector<uint16_t> wide(4 * kOut, FloatToBfloat16(1));
  wide[7] = FloatToBfloat16(3e38F);
  EXPECT_EQ(RefusalOf("scales", HostTensor::Take(DType::kBF16, {4, kOut}, wide)),
            "TENSOR_VALUE_INVALID scales");
}

TEST_F(Int4Checkpoint, RefusesOptionsThatContradictTheTensors) {
  const TensorMap tensors = Gptq();
  EXPECT_EQ(Refusal(tensors, {{"group_size", int64_t{64}}}), "accepted");
  EXPECT_EQ(Refusal(tensors, {{"group_size", int64_t{128}}}), "OPTION_INVALID group_size");
  EXPECT_EQ(Refusal(tensors, {{"group_size", int64_t{-1}}}), "OPTION_INVALID group_size");
  EXPECT_EQ(Refusal(tensors, {{"group_size", int64_t{48}}}), "OPTION_INVALID group_size");
  EXPECT_EQ(Refusal(tensors, {{"scale_dtype", std::string("bf16")}}), "OPTION_INVALID scale_dtype");
  EXPECT_EQ(Refusal(tensors, {{"symmetric", true}}), "OPTION_INVALID symmetric");
  EXPECT_EQ(Refusal(tensors, {{"damping", 0.01}}), "OPTION_INVALID damping");
  EXPECT_EQ(Refusal(tensors, {{"checkpoint_format", std::string("awq")}}),
            "OPTION_INVALID checkpoint_format");
}

TEST_F(Int4Checkpoint, AStoredLayerWhoseTensorsDoNotFitIsRefused) {
  const PackedLayer layer = *format_->Import(Gptq(), {});
  EXPECT_TRUE(format_->Validate(layer).ok());
  PackedLayer other = layer;
  other.shape = {kOut, 2 * kIn};
  EXPECT_EQ(GetErrorInfo(format_->Validate(other)).reason, "TENSOR_SHAPE_INVALID");
  other = layer;
  other.tensors.erase("qzeros");
  EXPECT_EQ(GetErrorInfo(format_->Validate(other)).reason, "TENSOR_MISSING");
  EXPECT_EQ(GetErrorInfo(format_->Export(other).status()).reason, "TENSOR_MISSING");
  other = layer;
  other.tensors["g_idx"] = Order(64);
  EXPECT_EQ(GetErrorInfo(format_->Validate(other)).reason, "TENSOR_UNKNOWN");
}

TEST_F(Int4Checkpoint, NamesTheShapesThatItTakes) {
  const auto refusal = [&](int64_t group_size, Shape shape) {
    const Options options = *CheckOptions(format_->schema(), {{"group_size", group_size}});
    ErrorInfo info = GetErrorInfo(format_->CheckShape(options, shape));
    return info.metadata["field"] + ": " + info.metadata["allowed"];
  };
  EXPECT_EQ(refusal(128, {8, 192}),
            "group_size: 32, 64 or -1 (one group a row) for 192 in_features");
  EXPECT_EQ(refusal(64, {8, 40}), "group_size: -1 (one group a row) for 40 in_features");
  EXPECT_EQ(refusal(-1, {8, 44}), "in_features: multiples of 8, the nearest 40 or 48");
  EXPECT_EQ(refusal(32, {3, 64}), "out_features: multiples of 8, the nearest 8");
  const Options options = *CheckOptions(format_->schema(), {{"group_size", int64_t{-1}}});
  EXPECT_TRUE(format_->CheckShape(options, {8, 40}).ok());
}

// Import of tensors with one thing changed at random either gives a layer that is whole, or an
// error with a reason that is documented for it.
TEST_F(Int4Checkpoint, MutatedTensorsAreRefusedOrWhole) {
  const auto pick = [](uint64_t round, uint64_t what, uint64_t of) {
    return RandomBits(77, RandomStream::kTest, round * 16 + what) % of;
  };
  const char* names[] = {"qweight", "qzeros", "scales", "g_idx"};
  constexpr DType kTypes[] = {DType::kI32, DType::kF16, DType::kBF16, DType::kU8, DType::kF64};
  int refused = 0;
  for (uint64_t round = 0; round < 2000; ++round) {
    TensorMap tensors = pick(round, 0, 2) == 0 ? Gptq() : Awq();
    const std::string name = names[pick(round, 1, 4)];
    if (!tensors.contains(name)) continue;
    HostTensor& tensor = tensors[name];
    std::vector<std::byte> bytes(tensor.bytes().begin(), tensor.bytes().end());
    std::vector<int64_t> shape = tensor.shape();
    DType dtype = tensor.dtype();
    switch (pick(round, 2, 5)) {
      case 0:
        bytes.resize(pick(round, 3, bytes.size() + 1));
        break;
      case 1:
        shape[pick(round, 3, shape.size())] = static_cast<int64_t>(pick(round, 4, 300)) - 4;
        break;
      case 2:
        dtype = kTypes[pick(round, 3, 5)];
        break;
      case 3:
        bytes[pick(round, 3, bytes.size())] = static_cast<std::byte>(pick(round, 4, 256));
        break;
      default:
        shape.resize(pick(round, 3, 4), 8);
    }
    tensor = HostTensor::Copy(dtype, shape, bytes);
    const auto layer = format_->Import(tensors, {});
    if (layer.ok()) {
      EXPECT_TRUE(format_->Validate(*layer).ok());
      EXPECT_EQ(format_->ReferenceWeights(*layer)->size(),
                static_cast<size_t>(layer->shape.out_features * layer->shape.in_features));
      continue;
    }
    ++refused;
    const std::string reason = GetErrorInfo(layer.status()).reason;
    EXPECT_TRUE(reason.starts_with("TENSOR_") || reason == "LAYER_UNSUPPORTED") << reason;
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace qtipd
