#include "kernels/api/options.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

const OptionSchema kSchema = {
    {.name = "code",
     .help = "",
     .default_value = std::string("hyb"),
     .choices = {std::string("hyb"), std::string("lut")}},
    {.name = "bits", .help = "", .default_value = int64_t{2}, .choices = {int64_t{2}, int64_t{4}}},
    {.name = "group",
     .help = "",
     .default_value = int64_t{128},
     .choices = {},
     .minimum = 32,
     .maximum = 256},
    {.name = "scale",
     .help = "",
     .default_value = 0.9,
     .choices = {},
     .minimum = 0.1,
     .maximum = 2},
    {.name = "symmetric", .help = "", .default_value = true, .choices = {}},
};

// The message of the error, or "accepted".
std::string Check(const std::string& name, const OptionValue& value) {
  const auto options = CheckOptions(kSchema, {{name, value}});
  return options.ok() ? "accepted" : std::string(options.status().message());
}

TEST(Options, FillsDefaults) {
  const auto options = CheckOptions(kSchema, {});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->GetString("code"), "hyb");
  EXPECT_EQ(options->GetInt("bits"), 2);
  EXPECT_EQ(options->GetDouble("scale"), 0.9);
  EXPECT_TRUE(options->GetBool("symmetric"));
}

TEST(Options, ConvertsTextToTheTypeOfTheOption) {
  const auto options = CheckOptions(kSchema, {{"bits", std::string("4")},
                                              {"scale", std::string("1.25")},
                                              {"symmetric", std::string("false")}});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->GetInt("bits"), 4);
  EXPECT_EQ(options->GetDouble("scale"), 1.25);
  EXPECT_FALSE(options->GetBool("symmetric"));
}

TEST(Options, TakesAnIntegerForARealOption) {
  EXPECT_EQ(CheckOptions(kSchema, {{"scale", int64_t{1}}})->GetDouble("scale"), 1.0);
}

TEST(Options, RefusesUnknownNamesAndSuggestsNearOnes) {
  const auto options = CheckOptions(kSchema, {{"scal", 1.0}});
  EXPECT_EQ(GetErrorInfo(options.status()).reason, "OPTION_UNKNOWN");
  EXPECT_NE(options.status().message().find("did you mean scale?"), std::string::npos);
}

TEST(Options, RefusesValuesOutsideChoicesAndRanges) {
  EXPECT_EQ(Check("bits", int64_t{5}), "bits: got 5, allowed 2, 4");
  EXPECT_EQ(Check("code", std::string("3inst")), "code: got 3inst, allowed hyb, lut");
  EXPECT_EQ(Check("group", int64_t{31}), "group: got 31, allowed an integer from 32 to 256");
  EXPECT_EQ(Check("group", int64_t{256}), "accepted");
  EXPECT_EQ(Check("scale", 2.5), "scale: got 2.5, allowed a number from 0.1 to 2");
}

TEST(Options, RefusesTheWrongType) {
  EXPECT_NE(Check("bits", 2.0), "accepted");
  EXPECT_NE(Check("bits", std::string("2x")), "accepted");
  EXPECT_NE(Check("bits", std::string("")), "accepted");
  EXPECT_EQ(Check("symmetric", std::string("yes")), "symmetric: got yes, allowed true, false");
  EXPECT_NE(Check("code", int64_t{1}), "accepted");
}

TEST(Options, RefusesNanAndInfinity) {
  EXPECT_NE(Check("scale", std::numeric_limits<double>::quiet_NaN()), "accepted");
  EXPECT_NE(Check("scale", std::string("inf")), "accepted");
}

TEST(Options, TakesAWordBesideNumbers) {
  const OptionSchema schema = {{.name = "scale",
                                .help = "",
                                .default_value = 0.9,
                                .minimum = 0.1,
                                .maximum = 2,
                                .words = {"auto"}}};
  const auto check = [&](const std::string& text) {
    return CheckOptions(schema, {{"scale", text}});
  };
  EXPECT_EQ(check("auto")->GetString("scale"), "auto");
  EXPECT_EQ(check("0.5")->GetDouble("scale"), 0.5);
  EXPECT_EQ(check("best").status().message(),
            "scale: got best, allowed a number from 0.1 to 2 or auto");
}

TEST(OptionsDeathTest, AskingForAnUncheckedOptionIsABug) {
  EXPECT_DEATH(Options().GetInt("bits"), "option 'bits' was not checked");
}

}  // namespace
}  // namespace qtipd
