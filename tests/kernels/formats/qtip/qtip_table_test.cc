#include "kernels/formats/qtip/qtip_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>

#include "kernels/api/dtype.h"
#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_format.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

QtipCodeSpec SpecOf(QtipCode code, int vector_dim = 1) {
  const int table_bits = QtipCodeInfoOf(code).table_bits;
  return {.code = code, .vector_dim = vector_dim, .table_bits = table_bits < 0 ? 16 : table_bits};
}

std::vector<uint16_t> Halves(const std::vector<float>& values) {
  std::vector<uint16_t> halves(values.size());
  std::ranges::transform(values, halves.begin(), FloatToHalf);
  return halves;
}

TEST(QtipTable, DecodesEveryStateOfACodeWithoutTableBitExactly) {
  const GoldenFile golden("qtip_codes");
  for (const QtipCode code : {QtipCode::k1Mad, QtipCode::k2Mad, QtipCode::k3Inst}) {
    const std::string name(QtipCodeInfoOf(code).name);
    EXPECT_EQ(MakeQtipTable(SpecOf(code), {}).weights, golden.Floats("decode_" + name)) << name;
  }
}

TEST(QtipTable, DecodesEveryStateOfQuantLutAsTheFp16OfTheGoldenOne) {
  const GoldenFile golden("qtip_codes");
  const std::vector<uint16_t> tlut = Halves(golden.Floats("quantlut_v1_tlut"));
  const QtipTable table = MakeQtipTable(SpecOf(QtipCode::kQuantLut), tlut);
  EXPECT_EQ(Halves(table.weights), Halves(golden.Floats("decode_quantlut_v1")));
}

TEST(QtipTable, DecodesEveryStateOfHybBitExactly) {
  const GoldenFile golden("qtip_tables");
  const QtipTable table = MakeQtipTable(SpecOf(QtipCode::kHyb, 2), golden.Words("hyb_tlut_fp16"));
  EXPECT_EQ(Halves(table.weights), golden.Words("decode_hyb_fp16"));
}

TEST(QtipTable, OfLutIsTheTableItself) {
  for (int vector_dim : {1, 2}) {
    const QtipCodeSpec spec = SpecOf(QtipCode::kLut, vector_dim);
    const std::vector<uint16_t> tlut = QtipDefaultTable(spec);
    ASSERT_EQ(tlut.size(), 65536u * vector_dim);
    EXPECT_EQ(Halves(MakeQtipTable(spec, tlut).weights), tlut);
  }
}

TEST(QtipTable, HasThePublishedRms) {
  EXPECT_NEAR(MakeQtipTable(SpecOf(QtipCode::k1Mad), {}).Rms(), 1.0000883, 1e-6);
  EXPECT_NEAR(MakeQtipTable(SpecOf(QtipCode::k2Mad), {}).Rms(), 1.0004919, 1e-6);
  EXPECT_NEAR(MakeQtipTable(SpecOf(QtipCode::k3Inst), {}).Rms(), 1.2437109, 1e-6);
}

TEST(QtipTable, OfFewerStateBitsIsTheBeginningOfTheWholeOne) {
  QtipCodeSpec spec = SpecOf(QtipCode::k1Mad);
  const std::vector<float> whole = MakeQtipTable(spec, {}).weights;
  spec.state_bits = 12;
  const std::vector<float> part = MakeQtipTable(spec, {}).weights;
  EXPECT_EQ(part, std::vector<float>(whole.begin(), whole.begin() + 4096));
}

TEST(QtipDefaultTable, OfQuantLutIsTheGoldenOneToTheLastBit) {
  const GoldenFile golden("qtip_codes");
  EXPECT_EQ(QtipDefaultTable(SpecOf(QtipCode::kQuantLut)),
            Halves(golden.Floats("quantlut_v1_tlut")));
}

TEST(QtipInt8Table, IsTheDefaultOneToHalfAStepOnAGridOfItsOwn) {
  const std::vector<uint16_t> fine = QtipDefaultTable({}), coarse = QtipInt8Table();
  EXPECT_EQ(QtipTableStep(fine), 0);
  EXPECT_EQ(std::ldexp(static_cast<double>(QtipTableStep(coarse)), -24), kQtipInt8Step);
  for (size_t i = 0; i < fine.size(); ++i) {
    EXPECT_NEAR(HalfToFloat(coarse[i]), HalfToFloat(fine[i]), kQtipInt8Step / 2);
  }
}

TEST(QtipTableStep, IsTheLargestOfWhichAllAreMultiples) {
  const auto step = [](std::initializer_list<float> values) {
    std::vector<uint16_t> tlut;
    for (const float value : values) tlut.push_back(FloatToHalf(value));
    return QtipTableStep(tlut);
  };
  EXPECT_EQ(step({0, 0}), 1);
  EXPECT_EQ(step({1.5f, -127.0f * 0.5f, 0}), 1 << 23);
  EXPECT_EQ(step({1.5f, 64}), 0) << "128 times the step";
}

TEST(QtipDefaultTable, OfLutIsNormal) {
  EXPECT_NEAR(MakeQtipTable(SpecOf(QtipCode::kLut), QtipDefaultTable(SpecOf(QtipCode::kLut))).Rms(),
              1.0, 0.01);
}

absl::StatusOr<QtipCodeSpec> Parsed(const std::map<std::string, OptionValue>& given) {
  return QtipSpecOf(*CheckOptions(MakeQtipFormat()->schema(), given));
}

TEST(QtipSpec, TakesWhatTheCodeHas) {
  const auto hyb = Parsed({});
  ASSERT_TRUE(hyb.ok()) << hyb.status();
  EXPECT_EQ(*hyb, (QtipCodeSpec{QtipCode::kHyb, 2, 16, 2, 9}));
  EXPECT_EQ(Parsed({{"code", std::string("3inst")}, {"bits", int64_t{1}}}).value(),
            (QtipCodeSpec{QtipCode::k3Inst, 1, 16, 1, 0}));
  EXPECT_EQ(
      Parsed(
          {{"code", std::string("lut")}, {"state_bits", int64_t{12}}, {"vector_dim", int64_t{2}}})
          .value(),
      (QtipCodeSpec{QtipCode::kLut, 2, 12, 2, 12}));
}

TEST(QtipSpec, RefusesWeightsAStepThatTheCodeHasNot) {
  for (const auto& [code, dim] : std::map<std::string, int64_t>{{"hyb", 1}, {"1mad", 2}}) {
    const absl::Status status = Parsed({{"code", code}, {"vector_dim", dim}}).status();
    EXPECT_EQ(GetErrorInfo(status).reason, "OPTION_INVALID");
    EXPECT_EQ(GetErrorInfo(status).metadata["field"], "vector_dim");
  }
}

}  // namespace
}  // namespace qtipd
