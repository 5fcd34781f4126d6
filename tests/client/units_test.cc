#include "client/units.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qtipd {
namespace {

TEST(FormatNumber, KeepsSignificantDigitsWithoutAnExponent) {
  EXPECT_EQ(FormatNumber(13.4567), "13.46");
  EXPECT_EQ(FormatNumber(1453.2), "1453");
  EXPECT_EQ(FormatNumber(123456), "123456");
  EXPECT_EQ(FormatNumber(0.0707, 3), "0.0707");
  EXPECT_EQ(FormatNumber(0), "0");
}

TEST(FormatNumber, ShowsWhatIsNoNumber) { EXPECT_EQ(FormatNumber(std::nan("")), "nan"); }

TEST(FormatError, UsesAnExponentOnlyForSmallValues) {
  EXPECT_EQ(FormatError(0.0707), "0.0707");
  EXPECT_EQ(FormatError(6.13e-4), "6.1e-04");
  EXPECT_EQ(FormatError(0), "0");
}

TEST(ExactNumber, ReadsBackAsTheSameDouble) {
  for (double value : {0.1, 1.34e-5, 1.0 / 3, 4096.0}) {
    EXPECT_EQ(std::stod(ExactNumber(value)), value);
  }
}

TEST(FormatSeconds, ChoosesAUnit) {
  EXPECT_EQ(FormatSeconds(13.4e-6), "13.4 µs");
  EXPECT_EQ(FormatSeconds(999.9e-9), "1.00 µs");
  EXPECT_EQ(FormatSeconds(1.27), "1.27 s");
  EXPECT_EQ(FormatSeconds(125), "2 min 5 s");
}

TEST(FormatBytes, CountsInPowersOf1024) {
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(4229120), "4.03 MiB");
  EXPECT_EQ(FormatBytes(uint64_t{141} << 30), "141 GiB");
}

TEST(FormatBandwidth, CountsInPowersOf1000) { EXPECT_EQ(FormatBandwidth(1453.2e9), "1453 GB/s"); }

TEST(FormatPercent, ScalesAFraction) { EXPECT_EQ(FormatPercent(0.0031), "0.31 %"); }

TEST(ChooseTimeUnit, FitsTheLargestOfAColumn) {
  EXPECT_EQ(ChooseTimeUnit(13.4e-6).name, "µs");
  EXPECT_EQ(ChooseTimeUnit(9.9e-3).name, "µs");
  EXPECT_EQ(ChooseTimeUnit(12e-3).name, "ms");
  EXPECT_EQ(ChooseTimeUnit(1e5).name, "s");
}

TEST(FormatTime, IsEmptyForATimeThatWasNeverSet) {
  google::protobuf::Timestamp time;
  EXPECT_EQ(FormatTime(time), "");
  time.set_seconds(1767225600);
  EXPECT_EQ(FormatTime(time), "2026-01-01T00:00:00Z");
}

}  // namespace
}  // namespace qtipd
