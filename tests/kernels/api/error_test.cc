#include "kernels/api/error.h"

#include <gtest/gtest.h>

namespace qtipd {
namespace {

TEST(Error, FieldErrorsSayFieldGotAndAllowed) {
  const absl::Status status = InvalidField("OPTION_INVALID", "bits", "5", "2, 3, 4");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "bits: got 5, allowed 2, 3, 4");
  const ErrorInfo info = GetErrorInfo(status);
  EXPECT_EQ(info.reason, "OPTION_INVALID");
  EXPECT_EQ(info.metadata, (std::map<std::string, std::string>{
                               {"field", "bits"}, {"got", "5"}, {"allowed", "2, 3, 4"}}));
}

TEST(Error, CarriesMetadataThroughCopies) {
  const absl::Status status = MakeError(absl::StatusCode::kNotFound, "ARTIFACT_NOT_FOUND", "no a",
                                        {{"name", "a"}, {"k", ""}});
  const absl::Status copy = status;
  EXPECT_EQ(GetErrorInfo(copy).reason, "ARTIFACT_NOT_FOUND");
  EXPECT_EQ(GetErrorInfo(copy).metadata.at("name"), "a");
  EXPECT_EQ(GetErrorInfo(copy).metadata.at("k"), "");
}

TEST(Error, SurvivesControlCharactersInValues) {
  const absl::Status status = InvalidField("R", "f",
                                           "a\x1f"
                                           "b",
                                           "c");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("got"), "a b");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("allowed"), "c");
}

TEST(Error, WithoutInfoTheCodeIsTheReason) {
  EXPECT_EQ(GetErrorInfo(absl::CancelledError("x")).reason, "CANCELLED");
  EXPECT_TRUE(GetErrorInfo(absl::CancelledError("x")).metadata.empty());
}

TEST(NearestNames, RanksByEditDistanceAndDropsTheFar) {
  const std::vector<std::string> known = {"scale_override", "sigma_reg", "bits", "code"};
  EXPECT_EQ(NearestNames("sigma_rag", known), std::vector<std::string>{"sigma_reg"});
  EXPECT_EQ(NearestNames("bit", known), std::vector<std::string>{"bits"});
  EXPECT_TRUE(NearestNames("zzzzzzzz", known).empty());
  EXPECT_EQ(NearestNames("aa", {"ab", "ac", "ad", "ae"}).size(), 3u);
}

TEST(NearestNames, DoesNotCompareNamesOfAbsurdLength) {
  const std::string endless(size_t{1} << 24, 'a');
  EXPECT_TRUE(NearestNames(endless, {endless + "a", "a"}).empty());
}

}  // namespace
}  // namespace qtipd
