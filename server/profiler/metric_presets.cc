#include "server/profiler/metric_presets.h"

#include <algorithm>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr char kDuration[] = "gpu__time_duration.sum";
constexpr char kDramThroughput[] = "dram__throughput.avg.pct_of_peak_sustained_elapsed";

constexpr const char* kMemory[] = {
    "dram__bytes_read.sum",
    "dram__bytes_write.sum",
    kDramThroughput,
    "lts__throughput.avg.pct_of_peak_sustained_elapsed",
    "lts__t_sector_hit_rate.pct",
    kDuration,
};

// What `full` has beside the stalls and the memory.
constexpr const char* kThroughput[] = {
    "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "l1tex__throughput.avg.pct_of_peak_sustained_elapsed",
    "l1tex__t_sector_hit_rate.pct",
    "smsp__inst_executed.sum",
    "smsp__issue_active.avg.pct_of_peak_sustained_active",
    "smsp__warps_eligible.avg.per_cycle_active",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
    "sm__inst_executed_pipe_tensor_op_hmma.sum",
    "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active",
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum",
    "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum",
};

void AddStalls(const std::vector<std::string>& bases, std::vector<std::string>& metrics) {
  for (const std::string& base : bases) {
    const std::string reason = StallReasonOf(base);
    if (reason.empty() || IsPartOfReason(reason, bases)) continue;
    metrics.push_back(base + ".pct");
  }
}

}  // namespace

std::string StallReasonOf(std::string_view metric) {
  if (metric.ends_with(".pct")) metric.remove_suffix(4);
  const bool matches = metric.starts_with(kStallPrefix) && metric.ends_with(kStallSuffix) &&
                       metric.size() > kStallPrefix.size() + kStallSuffix.size();
  if (!matches) return "";
  metric.remove_prefix(kStallPrefix.size());
  metric.remove_suffix(kStallSuffix.size());
  return std::string(metric);
}

bool IsPartOfReason(std::string_view reason, const std::vector<std::string>& bases) {
  const size_t pipe = reason.find("_pipe_");
  if (pipe == std::string_view::npos) return false;
  const std::string_view whole = reason.substr(0, pipe);
  return std::any_of(bases.begin(), bases.end(),
                     [&](const std::string& base) { return StallReasonOf(base) == whole; });
}

const std::vector<std::string>& PresetNames() {
  static const auto& names = *new std::vector<std::string>{"memory", "stalls", "full"};
  return names;
}

absl::Status CheckPreset(std::string_view preset) {
  const std::vector<std::string>& names = PresetNames();
  if (std::find(names.begin(), names.end(), preset) != names.end()) return absl::OkStatus();
  return InvalidField("PRESET_UNKNOWN", "preset", preset, "memory, stalls, full");
}

absl::StatusOr<std::vector<std::string>> PresetMetrics(std::string_view preset,
                                                       const std::vector<std::string>& bases) {
  QTIPD_RETURN_IF_ERROR(CheckPreset(preset));
  std::vector<std::string> metrics;
  if (preset != "memory") AddStalls(bases, metrics);
  // A wait for data is latency or bandwidth: only the memory's own throughput tells.
  if (preset == "stalls") metrics.insert(metrics.end(), {kDuration, kDramThroughput});
  if (preset != "stalls") metrics.insert(metrics.end(), std::begin(kMemory), std::end(kMemory));
  if (preset == "full") {
    metrics.insert(metrics.end(), std::begin(kThroughput), std::end(kThroughput));
  }
  return metrics;
}

absl::StatusOr<std::vector<std::string>> CpuPresetMetrics(std::string_view preset) {
  QTIPD_RETURN_IF_ERROR(CheckPreset(preset));
  using Names = std::vector<std::string>;
  if (preset == "full") return Names{};
  if (preset == "memory") {
    return Names{"cycles",     "instructions",      "cache_references",  "cache_misses",
                 "task_clock", "memory_read_bytes", "memory_write_bytes"};
  }
  return Names{"cycles",    "instructions",  "cache_references",        "cache_misses",
               "branches",  "branch_misses", "stalled_cycles_frontend", "stalled_cycles_backend",
               "task_clock"};
}

}  // namespace qtipd
