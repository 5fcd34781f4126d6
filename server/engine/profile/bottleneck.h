// What limits a path, derived from its counters by a table of rules.
#ifndef QTIPD_SERVER_ENGINE_PROFILE_BOTTLENECK_H_
#define QTIPD_SERVER_ENGINE_PROFILE_BOTTLENECK_H_

#include <string>
#include <string_view>
#include <vector>

#include "server/profiler/profile_protocol.h"

namespace qtipd {

// One number that a rule looked at: "DRAM throughput 71.2 %, at least 60".
struct Evidence {
  std::string quantity;  // "DRAM throughput"
  double value = 0;
  std::string unit;       // "%" or ""
  std::string condition;  // "at least 60"
};

struct BottleneckFinding {
  std::string rule;  // "memory_bandwidth"; frozen
  std::string sentence;
  std::vector<Evidence> evidence;  // all that fired it
};

// The rules that fire, in the order of the table: what limits first, then what adds to it. A rule
// whose metrics were not collected is silent. Empty where none fires.
std::vector<BottleneckFinding> ExplainBottleneck(const std::vector<MetricValue>& metrics);

// Every rule's name, in order.
std::vector<std::string_view> BottleneckRules();

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_PROFILE_BOTTLENECK_H_
