#include "server/engine/harness/comparability.h"

#include <algorithm>
#include <utility>

namespace qtipd {
namespace {

using Part = std::pair<std::string, std::string>;

constexpr std::string_view kSeparator = "; ";

std::string Escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '%') {
      text += "%25";
    } else if (c == ';') {
      text += "%3B";
    } else {
      text += c;
    }
  }
  return text;
}

std::string Fact(const RunRecord& run, const std::string& name) {
  const auto found = run.environment.find(name);
  return found == run.environment.end() ? "" : found->second;
}

// Of the installed driver where the device's monitor tells it, else of the driver's interface.
std::string DriverMajor(const RunRecord& run) {
  std::string version = Fact(run, "driver_version");
  if (version.empty()) version = Fact(run, "cuda_driver");
  return version.empty() ? "none" : version.substr(0, version.find('.'));
}

std::string OptionsPart(const Options& options) {
  std::string text;
  for (const auto& [name, value] : options.values()) {
    if (!text.empty()) text += ",";
    text += name + "=" + OptionText(value);
  }
  return text;
}

std::vector<Part> Parts(std::string_view key) {
  std::vector<Part> parts;
  while (!key.empty()) {
    const std::string_view part = key.substr(0, key.find(kSeparator));
    const size_t equals = std::min(part.find('='), part.size());
    parts.emplace_back(part.substr(0, equals), part.substr(equals));
    key.remove_prefix(std::min(part.size() + kSeparator.size(), key.size()));
  }
  return parts;
}

bool Has(const std::vector<Part>& parts, const Part& part) {
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

}  // namespace

std::string ComparabilityKey(const RunRecord& run, const BenchmarkResult& result) {
  const std::vector<Part> parts = {{"device", run.device_name},
                                   {"units", Fact(run, "compute_units")},
                                   {"driver", DriverMajor(run)},
                                   {"clocks", result.conditions.clock_policy},
                                   {"cache", std::string(CacheModeName(result.cache_mode))},
                                   {"protocol", std::to_string(kProtocolVersion)},
                                   {"format", run.format},
                                   {"options", OptionsPart(run.options)},
                                   {"shape", std::to_string(run.shape.out_features) + "x" +
                                                 std::to_string(run.shape.in_features)},
                                   {"path", result.path},
                                   {"batch", std::to_string(result.batch)}};
  std::string key;
  for (const auto& [name, value] : parts) {
    if (!key.empty()) key += kSeparator;
    key += name + "=" + Escaped(value);
  }
  return key;
}

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
