// Numbers as people read them.
#ifndef QTIPD_CLIENT_UNITS_H_
#define QTIPD_CLIENT_UNITS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "google/protobuf/timestamp.pb.h"

namespace qtipd {

// One unit for a whole column, so that its numbers compare at a glance.
struct TimeUnit {
  std::string_view name;  // "µs"
  double seconds;
};

// The unit in which `largest_seconds` has at most four digits before the point.
TimeUnit ChooseTimeUnit(double largest_seconds);

// `significant` digits without an exponent: "12.3", "0.0707", "1234".
std::string FormatNumber(double value, int significant = 4);
// Few digits, an exponent where it is shorter: "6.1e-04".
std::string FormatError(double value);
// The shortest text that reads back as the same double, for CSV.
std::string ExactNumber(double value);

std::string FormatSeconds(double seconds);       // "13.4 µs", "1.27 s", "2 min 5 s"
std::string FormatBytes(uint64_t bytes);         // "4.03 MiB"
std::string FormatBandwidth(double per_second);  // "1453 GB/s"
std::string FormatPercent(double fraction);      // "0.31 %"
// "2026-03-01T12:00:00Z"; empty for a time that was never set.
std::string FormatTime(const google::protobuf::Timestamp& time);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_UNITS_H_
