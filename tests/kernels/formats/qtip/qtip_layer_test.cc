#include "kernels/formats/qtip/qtip_layer.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

QtipLayer SmallLayer(int bits) {
  QtipLayer layer;
  layer.shape = {64, 32};
  layer.spec.bits = bits;
  layer.trellis.resize(QtipTrellisWords(64, 32, bits));
  for (size_t i = 0; i < layer.trellis.size(); ++i) layer.trellis[i] = static_cast<uint16_t>(i * 7);
  layer.su.assign(32, -1.0f);
  layer.sv.assign(64, 0.25f);
  layer.tlut.assign(kQtipLutValues, FloatToHalf(0.5f));
  return layer;
}

TensorMap SmallTensors() { return QtipTensors(SmallLayer(2)); }

// The reason and field of the error that `tensors` meet.
std::string Refusal(const TensorMap& tensors, const QtipCodeChoice& choice = {}) {
  const auto layer = ParseQtipTensors(tensors, choice);
  if (layer.ok()) return "accepted";
  ErrorInfo info = GetErrorInfo(layer.status());
  return info.reason + " " + info.metadata["field"];
}

TEST(QtipLayer, SurvivesARoundTripThroughItsTensors) {
  for (int bits : {2, 3, 4}) {
    const QtipLayer layer = SmallLayer(bits);
    const auto again = ParseQtipTensors(QtipTensors(layer));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->shape, layer.shape);
    EXPECT_EQ(again->spec, layer.spec);
    EXPECT_EQ(again->trellis, layer.trellis);
    EXPECT_EQ(again->su, layer.su);
    EXPECT_EQ(again->sv, layer.sv);
    EXPECT_EQ(again->tlut, layer.tlut);
  }
}

TEST(QtipLayer, WritesTheTensorsOfACheckpoint) {
  const TensorMap tensors = SmallTensors();
  EXPECT_EQ(tensors.at("trellis").dtype(), DType::kI16);
  EXPECT_EQ(tensors.at("trellis").ShapeText(), "[8, 32]");
  EXPECT_EQ(tensors.at("SU").dtype(), DType::kF32);
  EXPECT_EQ(tensors.at("SV").ShapeText(), "[64]");
  EXPECT_EQ(tensors.at("tlut").dtype(), DType::kF16);
  EXPECT_EQ(tensors.at("tlut").ShapeText(), "[512, 2]");
  EXPECT_EQ(tensors.at("rcp").dtype(), DType::kI64);
  EXPECT_EQ(tensors.at("rcp").ShapeText(), "[]");
  EXPECT_EQ(tensors.at("tp_rank").ToFloat(), std::vector<float>{8});
}

TEST(QtipLayer, TakesSideTensorsOfEveryFloatType) {
  TensorMap tensors = SmallTensors();
  tensors["SU"] = HostTensor::Take(DType::kF16, {32}, std::vector<uint16_t>(32, FloatToHalf(-1)));
  tensors["SV"] =
      HostTensor::Take(DType::kBF16, {64}, std::vector<uint16_t>(64, FloatToBfloat16(0.25f)));
  tensors["tlut"] = HostTensor::Take(DType::kF32, {512, 2}, std::vector<float>(1024, 0.5f));
  const auto layer = ParseQtipTensors(tensors);
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->su, SmallLayer(2).su);
  EXPECT_EQ(layer->sv, SmallLayer(2).sv);
  EXPECT_EQ(layer->tlut, SmallLayer(2).tlut);
}

TEST(QtipLayer, TakesCheckpointsWithoutRcpAndTpRank) {
  TensorMap tensors = SmallTensors();
  tensors.erase("rcp");
  tensors.erase("tp_rank");
  const auto layer = ParseQtipTensors(tensors);
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->rcp, 0);
  EXPECT_EQ(layer->tp_rank, 8);
}

TEST(QtipLayer, NamesTheMissingTensor) {
  for (const char* name : {"trellis", "SU", "SV"}) {
    TensorMap tensors = SmallTensors();
    tensors.erase(name);
    EXPECT_EQ(Refusal(tensors), std::string("TENSOR_MISSING ") + name);
  }
}

TEST(QtipLayer, RefusesATrellisOfTheWrongWidth) {
  TensorMap tensors = SmallTensors();
  tensors["trellis"] = HostTensor::Take(DType::kI16, {8, 80}, std::vector<int16_t>(640));
  EXPECT_EQ(Refusal(tensors), "TENSOR_SHAPE_INVALID trellis");
  tensors["trellis"] = HostTensor::Take(DType::kI16, {9, 32}, std::vector<int16_t>(288));
  EXPECT_EQ(Refusal(tensors), "TENSOR_SHAPE_INVALID trellis");
  tensors["trellis"] = HostTensor::Take(DType::kI16, {8, 32}, std::vector<int16_t>(16));
  EXPECT_EQ(Refusal(tensors), "TENSOR_SHAPE_INVALID trellis");
}

TEST(QtipLayer, RefusesATableOfTheWrongSize) {
  TensorMap tensors = SmallTensors();
  tensors["tlut"] = HostTensor::Take(DType::kF16, {1024, 2}, std::vector<uint16_t>(2048));
  EXPECT_EQ(Refusal(tensors), "TENSOR_SHAPE_INVALID tlut");
  tensors["tlut"] = HostTensor::Take(DType::kF16, {512}, std::vector<uint16_t>(512));
  EXPECT_EQ(Refusal(tensors, {.code = QtipCode::kHyb}), "TENSOR_SHAPE_INVALID tlut");
  EXPECT_EQ(Refusal(tensors, {.code = QtipCode::kLut}), "TENSOR_SHAPE_INVALID tlut");
  tensors["tlut"] = HostTensor::Take(DType::kF16, {500}, std::vector<uint16_t>(500));
  EXPECT_EQ(Refusal(tensors, {.code = QtipCode::kQuantLut}), "TENSOR_SHAPE_INVALID tlut");
  tensors["tlut"] = HostTensor::Take(DType::kF16, {512, 2}, std::vector<uint16_t>(7));
  EXPECT_EQ(Refusal(tensors), "TENSOR_SHAPE_INVALID tlut");
}

TEST(QtipLayer, ReadsTheCodeOffTheTable) {
  const auto spec_of = [](std::vector<int64_t> shape, const QtipCodeChoice& choice) {
    TensorMap tensors = SmallTensors();
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    tensors["tlut"] = HostTensor::Take(DType::kF16, shape, std::vector<uint16_t>(count));
    return ParseQtipTensors(tensors, choice).value().spec;
  };
  EXPECT_EQ(spec_of({512, 2}, {}), (QtipCodeSpec{QtipCode::kHyb, 2, 16, 2, 9}));
  EXPECT_EQ(spec_of({65536, 1}, {}), (QtipCodeSpec{QtipCode::kLut, 2, 16, 1, 16}));
  EXPECT_EQ(spec_of({65536, 2}, {}), (QtipCodeSpec{QtipCode::kLut, 2, 16, 2, 16}));
  EXPECT_EQ(spec_of({512}, {}), (QtipCodeSpec{QtipCode::kQuantLut, 2, 16, 1, 9}));
  EXPECT_EQ(spec_of({1024, 1}, {}), (QtipCodeSpec{QtipCode::kQuantLut, 2, 16, 1, 10}));
  EXPECT_EQ(spec_of({4096, 1}, {.code = QtipCode::kLut, .state_bits = 12}),
            (QtipCodeSpec{QtipCode::kLut, 2, 12, 1, 12}));
}

TEST(QtipLayer, TakesCodesWithoutATable) {
  TensorMap tensors = SmallTensors();
  EXPECT_EQ(Refusal(tensors, {.code = QtipCode::k1Mad}), "OPTION_INVALID code");
  tensors.erase("tlut");
  EXPECT_EQ(Refusal(tensors), "CODE_REQUIRED code");
  EXPECT_EQ(Refusal(tensors, {.code = QtipCode::kHyb}), "TENSOR_MISSING tlut");
  const auto layer = ParseQtipTensors(tensors, {.code = QtipCode::k3Inst});
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->spec, (QtipCodeSpec{QtipCode::k3Inst, 2, 16, 1, 0}));
  EXPECT_FALSE(QtipTensors(*layer).contains("tlut"));
}

TEST(QtipLayer, RefusesTheWrongElementType) {
  TensorMap tensors = SmallTensors();
  tensors["SU"] = HostTensor::Take(DType::kI32, {32}, std::vector<int32_t>(32));
  EXPECT_EQ(Refusal(tensors), "TENSOR_DTYPE_UNSUPPORTED SU");
  tensors = SmallTensors();
  tensors["trellis"] = HostTensor::Take(DType::kF16, {8, 32}, std::vector<uint16_t>(256));
  EXPECT_EQ(Refusal(tensors), "TENSOR_DTYPE_UNSUPPORTED trellis");
}

TEST(QtipLayer, RefusesInfiniteScales) {
  TensorMap tensors = SmallTensors();
  std::vector<float> sv(64, 1.0f);
  sv[3] = std::numeric_limits<float>::infinity();
  tensors["SV"] = HostTensor::Take(DType::kF32, {64}, sv);
  EXPECT_EQ(Refusal(tensors), "TENSOR_NOT_FINITE SV");
}

TEST(QtipLayer, RefusesABias) {
  TensorMap tensors = SmallTensors();
  tensors["bias"] = HostTensor::Take(DType::kF32, {64}, std::vector<float>(64));
  EXPECT_EQ(Refusal(tensors), "LAYER_UNSUPPORTED bias");
}

TEST(QtipLayer, RefusesATensorThatItDoesNotKnow) {
  for (const char* name : {"Wscale", "trellis2", "weight"}) {
    TensorMap tensors = SmallTensors();
    tensors[name] = HostTensor::Take(DType::kF32, {1}, std::vector<float>(1));
    EXPECT_EQ(Refusal(tensors), std::string("TENSOR_UNKNOWN ") + name);
  }
}

TensorMap Sharded(Shape shape, int64_t rcp, int64_t tp_rank) {
  QtipLayer layer = SmallLayer(2);
  layer.shape = shape;
  layer.trellis.resize(QtipTrellisWords(shape.out_features, shape.in_features, 2));
  layer.su.resize(shape.in_features);
  layer.sv.resize(shape.out_features);
  TensorMap tensors = QtipTensors(layer);
  tensors["rcp"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{rcp});
  tensors["tp_rank"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{tp_rank});
  return tensors;
}

TEST(QtipLayer, RotatesTheSplitSideInShards) {
  const auto inputs = ParseQtipTensors(Sharded({96, 768}, 1, 8));
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_EQ(inputs->input_rotation().size, 96);
  EXPECT_EQ(inputs->input_rotation().shards, 8);
  EXPECT_EQ(inputs->output_rotation().size, 96);
  EXPECT_EQ(inputs->output_rotation().shards, 1);
  const auto outputs = ParseQtipTensors(Sharded({768, 96}, 2, 4));
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(outputs->input_rotation().shards, 1);
  EXPECT_EQ(outputs->output_rotation().size, 192);
  EXPECT_EQ(outputs->output_rotation().shards, 4);
}

TEST(QtipLayer, RefusesShardsThatCannotBeRotated) {
  EXPECT_EQ(Refusal(Sharded({96, 768}, 1, 7)), "TENSOR_VALUE_INVALID tp_rank");
  EXPECT_EQ(Refusal(Sharded({96, 768}, 1, 0)), "TENSOR_VALUE_INVALID tp_rank");
  EXPECT_EQ(Refusal(Sharded({96, 768}, 1, -8)), "TENSOR_VALUE_INVALID tp_rank");
  EXPECT_EQ(Refusal(Sharded({96, 768}, 1, 48)), "TENSOR_VALUE_INVALID tp_rank") << "16 a shard";
  EXPECT_EQ(Refusal(Sharded({704, 96}, 2, 2)), "TENSOR_VALUE_INVALID tp_rank") << "352 a shard";
  EXPECT_EQ(Refusal(Sharded({96, 768}, 3, 8)), "TENSOR_VALUE_INVALID rcp");
  EXPECT_EQ(Refusal(Sharded({96, 768}, -1, 8)), "TENSOR_VALUE_INVALID rcp");
  EXPECT_EQ(Refusal(Sharded({352, 768}, 1, 8)), "SHAPE_UNSUPPORTED SV") << "the other side";
  EXPECT_EQ(Refusal(Sharded({768, 352}, 2, 8)), "SHAPE_UNSUPPORTED SU") << "the other side";
  EXPECT_EQ(Refusal(Sharded({352, 96}, 0, 8)), "SHAPE_UNSUPPORTED shape");
}

TEST(QtipShape, AcceptsTheSidesOfPublishedModels) {
  for (const Shape shape :
       {Shape{32, 32}, Shape{4096, 64}, Shape{1024, 4096}, Shape{11008, 4096}, Shape{4096, 14336},
        Shape{13824, 5120}, Shape{5120, 5120}, Shape{28672, 8192}, Shape{8192, 3072},
        Shape{53248, 16384}, Shape{57344, 8192}, Shape{12288, 4096}, Shape{22016, 4096},
        Shape{10240, 8192}, Shape{kQtipMaxFeatures, kQtipMaxFeatures}}) {
    EXPECT_TRUE(CheckQtipShape(shape).ok()) << CheckQtipShape(shape);
  }
}

TEST(QtipShape, NamesTheNearestShapeThatWorks) {
  const auto nearest = [](Shape shape) { return std::string(CheckQtipShape(shape).message()); };
  EXPECT_NE(nearest({1000, 4096}).find("nearest is [992, 4096]"), std::string::npos);
  EXPECT_NE(nearest({16, 0}).find("nearest is [32, 32]"), std::string::npos);
  EXPECT_NE(nearest({11008, 18944}).find("nearest is [11008, 18432]"), std::string::npos);
  EXPECT_NE(nearest({48, 32}).find("nearest is [32, 32]"), std::string::npos);
  EXPECT_NE(nearest({int64_t{1} << 40, 32}).find("nearest is [131072, 32]"), std::string::npos);
  EXPECT_EQ(GetErrorInfo(CheckQtipShape({0, 32})).reason, "SHAPE_UNSUPPORTED");
}

}  // namespace
}  // namespace qtipd
