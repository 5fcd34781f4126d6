#include "server/base/comparability_key.h"

#include <algorithm>
#include <utility>

namespace qtipd {
namespace {

using Part = std::pair<std::string, std::string>;

std::vector<Part> Parts(std::string_view key) {
  std::vector<Part> parts;
  while (!key.empty()) {
    const std::string_view part = key.substr(0, key.find(kComparabilitySeparator));
    const size_t equals = std::min(part.find('='), part.size());
    parts.emplace_back(part.substr(0, equals), part.substr(equals));
    key.remove_prefix(std::min(part.size() + kComparabilitySeparator.size(), key.size()));
  }
  return parts;
}

bool Has(const std::vector<Part>& parts, const Part& part) {
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

}  // namespace

std::vector<std::string> DifferingParts(std::string_view a, std::string_view b) {
  const std::vector<Part> left = Parts(a);
  const std::vector<Part> right = Parts(b);
  std::vector<std::string> names;
  const auto add = [&](const Part& part) {
    if (std::find(names.begin(), names.end(), part.first) == names.end()) {
      names.push_back(part.first);
    }
  };
  for (const Part& part : left) {
    if (!Has(right, part)) add(part);
  }
  for (const Part& part : right) {
    if (!Has(left, part)) add(part);
  }
  return names;
}

}  // namespace qtipd
