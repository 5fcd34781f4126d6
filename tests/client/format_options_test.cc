#include "client/format_options.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

TEST(FillFormatOptions, TreatsShortFormsAsOptions) {
  OptionMap options;
  ASSERT_TRUE(FillFormatOptions({"hyb", "2", {"sigma_reg=0.01"}}, options).ok());
  EXPECT_EQ(options.at("code").text(), "hyb");
  EXPECT_EQ(options.at("bits").text(), "2");
  EXPECT_EQ(options.at("sigma_reg").text(), "0.01");
}

TEST(FillFormatOptions, RefusesAnOptionGivenTwice) {
  OptionMap options;
  const absl::Status status = FillFormatOptions({"", "2", {"bits=3"}}, options);
  EXPECT_EQ(GetErrorInfo(status).reason, "USAGE");
  EXPECT_EQ(GetErrorInfo(status).metadata["got"], "'bits' more than once");
}

TEST(OptionsText, SortsByName) {
  OptionMap options;
  options["code"].set_text("hyb");
  options["bits"].set_integer(2);
  options["scale"].set_number(0.9);
  options["symmetric"].set_boolean(true);
  EXPECT_EQ(OptionsText(options), "bits=2 code=hyb scale=0.9 symmetric=true");
}

}  // namespace
}  // namespace qtipd
