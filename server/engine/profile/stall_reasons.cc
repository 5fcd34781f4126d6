#include "server/engine/profile/stall_reasons.h"

#include <algorithm>

#include "server/profiler/metric_presets.h"

namespace qtipd {
namespace {

struct Meaning {
  std::string_view reason;
  std::string_view text;
};

constexpr Meaning kMeanings[] = {
    {"barrier", "waits at a barrier for other warps of its block, or for the kernel before"},
    {"branch_resolving", "waits until a branch target is known"},
    {"dispatch_stall", "was chosen, but the dispatcher held it back: operands or a unit collide"},
    {"drain", "has ended and waits for its stores"},
    {"gmma", "waits for a warp-group matrix operation"},
    {"imc_miss", "waits for a constant that is not in the constant cache"},
    {"lg_throttle", "waits for room in the queue of global and local memory instructions"},
    {"long_scoreboard", "waits for data from L1, L2 or memory (global, local, texture)"},
    {"math_pipe_throttle", "waits for an arithmetic unit that is in use"},
    {"membar", "waits at a memory fence"},
    {"mio_throttle", "waits for room in the queue of shared memory and special instructions"},
    {"misc", "waits for a reason that the hardware does not name"},
    {"no_instruction", "waits for its next instruction: a cache miss or a jump"},
    {"not_selected", "could issue, but the scheduler chose another warp: there is work enough"},
    {"selected", "issues an instruction: the only share that makes progress"},
    {"short_scoreboard", "waits for shared memory or a special unit, as a table lookup does"},
    {"sleeping", "sleeps, as it asked to"},
    {"tex_throttle", "waits for room in the queue of texture instructions"},
    {"wait", "waits the fixed latency of the instruction before"},
};

}  // namespace

std::string_view StallMeaning(std::string_view reason) {
  for (const Meaning& meaning : kMeanings) {
    if (meaning.reason == reason) return meaning.text;
  }
  return "";
}

std::vector<StallShare> StallBreakdown(const std::vector<MetricValue>& metrics) {
  std::vector<std::string> names;
  for (const MetricValue& metric : metrics) names.push_back(metric.name);
  std::vector<StallShare> shares;
  for (const MetricValue& metric : metrics) {
    const std::string reason = StallReasonOf(metric.name);
    if (reason.empty() || metric.unit != "percent" || IsPartOfReason(reason, names)) continue;
    const std::string_view meaning = StallMeaning(reason);
    shares.push_back(
        {reason, metric.value, meaning.empty() ? metric.description : std::string(meaning)});
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const auto& a, const auto& b) { return a.percent > b.percent; });
  return shares;
}

}  // namespace qtipd
