#include "client/suite_cases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

using ::testing::ElementsAre;

v1::Shape ShapeOf(int64_t out_features, int64_t in_features) {
  v1::Shape shape;
  shape.set_out_features(out_features);
  shape.set_in_features(in_features);
  return shape;
}

v1::OptionValue Integer(int64_t integer) {
  v1::OptionValue value;
  value.set_integer(integer);
  return value;
}

// Two formats: 2x2 and 1x1 cases.
Suite Sweep() {
  Suite suite;
  suite.groups = {{.format = "lut",
                   .shapes = {ShapeOf(64, 32), ShapeOf(32, 32)},
                   .options = {{"bits", {Integer(2), Integer(4)}}},
                   .batches = {1}},
                  {.format = "int4",
                   .distributions = {"student_t5"},
                   .shapes = {ShapeOf(64, 32)},
                   .options = {{"group_size", {Integer(32)}}},
                   .batches = {1, 4}}};
  return suite;
}

std::vector<std::string> Texts(const Suite& suite) {
  std::vector<std::string> texts;
  for (const SpeedCase& speed_case : ExpandCases(suite)) {
    texts.push_back(SpeedCaseText(speed_case));
  }
  return texts;
}

std::vector<std::string> Chosen(const CaseFilter& filter) {
  const auto chosen = ChooseCases(Sweep(), filter);
  EXPECT_TRUE(chosen.ok()) << chosen.status();
  std::vector<std::string> texts;
  for (const SpeedCase& speed_case : *chosen) texts.push_back(SpeedCaseText(speed_case));
  return texts;
}

TEST(ExpandCases, GivesEveryCombination) {
  EXPECT_THAT(Texts(Sweep()),
              ElementsAre("64x32 lut bits=2", "64x32 lut bits=4", "32x32 lut bits=2",
                          "32x32 lut bits=4", "64x32 int4 group_size=32 student_t5"));
}

TEST(ExpandCases, JoinsTheBatchesOfEqualCases) {
  Suite suite = Sweep();
  suite.groups.push_back(suite.groups[1]);
  suite.groups[2].batches = {2, 4};
  const std::vector<SpeedCase> cases = ExpandCases(suite);
  ASSERT_EQ(cases.size(), 5u);
  EXPECT_THAT(cases[4].batches, ElementsAre(1, 2, 4));
}

TEST(SetSize, MakesEveryMatrixTheSameSquare) {
  Suite suite = Sweep();
  SetSize(suite, 256);
  EXPECT_THAT(Texts(suite), ElementsAre("256x256 lut bits=2", "256x256 lut bits=4",
                                        "256x256 int4 group_size=32 student_t5"));
}

TEST(SetAxis, ReplacesTheValuesOfAnOptionWhereThereIsOne) {
  Suite suite = Sweep();
  ASSERT_TRUE(SetAxis(suite, "bits=1").ok());
  EXPECT_THAT(Texts(suite), ElementsAre("64x32 lut bits=1", "32x32 lut bits=1",
                                        "64x32 int4 group_size=32 student_t5"));
}

TEST(SetAxis, ReplacesSidesBatchesAndDistributions) {
  Suite suite = Sweep();
  ASSERT_TRUE(SetAxis(suite, "out_features=16").ok());
  ASSERT_TRUE(SetAxis(suite, "in_features=32,64").ok());
  ASSERT_TRUE(SetAxis(suite, "bits=2").ok());
  ASSERT_TRUE(SetAxis(suite, "batch=8,16").ok());
  ASSERT_TRUE(SetAxis(suite, "distribution=normal").ok());
  EXPECT_THAT(Texts(suite), ElementsAre("16x32 lut bits=2", "16x64 lut bits=2",
                                        "16x32 int4 group_size=32", "16x64 int4 group_size=32"));
  EXPECT_THAT(ExpandCases(suite).front().batches, ElementsAre(8, 16));
}

TEST(SetAxis, ReplacesActivations) {
  Suite suite = Sweep();
  ASSERT_TRUE(SetAxis(suite, "activations=default,bf16").ok());
  ASSERT_TRUE(SetAxis(suite, "bits=2").ok());
  EXPECT_THAT(Texts(suite), ElementsAre("64x32 lut bits=2", "64x32 lut bits=2 activations=BF16",
                                        "32x32 lut bits=2", "32x32 lut bits=2 activations=BF16",
                                        "64x32 int4 group_size=32 student_t5",
                                        "64x32 int4 group_size=32 student_t5 activations=BF16"));
  const std::vector<SpeedCase> cases = ExpandCases(suite);
  EXPECT_EQ(cases[1].activations, "BF16");
  EXPECT_EQ(SpeedQuantizeRequest(suite, cases[0]).name(),
            SpeedQuantizeRequest(suite, cases[1]).name())
      << "the same weights";
}

TEST(SetAxis, NamesTheAxesThereAre) {
  Suite suite = Sweep();
  const auto info = GetErrorInfo(SetAxis(suite, "code=hyb"));
  EXPECT_EQ(info.metadata.at("got"), "code");
  EXPECT_EQ(info.metadata.at("allowed"),
            "activations, batch, bits, distribution, group_size, in_features, out_features");
  EXPECT_EQ(GetErrorInfo(SetAxis(suite, "batch=0")).metadata.at("got"), "'0'");
  EXPECT_EQ(GetErrorInfo(SetAxis(suite, "batch")).reason, "USAGE");
}

TEST(ChooseCases, TakesThoseWithAllAndWithoutAny) {
  EXPECT_EQ(Chosen({}).size(), 5u);
  EXPECT_THAT(Chosen({.include = {"lut", "bits=2"}, .exclude = {}}),
              ElementsAre("64x32 lut bits=2", "32x32 lut bits=2"));
  EXPECT_THAT(Chosen({.include = {}, .exclude = {"lut"}}),
              ElementsAre("64x32 int4 group_size=32 student_t5"));
  const absl::Status status = ChooseCases(Sweep(), {.include = {"hyb"}, .exclude = {}}).status();
  EXPECT_EQ(GetErrorInfo(status).reason, "USAGE");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("allowed"),
            "parts of a case's text, for example '64x32 lut bits=2'");
}

}  // namespace
}  // namespace qtipd
