// Checkpoint layers: what is read off them, what comes back, and every way in which they are
// refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "kernels/api/error.h"
#include "kernels/formats/lut/lut_layer.h"
#include "tests/kernels/formats/lut/lut_test_layers.h"

namespace qtipd {
namespace {

constexpr Shape kShape = {6, 256};

class LutImport : public testing::Test {
 protected:
  // "REASON field", or "accepted".
  std::string Refusal(const TensorMap& tensors,
                      const std::map<std::string, OptionValue>& given = {}) {
    const auto layer = format_->Import(tensors, given);
    if (layer.ok()) return "accepted";
    const ErrorInfo info = GetErrorInfo(layer.status());
    EXPECT_FALSE(info.metadata.at("got").empty());
    EXPECT_FALSE(info.metadata.at("allowed").empty());
    return info.reason + " " + info.metadata.at("field");
  }

  TensorMap With(const std::string& name, HostTensor tensor) {
    TensorMap tensors = good_;
    tensors[name] = std::move(tensor);
    return tensors;
  }

  const std::unique_ptr<WeightFormat> format_ = MakeLutFormat();
  const TensorMap good_ = RandomTensors({}, kShape);
};

TEST_F(LutImport, ComesBackByteForByteForEveryKindOfLayer) {
  for (const int bits : {1, 2, 3, 4, 8}) {
    for (const int64_t block : {0, 32, 64, 128}) {
      for (const bool is_per_channel : {false, true}) {
        for (const DType dtype : {DType::kF16, DType::kBF16}) {
          if (block == 0 && dtype == DType::kBF16) continue;
          const LutSpec spec = {bits, block, is_per_channel, dtype};
          const TensorMap tensors = RandomTensors(spec, kShape);
          EXPECT_TRUE(format_->Recognises(tensors));
          const auto layer = format_->Import(tensors, {});
          ASSERT_TRUE(layer.ok()) << layer.status();
          EXPECT_EQ(layer->shape, kShape);
          EXPECT_EQ(LutSpecOf(layer->options), spec);
          EXPECT_TRUE(format_->Validate(*layer).ok());
          const auto exported = format_->Export(*layer);
          ASSERT_TRUE(exported.ok());
          ASSERT_EQ(exported->size(), tensors.size());
          for (const auto& [name, tensor] : tensors) {
            EXPECT_EQ(exported->at(name).dtype(), tensor.dtype()) << name;
            EXPECT_EQ(exported->at(name).shape(), tensor.shape()) << name;
            EXPECT_TRUE(std::ranges::equal(exported->at(name).bytes(), tensor.bytes())) << name;
          }
        }
      }
    }
  }
}

TEST_F(LutImport, DecodesAsWritten) {
  const PackedLayer layer = *format_->Import(good_, {});
  const std::vector<float> weights = *format_->ReferenceWeights(layer);
  const std::vector<float> codebook = good_.at("codebook").ToFloat();
  const std::vector<float> scales = good_.at("scales").ToFloat();
  const auto* indices = reinterpret_cast<const uint8_t*>(good_.at("indices").bytes().data());
  for (int64_t i = 0; i < 6 * 256; ++i) {
    const int index = indices[i / 2] >> (4 * (i % 2)) & 15;
    EXPECT_EQ(weights[i], codebook[index] * scales[i / 64]);
  }
}

TEST_F(LutImport, NamesAMissingTensor) {
  for (const char* name : {"indices", "codebook", "shape"}) {
    TensorMap tensors = good_;
    tensors.erase(name);
    EXPECT_TRUE(format_->Recognises(tensors)) << name;
    EXPECT_EQ(Refusal(tensors), std::string("TENSOR_MISSING ") + name);
  }
  EXPECT_FALSE(format_->Recognises({{"trellis", good_.at("indices")}}));
}

TEST_F(LutImport, LosesNoForeignTensor) {
  EXPECT_EQ(Refusal(With("bias", good_.at("shape"))), "TENSOR_UNKNOWN bias");
}

TEST_F(LutImport, RefusesOtherElementTypes) {
  EXPECT_EQ(
      Refusal(With("indices", HostTensor::Take(DType::kI8, {6, 128}, std::vector<int8_t>(768)))),
      "TENSOR_DTYPE_UNSUPPORTED indices");
  EXPECT_EQ(Refusal(With("codebook", HostTensor::Take(DType::kF32, {16}, std::vector<float>(16)))),
            "TENSOR_DTYPE_UNSUPPORTED codebook");
  EXPECT_EQ(Refusal(With("scales", HostTensor::Take(DType::kF32, {6, 4}, std::vector<float>(24)))),
            "TENSOR_DTYPE_UNSUPPORTED scales");
  EXPECT_EQ(Refusal(With("shape", HostTensor::Take(DType::kI32, {2}, std::vector<int32_t>(2)))),
            "TENSOR_DTYPE_UNSUPPORTED shape");
}

TEST_F(LutImport, RefusesShapesThatDoNotFit) {
  const auto halves = [](std::vector<int64_t> shape, size_t count) {
    return HostTensor::Take(DType::kF16, std::move(shape), std::vector<uint16_t>(count));
  };
  const auto bytes = [](std::vector<int64_t> shape, size_t count) {
    return HostTensor::Take(DType::kU8, std::move(shape), std::vector<uint8_t>(count));
  };
  // Entries that are no number of bits, or rows of another layer.
  for (const HostTensor& codebook : {halves({15}, 15), halves({32}, 32), halves({5, 16}, 80),
                                     halves({1, 6, 16}, 96), halves({}, 1)}) {
    EXPECT_EQ(Refusal(With("codebook", codebook)), "TENSOR_SHAPE_INVALID codebook");
  }
  // Of 8 entries are 3 bits, of which there are other bytes.
  EXPECT_EQ(Refusal(With("codebook", halves({8}, 8))), "TENSOR_SHAPE_INVALID indices");
  EXPECT_EQ(Refusal(With("indices", bytes({6, 127}, 762))), "TENSOR_SHAPE_INVALID indices");
  EXPECT_EQ(Refusal(With("indices", bytes({768}, 768))), "TENSOR_SHAPE_INVALID indices");
  for (const HostTensor& scales :
       {halves({6, 3}, 18), halves({5, 4}, 20), halves({24}, 24), halves({6, 256}, 1536)}) {
    EXPECT_EQ(Refusal(With("scales", scales)), "TENSOR_SHAPE_INVALID scales");
  }
  EXPECT_EQ(Refusal(With("shape", HostTensor::Take(DType::kI64, {1}, std::vector<int64_t>(1)))),
            "TENSOR_SHAPE_INVALID shape");
}

TEST_F(LutImport, RefusesTensorsThatLieAboutTheirElements) {
  EXPECT_EQ(
      Refusal(With("indices", HostTensor::Take(DType::kU8, {6, 128}, std::vector<uint8_t>(767)))),
      "TENSOR_SHAPE_INVALID indices");
  const int64_t huge = int64_t{1} << 62;
  EXPECT_EQ(Refusal(With("codebook", HostTensor::Take(DType::kF16, {huge, huge, 16},
                                                      std::vector<uint16_t>(16)))),
            "TENSOR_SHAPE_INVALID codebook");
}

TEST_F(LutImport, RefusesImpossibleSizes) {
  const auto shape = [](int64_t out, int64_t in) {
    return HostTensor::Take(DType::kI64, {2}, std::vector<int64_t>{out, in});
  };
  for (const auto& [out, in] : {std::pair<int64_t, int64_t>{0, 256},
                                {-6, 256},
                                {6, -1},
                                {int64_t{1} << 40, int64_t{1} << 40},
                                {6, 250}}) {
    EXPECT_EQ(Refusal(With("shape", shape(out, in))), "TENSOR_VALUE_INVALID shape") << out;
  }
  EXPECT_EQ(Refusal(With("shape", shape(6, 512))), "TENSOR_SHAPE_INVALID indices");
  EXPECT_EQ(Refusal(RandomTensors({.bits = 8}, {1, 128})), "CODEBOOK_TOO_LARGE bits");
}

TEST_F(LutImport, RefusesEntriesAndScalesThatAreNoNumbers) {
  for (const char* name : {"codebook", "scales"}) {
    for (const uint16_t bits : {uint16_t{0x7C00}, uint16_t{0xFC00}, uint16_t{0x7E00}}) {
      std::vector<uint16_t> halves(good_.at(name).element_count());
      halves[3] = bits;
      EXPECT_EQ(Refusal(With(name, HostTensor::Take(DType::kF16, good_.at(name).shape(), halves))),
                std::string("TENSOR_NOT_FINITE ") + name);
    }
  }
}

TEST_F(LutImport, RefusesOptionsThatContradictTheTensors) {
  const auto text = [](const char* value) { return OptionValue(std::string(value)); };
  EXPECT_EQ(Refusal(good_, {{"bits", int64_t{4}}, {"scale", text("rms")}}), "accepted");
  EXPECT_EQ(Refusal(good_, {{"bits", int64_t{3}}}), "OPTION_INVALID bits");
  EXPECT_EQ(Refusal(good_, {{"bits", int64_t{5}}}), "OPTION_INVALID bits");
  EXPECT_EQ(Refusal(good_, {{"block_size", int64_t{32}}}), "OPTION_INVALID block_size");
  EXPECT_EQ(Refusal(good_, {{"codebook_per", text("channel")}}), "OPTION_INVALID codebook_per");
  EXPECT_EQ(Refusal(good_, {{"scale_dtype", text("bf16")}}), "OPTION_INVALID scale_dtype");
  EXPECT_EQ(Refusal(good_, {{"codebook", text("uniform")}}), "OPTION_INVALID codebook");
  EXPECT_EQ(Refusal(good_, {{"refine_rounds", int64_t{1}}}), "OPTION_INVALID refine_rounds");
  EXPECT_EQ(Refusal(good_, {{"sigma_reg", 0.5}}), "OPTION_INVALID sigma_reg");
  EXPECT_EQ(Refusal(good_, {{"group_size", int64_t{64}}}), "OPTION_UNKNOWN option");
}

TEST_F(LutImport, ReadsOffEqualSteps) {
  std::vector<uint16_t> steps;
  for (int i = 0; i < 16; ++i) {
    steps.push_back(FloatToHalf(0.7F * (2.0F * static_cast<float>(i) / 15 - 1)));
  }
  const auto layer =
      format_->Import(With("codebook", HostTensor::Take(DType::kF16, {16}, steps)), {});
  ASSERT_TRUE(layer.ok());
  EXPECT_EQ(layer->options.GetString("codebook"), "uniform");
  EXPECT_EQ(format_->Import(good_, {})->options.GetString("codebook"), "kmeans");
}

TEST_F(LutImport, RefusesAStoredLayerWhoseShapeOrOptionsLie) {
  PackedLayer layer = *format_->Import(good_, {});
  layer.shape = {12, 128};
  EXPECT_EQ(GetErrorInfo(format_->Validate(layer)).reason, "SHAPE_MISMATCH");
  layer.shape = kShape;
  layer.options = LutOptions({{"block_size", int64_t{128}}});
  EXPECT_EQ(GetErrorInfo(format_->Validate(layer)).reason, "OPTION_INVALID");
}

TEST_F(LutImport, RefusesActivationsOfTheWrongLength) {
  const PackedLayer layer = *format_->Import(good_, {});
  EXPECT_EQ(
      GetErrorInfo(format_->ReferenceMultiply(layer, std::vector<float>(255), 1).status()).reason,
      "SHAPE_MISMATCH");
}

// A tensor of another dtype, shape, length or content in the place of a good one.
HostTensor Mutated(const HostTensor& tensor, std::mt19937& random) {
  std::vector<std::byte> bytes(tensor.bytes().begin(), tensor.bytes().end());
  std::vector<int64_t> shape = tensor.shape();
  DType dtype = tensor.dtype();
  const auto any = [&](size_t count) { return random() % std::max<size_t>(count, 1); };
  switch (random() % 6) {
    case 0:
      for (int i = 0; i < 4 && !bytes.empty(); ++i) bytes[any(bytes.size())] = std::byte(random());
      break;
    case 1:
      bytes.resize(any(2 * bytes.size()));
      break;
    case 2:
      dtype = static_cast<DType>(any(static_cast<size_t>(DType::kF64) + 1));
      break;
    case 3:
      if (!shape.empty()) shape[any(shape.size())] = static_cast<int64_t>(random()) - (1 << 30);
      break;
    case 4:
      shape.push_back(static_cast<int64_t>(any(4)));
      break;
    default:
      if (!shape.empty()) shape.pop_back();
  }
  return HostTensor::Copy(dtype, shape, bytes);
}

// Under the address sanitizer a read beyond a tensor ends the test.
TEST_F(LutImport, OfMutatedTensorsIsRefusedWithAReasonOrWhole) {
  std::mt19937 random(1);
  int refused = 0;
  constexpr int kRounds = 4000;
  for (int round = 0; round < kRounds; ++round) {
    const LutSpec spec = {std::vector{1, 2, 3, 4, 8}[round % 5], round % 2 == 0 ? 64 : 0,
                          round % 3 == 0, DType::kF16};
    TensorMap tensors = RandomTensors(spec, kShape, round);
    for (uint32_t i = 0; i <= random() % 2; ++i) {
      auto it = std::next(tensors.begin(), random() % tensors.size());
      it->second = Mutated(it->second, random);
    }
    const auto layer = format_->Import(tensors, {});
    if (!layer.ok()) {
      ++refused;
      EXPECT_TRUE(absl::IsInvalidArgument(layer.status())) << layer.status();
      EXPECT_NE(GetErrorInfo(layer.status()).reason, "INVALID_ARGUMENT") << layer.status();
      continue;
    }
    const auto weights = format_->ReferenceWeights(*layer);
    ASSERT_TRUE(weights.ok()) << weights.status();
    EXPECT_TRUE(std::ranges::all_of(*weights, [](float w) { return std::isfinite(w); }));
  }
  EXPECT_GT(refused, kRounds / 4);
  EXPECT_LT(refused, kRounds);
}

}  // namespace
}  // namespace qtipd
