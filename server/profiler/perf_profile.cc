#include "server/profiler/perf_profile.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/host_facts.h"
#include "server/profiler/metric_presets.h"

namespace qtipd {
namespace {

constexpr char kParanoid[] = "/proc/sys/kernel/perf_event_paranoid";

// The catalogue's names of a preset.
absl::StatusOr<std::vector<std::string>> NamesOf(const std::string& preset,
                                                 const std::vector<PerfMetric>& catalogue) {
  QTIPD_ASSIGN_OR_RETURN(std::vector<std::string> names, CpuPresetMetrics(preset));
  if (!names.empty()) return names;
  for (const PerfMetric& metric : catalogue) names.push_back(metric.name);
  return names;
}

struct PerfSelection {
  std::vector<PerfMetric> metrics;
  std::vector<std::string> unknown;
};

absl::StatusOr<PerfSelection> Select(const std::vector<PerfMetric>& catalogue,
                                     const std::string& preset,
                                     const std::vector<std::string>& named) {
  std::vector<std::string> names;
  if (!preset.empty()) {
    QTIPD_ASSIGN_OR_RETURN(names, NamesOf(preset, catalogue));
  }
  names.insert(names.end(), named.begin(), named.end());
  PerfSelection selection;
  for (size_t i = 0; i < names.size(); ++i) {
    if (std::find(names.begin(), names.begin() + i, names[i]) != names.begin() + i) continue;
    const auto found = std::find_if(catalogue.begin(), catalogue.end(),
                                    [&](const PerfMetric& m) { return m.name == names[i]; });
    if (found == catalogue.end()) {
      selection.unknown.push_back(names[i]);
    } else {
      selection.metrics.push_back(*found);
    }
  }
  if (!selection.metrics.empty()) return selection;
  std::string known;
  for (const PerfMetric& metric : catalogue) known += (known.empty() ? "" : ", ") + metric.name;
  return InvalidField("METRIC_UNKNOWN", "metrics", names.empty() ? "nothing" : names.front(),
                      known);
}

bool IsRefusal(int error) { return error == EACCES || error == EPERM; }

bool IsExhaustion(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM; }

// The highest setting that lets this metric be counted without a capability.
std::string_view ParanoidBound(const PerfMetric& metric) {
  return metric.is_system_wide ? "0 or lower" : "2 or lower";
}

absl::Status NotPermitted(const PerfApi& api, std::string_view bound) {
  std::string level = "unreadable";
  std::ifstream(api.root + kParanoid) >> level;
  return MakeError(absl::StatusCode::kPermissionDenied, "PERF_EVENT_NOT_PERMITTED",
                   "the kernel refuses its counters: " + std::string(kParanoid) + " is " + level +
                       "; set it to " + std::string(bound) + " as root, or give qtipd CAP_PERFMON",
                   {{"perf_event_paranoid", level}});
}

absl::Status Exhausted(int error) {
  return MakeError(
      absl::StatusCode::kResourceExhausted, "PERF_EVENT_EXHAUSTED",
      "the processor's counters cannot be opened: " + std::string(std::strerror(error)) +
          "; they take a descriptor for every metric of every thread: raise the limit "
          "of open files (LimitNOFILE), or name fewer metrics",
      {{"error", std::strerror(error)}});
}

// Why nothing of the processor was counted: the first reason that has a cure.
absl::Status Refuse(const PerfApi& api, const std::vector<PerfMetric>& metrics,
                    const std::vector<PerfCount>& counts) {
  const PerfMetric* refused = nullptr;
  int exhaustion = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (IsExhaustion(counts[i].error)) exhaustion = counts[i].error;
    // Threads come first: only the whole machine's counters need the lower setting.
    const bool comes_first = refused == nullptr || refused->is_system_wide;
    if (IsRefusal(counts[i].error) && comes_first) refused = &metrics[i];
  }
  if (refused != nullptr && !refused->is_system_wide) {
    return NotPermitted(api, ParanoidBound(*refused));
  }
  if (exhaustion != 0) return Exhausted(exhaustion);
  if (refused != nullptr) return NotPermitted(api, ParanoidBound(*refused));
  return MakeError(absl::StatusCode::kUnimplemented, "PERF_EVENT_UNSUPPORTED",
                   "this machine has no counters of the processor: a virtual machine needs a "
                   "virtual PMU from its host");
}

absl::Status CheckCounted(const PerfApi& api, const std::vector<PerfMetric>& metrics,
                          const std::vector<PerfCount>& counts) {
  bool wants_hardware = false;
  bool any = false;
  for (size_t i = 0; i < counts.size(); ++i) {
    const bool is_counted = counts[i].error == 0;
    if (metrics[i].is_hardware && is_counted) return absl::OkStatus();
    wants_hardware |= metrics[i].is_hardware;
    any |= is_counted;
  }
  return any && !wants_hardware ? absl::OkStatus() : Refuse(api, metrics, counts);
}

std::string WhyNotCounted(const PerfMetric& metric, int error) {
  std::string why = std::strerror(error);
  if (IsRefusal(error)) {
    why += ": " + std::string(kParanoid) + " must be " + std::string(ParanoidBound(metric));
  }
  return why;
}

std::string Percent(double fraction) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.0f %%", 100 * fraction);
  return text;
}

}  // namespace

absl::StatusOr<ProfileData> ProfileWithPerfEvents(const PerfApi& api, const ProfileTask& task,
                                                  const Replay& replay) {
  QTIPD_ASSIGN_OR_RETURN(PerfSelection selection,
                         Select(PerfCatalogue(api), task.preset, task.metrics));
  QTIPD_ASSIGN_OR_RETURN(const std::vector<PerfCount> counts,
                         CountEvents(api, selection.metrics, replay));
  QTIPD_RETURN_IF_ERROR(CheckCounted(api, selection.metrics, counts));
  ProfileData data;
  data.chip = ReadHostFacts(api.root).cpu_name;
  data.source = "perf_event";
  data.passes = 1;
  data.unavailable_metrics = std::move(selection.unknown);
  for (size_t i = 0; i < counts.size(); ++i) {
    const PerfMetric& metric = selection.metrics[i];
    if (counts[i].error != 0) {
      data.unavailable_metrics.push_back(metric.name);
      data.notes["not_counted." + metric.name] = WhyNotCounted(metric, counts[i].error);
      continue;
    }
    data.metrics.push_back({metric.name, counts[i].value, metric.unit, metric.description});
    if (counts[i].running_fraction < 1) {
      data.notes["multiplexed." + metric.name] =
          "counted " + Percent(counts[i].running_fraction) + " of the time, scaled up";
    }
  }
  if (task.samples_program_counters) {
    data.notes["instructions"] = "not sampled on the CPU";
  }
  return data;
}

absl::StatusOr<MetricCatalogue> ReadPerfCatalogue(const PerfApi& api, const CatalogueTask& task) {
  const std::vector<PerfMetric> known = PerfCatalogue(api);
  MetricCatalogue catalogue;
  catalogue.chip = ReadHostFacts(api.root).cpu_name;
  for (const PerfMetric& metric : known) {
    catalogue.metrics.push_back({metric.name, metric.description});
  }
  if (task.preset.empty() && task.metrics.empty()) return catalogue;
  QTIPD_ASSIGN_OR_RETURN(PerfSelection selection, Select(known, task.preset, task.metrics));
  for (const PerfMetric& metric : selection.metrics) {
    catalogue.selected_metrics.push_back(metric.name);
  }
  catalogue.unavailable_metrics = std::move(selection.unknown);
  catalogue.passes = 1;
  return catalogue;
}

}  // namespace qtipd
