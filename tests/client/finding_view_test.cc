#include "client/finding_view.h"

#include <gtest/gtest.h>

namespace qtipd {
namespace {

v1::Finding Found(const std::string& id, v1::Severity severity, const std::string& device = "") {
  v1::Finding finding;
  finding.set_id(id);
  finding.set_severity(severity);
  finding.set_what("something is so");
  finding.set_why("it matters");
  if (severity != v1::SEVERITY_OK) finding.set_cure_command("mend it");
  finding.set_device(device);
  return finding;
}

const std::vector<v1::Finding> kThree = {Found("gpu_ecc", v1::SEVERITY_PROBLEM, "cuda:0"),
                                         Found("memory", v1::SEVERITY_WARNING),
                                         Found("disk_space", v1::SEVERITY_OK)};

TEST(FindingText, ShowsTheCureBelowEachFindingAndCountsTheRest) {
  EXPECT_EQ(FindingText(kThree, false),
            "PROBLEM  cuda:0  gpu_ecc  something is so: it matters\n"
            "         mend it\n"
            "WARNING  host    memory   something is so: it matters\n"
            "         mend it\n"
            "1 problem, 1 warning, 1 check well\n");
}

TEST(FindingText, ShowsWhatIsWellWhenAsked) {
  EXPECT_EQ(FindingText({kThree[2]}, true),
            "OK       host  disk_space  something is so\n"
            "0 problems, 0 warnings, 1 check well\n");
  EXPECT_EQ(FindingText({kThree[2]}, false), "0 problems, 0 warnings, 1 check well\n");
}

TEST(FindingTable, HasARowAFinding) {
  EXPECT_EQ(FindingTable(kThree, false).rows().size(), 2u);
  const Table table = FindingTable(kThree, true);
  ASSERT_EQ(table.rows().size(), 3u);
  EXPECT_EQ(table.rows()[1][1].raw, "");
  EXPECT_EQ(table.rows()[1][1].text, "host");
  EXPECT_EQ(table.rows()[0][5].raw, "mend it");
}

TEST(SeverityName, OfAValueFromALaterVersion) {
  EXPECT_EQ(SeverityName(v1::SEVERITY_WARNING), "WARNING");
  EXPECT_EQ(SeverityName(static_cast<v1::Severity>(9)), "UNKNOWN");
}

}  // namespace
}  // namespace qtipd
