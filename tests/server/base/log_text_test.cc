#include "server/base/log_text.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

TEST(LogText, QuotesOnlyWhereNeeded) {
  EXPECT_EQ(LogText("plain/name-1.5"), "plain/name-1.5");
  EXPECT_EQ(LogText(""), "\"\"");
  EXPECT_EQ(LogText("two words"), "\"two words\"");
  EXPECT_EQ(LogText("a=\"b\"\n"), "\"a=\\\"b\\\" \"");
}

TEST(LogText, StatusGivesReasonAndMessage) {
  EXPECT_EQ(LogStatus(absl::OkStatus()), "status=OK");
  EXPECT_EQ(LogStatus(InvalidField("NAME_INVALID", "name", "?", "a-z")),
            "status=NAME_INVALID message=\"name: got ?, allowed a-z\"");
}

}  // namespace
}  // namespace qtipd
