#include "client/profile_compare.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/client/sample_profiles.h"

namespace qtipd {
namespace {

std::set<std::string> Differing(const v1::Profile& a, const v1::Profile& b) {
  std::set<std::string> names;
  for (const ProfileFact& fact : CompareFacts(a, b)) {
    if (fact.differs()) names.insert(fact.name);
  }
  return names;
}

MetricPair Find(const v1::Profile& a, const v1::Profile& b, const std::string& name) {
  for (const MetricPair& pair : CompareMetrics(a, b)) {
    if (pair.name == name) return pair;
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

TEST(CompareProfiles, OfTheSameThingNoFactDiffers) {
  v1::Profile other = SampleProfile();
  other.set_id("9");
  EXPECT_TRUE(Differing(SampleProfile(), other).empty());
}

TEST(CompareProfiles, MarksTheFactsThatDiffer) {
  v1::Profile other = SampleProfile();
  (*other.mutable_environment())["driver_version"] = "590.2";
  other.set_device_name("NVIDIA H100");
  other.set_path("dense");
  other.mutable_shape()->set_in_features(4096);
  other.set_batch(4);
  (*other.mutable_environment())["compute_dtype"] = "F16";
  other.set_activation_dtype("BF16");
  EXPECT_EQ(Differing(SampleProfile(), other),
            (std::set<std::string>{"driver", "device", "path", "shape", "batch", "activations"}));
  int marks = 0;
  const Table table = FactTable(SampleProfile(), other);
  for (const auto& row : table.rows()) {
    marks += row[3].text == "differs" ? 1 : 0;
  }
  EXPECT_EQ(marks, 6);
}

TEST(CompareProfiles, TotalsAreThoseOfOneRun) {
  v1::Profile other = SampleProfile();
  other.set_runs(640);
  const MetricPair bytes = Find(SampleProfile(), other, "dram__bytes_read.sum");
  EXPECT_TRUE(bytes.is_total);
  EXPECT_EQ(bytes.a, 4 * 1048576);
  EXPECT_EQ(bytes.b, 2 * 1048576);
  const MetricPair rate = Find(SampleProfile(), other, "lts__t_sector_hit_rate.pct");
  EXPECT_EQ(rate.a, rate.b);
}

TEST(CompareProfiles, DifferencesOfSharesAreInPoints) {
  v1::Profile other = SampleProfile();
  other.mutable_metrics(0)->set_value(60.25);
  other.mutable_metrics(3)->set_value(other.metrics(3).value() / 2);
  const Table table = MetricPairTable(SampleProfile(), other);
  EXPECT_EQ(table.rows()[0][5].text, "+5.00 points");
  EXPECT_EQ(table.rows()[0][5].raw, "5");
  EXPECT_EQ(table.rows()[3][5].text, "-50.0 %");
}

TEST(CompareProfiles, AMetricOfOneAloneHasNoDifference) {
  const MetricPair pair = Find(SampleProfile(), CpuProfile(), "cycles");
  EXPECT_FALSE(pair.is_in_a);
  EXPECT_EQ(pair.b, 100);
  const auto json = CompareJson(SampleProfile(), CpuProfile());
  EXPECT_EQ(json["a"], "3");
  EXPECT_TRUE(json["metrics"].back()["a"].is_null());
  EXPECT_TRUE(json["metrics"].back()["difference"].is_null());
  EXPECT_EQ(json["metrics"].back()["b"], 100);
}

}  // namespace
}  // namespace qtipd
