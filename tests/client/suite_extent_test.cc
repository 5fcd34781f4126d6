#include "client/suite_extent.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

absl::Status Gone() {
  return FieldError(absl::StatusCode::kUnavailable, "TARGET_UNREACHABLE", "target", "node1:7070",
                    "a running qtipd");
}

TEST(SuiteExtent, SaysHowFarItCameAndWhy) {
  EXPECT_EQ(PartialText({.finished = 12, .total = 49, .end = Gone()}),
            "Partial: 12 of 49 cases were finished, until TARGET_UNREACHABLE: target: got "
            "node1:7070, allowed a running qtipd");
  const auto json = ExtentJson({.finished = 12, .total = 49, .end = Gone()});
  EXPECT_EQ(json["partial"], true);
  EXPECT_EQ(json["finished"], 12);
  EXPECT_EQ(json["total"], 49);
  EXPECT_EQ(json["endedBy"]["details"][0]["reason"], "TARGET_UNREACHABLE");
}

TEST(SuiteExtent, HasNoEndWhileItGoesOn) {
  const SuiteExtent extent = {.finished = 1, .total = 3, .unit = "cells", .end = absl::OkStatus()};
  EXPECT_EQ(PartialText(extent), "Partial: 1 of 3 cells were finished when this was written");
  EXPECT_FALSE(ExtentJson(extent).contains("endedBy"));
}

TEST(SuiteExtent, SaysNothingOfAWholeOne) {
  const SuiteExtent extent = {.finished = 3, .total = 3, .end = absl::OkStatus()};
  EXPECT_EQ(PartialText(extent), "");
  EXPECT_EQ(ExtentJson(extent)["partial"], false);
}

}  // namespace
}  // namespace qtipd
