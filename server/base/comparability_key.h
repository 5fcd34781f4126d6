// Comparability keys as text, as daemon and client exchange them.
#ifndef QTIPD_SERVER_BASE_COMPARABILITY_KEY_H_
#define QTIPD_SERVER_BASE_COMPARABILITY_KEY_H_

#include <string>
#include <string_view>
#include <vector>

namespace qtipd {

// Between the parts "name=value" of a key; values do not hold its ';'.
inline constexpr std::string_view kComparabilitySeparator = "; ";

// The names of the parts in which two keys differ, or which only one of them has, in the first
// one's order.
std::vector<std::string> DifferingParts(std::string_view a, std::string_view b);

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_COMPARABILITY_KEY_H_
