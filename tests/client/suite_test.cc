#include "client/suite.h"

#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "client/suite_cases.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

TEST(BuiltinSuites, AllParse) {
  ASSERT_FALSE(BuiltinSuites().empty());
  for (const SuiteSource& source : BuiltinSuites()) {
    EXPECT_TRUE(ParseSuite(source).ok()) << ParseSuite(source).status();
  }
}

TEST(FindSuite, GivesThePublishedBenchmark) {
  const auto suite = FindSuite("qtip-eval");
  ASSERT_TRUE(suite.ok());
  EXPECT_EQ(suite->bits, (std::vector<int64_t>{2, 3, 4}));
  EXPECT_EQ(suite->size, 4096);
  EXPECT_EQ(suite->options.at("scale_override").number(), 0.9);
  EXPECT_EQ(suite->options.at("sigma_reg").number(), 0.01);
  EXPECT_EQ(suite->benchmark.stopping().samples(), 200);
  EXPECT_EQ(suite->benchmark.paths_size(), 3);
}

TEST(FindSuite, GivesTheDistortionTable) {
  const auto suite = FindSuite("distortion");
  ASSERT_TRUE(suite.ok()) << suite.status();
  EXPECT_EQ(suite->cells.size(), 49u);
  EXPECT_EQ(suite->matrices * suite->size * suite->size, 1 << 20);
  const DistortionCell& second = suite->cells[1];
  EXPECT_EQ(second.published, 0.07072);
  EXPECT_EQ(second.published_error, 0.00011);
  EXPECT_EQ(second.options.size(), 3u);
  EXPECT_EQ(second.options.at("code").text(), "hyb");
  EXPECT_FALSE(suite->cells[0].published_error.has_value());
}

TEST(DistortionQuantizeRequest, HasASeedAndANameOfItsOwnForEveryMatrix) {
  const auto suite = FindSuite("distortion");
  const v1::StartQuantizeRequest request = DistortionQuantizeRequest(*suite, suite->cells[1], 3);
  EXPECT_EQ(request.name(), "suite/distortion/256/bits-2_code-hyb_scale_override-1/3");
  EXPECT_EQ(request.random().seed(), 3u);
  EXPECT_EQ(request.random().shape().out_features(), 256);
  EXPECT_EQ(request.format_options().at("scale_override").number(), 1.0);
  EXPECT_TRUE(request.if_absent());
}

TEST(FindSuite, GivesTheTableOfSpeeds) {
  const auto suite = FindSuite("kernels");
  ASSERT_TRUE(suite.ok()) << suite.status();
  EXPECT_EQ(suite->repeats, 5);
  EXPECT_EQ(suite->benchmark.batches_size(), 0) << "every case has its own";
  const std::vector<SpeedCase> cases = ExpandCases(*suite);
  const SpeedCase& second = cases.at(1);
  EXPECT_EQ(SpeedCaseText(second), "4096x4096 qtip bits=2 code=hyb");
  EXPECT_EQ(second.batches, std::vector<int64_t>{1});
  const v1::StartQuantizeRequest request = SpeedQuantizeRequest(*suite, cases.at(4));
  EXPECT_EQ(request.name(), "suite/kernels/14336x4096/qtip_bits-1_code-hyb");
  EXPECT_EQ(SpeedCaseText(cases.back()), "28672x8192 qtip bits=2 code=hyb activations=BF16");
  EXPECT_EQ(request.format(), "qtip");
  EXPECT_EQ(request.random().shape().out_features(), 14336);
  EXPECT_EQ(request.random().shape().in_features(), 4096);
  EXPECT_EQ(request.format_options().at("bits").integer(), 1);
  EXPECT_TRUE(request.if_absent());
}

TEST(FindSuite, NamesTheSuitesThereAre) {
  const absl::Status status = FindSuite("nope").status();
  EXPECT_EQ(GetErrorInfo(status).reason, "SUITE_NOT_FOUND");
  EXPECT_NE(status.message().find("qtip-eval"), std::string::npos);
}

TEST(SuiteQuantizeRequest, NamesTheArtifactAfterSuiteSizeAndRate) {
  auto suite = FindSuite("qtip-eval");
  suite->size = 256;
  const v1::StartQuantizeRequest request = SuiteQuantizeRequest(*suite, 3);
  EXPECT_EQ(request.name(), "suite/qtip-eval/256/k3");
  EXPECT_EQ(request.random().shape().in_features(), 256);
  EXPECT_EQ(request.format_options().at("bits").integer(), 3);
  EXPECT_TRUE(request.if_absent());
}

// A suite's file with one text in place of another.
absl::Status ParseWith(const std::string& old_text, const std::string& new_text,
                       const std::string& file = "qtip-eval.toml") {
  for (const SuiteSource& source : BuiltinSuites()) {
    if (source.file != file) continue;
    const std::string changed = absl::StrReplaceAll(
        absl::string_view(source.text.data(), source.text.size()), {{old_text, new_text}});
    EXPECT_NE(changed, source.text);
    return ParseSuite({"changed.toml", changed}).status();
  }
  return absl::NotFoundError(file);
}

TEST(ParseSuite, NamesWhatIsWrongInAGroupOfCases) {
  const auto field = [](const std::string& old_text, const std::string& new_text) {
    return GetErrorInfo(ParseWith(old_text, new_text, "kernels.toml")).metadata["field"];
  };
  EXPECT_EQ(field("14336x4096", "14336by4096"), "changed.toml: cases[0].shapes");
  EXPECT_EQ(field("bits = [1, 2, 3, 4]", "bits = []"), "changed.toml: cases[0].bits");
  EXPECT_EQ(field("report = \"speeds\"", "report = \"speed\""), "changed.toml: report");
  EXPECT_EQ(field("batches = [1]", "format = 4\nbatches = [1]"), "changed.toml: cases[0].format");
}

TEST(ParseSuite, TakesActivationsAsAnAxisOfTheCases) {
  for (const SuiteSource& source : BuiltinSuites()) {
    if (source.file != "kernels.toml") continue;
    std::string text(source.text);
    text.insert(text.find("code = "), "activations = [\"default\", \"bf16\"]\n");
    const auto suite = ParseSuite({"changed.toml", text});
    ASSERT_TRUE(suite.ok()) << suite.status();
    EXPECT_EQ(suite->groups[0].activations, (std::vector<std::string>{"", "BF16"}));
    EXPECT_EQ(suite->groups[1].activations, std::vector<std::string>{""});
  }
  EXPECT_EQ(
      GetErrorInfo(ParseWith("batches = [2, 4", "activations = 4\nbatches = [2, 4", "kernels.toml"))
          .metadata["field"],
      "changed.toml: cases[2].activations");
}

TEST(ParseSuite, NamesAMissingKey) {
  const absl::Status status = ParseWith("size = 4096\n", "");
  EXPECT_EQ(status.message(), "changed.toml: size: got nothing, allowed a whole number");
}

TEST(ParseSuite, NamesAKeyOfTheWrongType) {
  EXPECT_EQ(GetErrorInfo(ParseWith("bits = [2, 3, 4]", "bits = [2, 'x']")).metadata["field"],
            "changed.toml: bits");
  EXPECT_EQ(GetErrorInfo(ParseWith("cache = \"rotate\"", "cache = \"warm\"")).metadata["allowed"],
            "rotate, cold, hot");
}

TEST(ParseSuite, TakesACacheThatIsFlushed) {
  EXPECT_TRUE(ParseWith("cache = \"rotate\"", "cache = \"cold\"").ok());
}

TEST(ParseSuite, RefusesWhatIsNoToml) {
  EXPECT_EQ(GetErrorInfo(ParseSuite({"f", "a = = b"}).status()).reason, "SUITE_INVALID");
}

}  // namespace
}  // namespace qtipd
