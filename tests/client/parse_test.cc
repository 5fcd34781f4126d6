#include "client/parse.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

TEST(ParseDuration, ReadsEveryUnit) {
  EXPECT_EQ(*ParseDuration("t", "60s"), absl::Seconds(60));
  EXPECT_EQ(*ParseDuration("t", "500ms"), absl::Milliseconds(500));
  EXPECT_EQ(*ParseDuration("t", "1.5m"), absl::Seconds(90));
  EXPECT_EQ(*ParseDuration("t", "2h"), absl::Hours(2));
  EXPECT_EQ(*ParseDuration("t", "7"), absl::Seconds(7));
}

TEST(ParseDuration, RefusesWhatIsNoPositiveTime) {
  for (const char* text : {"", "s", "-1s", "0", "1d", "1 s", "1.2.3s"}) {
    const auto duration = ParseDuration("--timeout", text);
    ASSERT_FALSE(duration.ok()) << text;
    EXPECT_EQ(GetErrorInfo(duration.status()).reason, "USAGE");
    EXPECT_EQ(GetErrorInfo(duration.status()).metadata["field"], "--timeout");
  }
}

TEST(ParseShape, ReadsOutFeaturesFirst) {
  const auto shape = ParseShape("--random", "4096x1024");
  EXPECT_EQ(shape->out_features(), 4096);
  EXPECT_EQ(shape->in_features(), 1024);
}

TEST(ParseShape, RefusesWhatIsNoShape) {
  for (const char* text :
       {"", "4096", "x1", "1x", "0x1", "-1x1", "1x2x3", "1x99999999999999999999"}) {
    EXPECT_FALSE(ParseShape("--random", text).ok()) << text;
  }
}

TEST(ParseList, SplitsAtCommasAndRefusesEmptyParts) {
  EXPECT_EQ(*ParseList("l", "a,b"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(*ParseList("l", "a"), (std::vector<std::string>{"a"}));
  for (const char* text : {"", "a,", ",a", "a,,b"}) EXPECT_FALSE(ParseList("l", text).ok()) << text;
}

TEST(ParseIntegers, RefusesLessThanOne) {
  EXPECT_EQ(*ParseIntegers("--batch", "1,16"), (std::vector<int64_t>{1, 16}));
  EXPECT_EQ(ParseIntegers("--batch", "1,0").status().message(),
            "--batch: got '0', allowed whole numbers of at least 1, like 1,2,4");
  EXPECT_FALSE(ParseIntegers("--batch", "2x").ok());
}

TEST(ParseSeed, TakesWhatFitsInto64Bits) {
  EXPECT_EQ(*ParseSeed("--seed", "0"), 0u);
  EXPECT_EQ(*ParseSeed("--seed", "18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(ParseSeed("--seed", "-1").status().message(),
            "--seed: got '-1', allowed a whole number from 0 to 18446744073709551615");
  for (const char* text : {"", "18446744073709551616", "+1", "1.5", " 1", "0x1"}) {
    EXPECT_FALSE(ParseSeed("--seed", text).ok()) << text;
  }
}

TEST(ParseKeyValue, SplitsAtTheFirstEqualsSign) {
  EXPECT_EQ(ParseKeyValue("o", "a=b=c")->second, "b=c");
  EXPECT_EQ(ParseKeyValue("o", "a=")->second, "");
  EXPECT_FALSE(ParseKeyValue("o", "=b").ok());
  EXPECT_FALSE(ParseKeyValue("o", "ab").ok());
}

}  // namespace
}  // namespace qtipd
