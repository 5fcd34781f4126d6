// Two profiles side by side.
#ifndef QTIPD_CLIENT_PROFILE_COMPARE_H_
#define QTIPD_CLIENT_PROFILE_COMPARE_H_

#include <string>
#include <vector>

#include "client/output.h"
#include "nlohmann/json.hpp"
#include "qtipd/v1/profile.pb.h"

namespace qtipd {

// A fact on which a comparison rests.
struct ProfileFact {
  std::string name;  // "driver"
  std::string a;
  std::string b;
  bool differs() const { return a != b; }
};

// A metric that one of the two has at least. Totals are those of one run, because the two may have
// replayed their paths a different number of times.
struct MetricPair {
  std::string name;
  std::string unit;
  bool is_total = false;
  bool is_in_a = false;
  bool is_in_b = false;
  double a = 0;
  double b = 0;
};

// Device, driver, what was profiled and how.
std::vector<ProfileFact> CompareFacts(const v1::Profile& a, const v1::Profile& b);
// In the order of `a`, then those that `b` has alone.
std::vector<MetricPair> CompareMetrics(const v1::Profile& a, const v1::Profile& b);

// The facts with a mark where they differ, and the metrics with their differences: of shares in
// percentage points, of others in percent of `a`.
Table FactTable(const v1::Profile& a, const v1::Profile& b);
Table MetricPairTable(const v1::Profile& a, const v1::Profile& b);
nlohmann::ordered_json CompareJson(const v1::Profile& a, const v1::Profile& b);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_PROFILE_COMPARE_H_
