#include "client/profile_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "kernels/api/error.h"
#include "tests/client/sample_profiles.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(StallCsv, HasTheColumnsOfThePublishedBenchmark) {
  EXPECT_EQ(*StallCsv(SampleProfile()),
            "metric,label,pct\n"
            "smsp__warp_issue_stalled_long_scoreboard_per_warp_active.pct,long_scoreboard,55.2500\n"
            "smsp__warp_issue_stalled_selected_per_warp_active.pct,selected,30.5000\n"
            "smsp__warp_issue_stalled_wait_per_warp_active.pct,wait,14.2500\n");
}

TEST(StallCsv, IsRefusedWhereNoStallsWereCounted) {
  const auto refused = StallCsv(CpuProfile());
  EXPECT_EQ(GetErrorInfo(refused.status()).reason, "STALLS_NOT_COUNTED");
}

TEST(ProfileSummary, ExplainsWhatWasCounted) {
  const std::string text = ProfileSummary(SampleProfile());
  for (const char* part :
       {"profile 3: w2 ", "times are no latencies", "because long_scoreboard 55.2 %",
        "meaning of wait", "sum to 100.0 %", "issues an instruction in 30.5 %",
        "LDG.E.128 R4, [R2]", "200 samples", "dram__bytes_read.sum", "580.1"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(ProfileSummary, LeavesOutWhatWasNotCounted) {
  const std::string text = ProfileSummary(CpuProfile());
  EXPECT_THAT(text, HasSubstr("cycles"));
  EXPECT_THAT(text, Not(HasSubstr("Why warps wait")));
  EXPECT_THAT(text, Not(HasSubstr("Hottest instructions")));
}

TEST(WriteProfileFiles, LieWhereASuiteLeavesItsOwn) {
  TempDir directory;
  const auto files = WriteProfileFiles(SampleProfile(), directory / "out");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(*files, ElementsAre(EndsWith("out/NVIDIA_H200/fused/ncu_stall_K2.csv"),
                                  EndsWith("out/NVIDIA_H200/fused/ncu_stall_summary_K2.txt")));
  EXPECT_EQ(ReadAll(files->at(0)), *StallCsv(SampleProfile()));
  EXPECT_EQ(ReadAll(files->at(1)), ProfileSummary(SampleProfile()));
}

TEST(WriteProfileFiles, ACpuHasTheSummaryAlone) {
  TempDir directory;
  EXPECT_THAT(*WriteProfileFiles(CpuProfile(), directory / "out"),
              ElementsAre(EndsWith("ncu_stall_summary_K2.txt")));
}

TEST(WriteProfileFiles, WithoutARateTheyAreNamedByTheArtefact) {
  TempDir directory;
  v1::Profile profile = SampleProfile();
  profile.mutable_format_options()->clear();
  profile.set_artifact("a/b");
  EXPECT_THAT(WriteProfileFiles(profile, directory / "out")->at(0), EndsWith("ncu_stall_a_b.csv"));
}

TEST(WriteProfileFiles, AFolderThatCannotBeIsAnError) {
  const auto files = WriteProfileFiles(SampleProfile(), "/dev/null/out");
  EXPECT_EQ(GetErrorInfo(files.status()).reason, "FILE_NOT_WRITABLE");
}

}  // namespace
}  // namespace qtipd
