#include "server/engine/harness/comparability.h"

#include <utility>
#include <vector>

#include "server/base/comparability_key.h"

namespace qtipd {
namespace {

using Part = std::pair<std::string, std::string>;

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

}  // namespace

std::string ComparabilityKey(const RunRecord& run, const BenchmarkResult& result) {
  std::vector<Part> parts = {{"device", run.device_name},
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
  if (const std::string activations = OtherActivations(run, result); !activations.empty()) {
    parts.emplace_back("activations", activations);
  }
  std::string key;
  for (const auto& [name, value] : parts) {
    if (!key.empty()) key += kComparabilitySeparator;
    key += name + "=" + Escaped(value);
  }
  return key;
}

}  // namespace qtipd
