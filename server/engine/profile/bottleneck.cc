#include "server/engine/profile/bottleneck.h"

#include <optional>

#include "kernels/api/options.h"

namespace qtipd {
namespace {

// A number out of the metrics: one metric, the sum of two, or the quotient of two.
struct Quantity {
  enum Kind { kMetric, kSum, kQuotient };
  std::string_view name;
  std::string_view unit;
  Kind kind;
  std::string_view first;
  std::string_view second = "";
};

constexpr Quantity Share(std::string_view name, std::string_view metric) {
  return {name, "%", Quantity::kMetric, metric};
}

#define QTIPD_STALL(reason) "smsp__warp_issue_stalled_" reason "_per_warp_active.pct"

constexpr Quantity kDram =
    Share("DRAM throughput", "dram__throughput.avg.pct_of_peak_sustained_elapsed");
constexpr Quantity kL2 =
    Share("L2 throughput", "lts__throughput.avg.pct_of_peak_sustained_elapsed");
constexpr Quantity kSm = Share("SM throughput", "sm__throughput.avg.pct_of_peak_sustained_elapsed");
constexpr Quantity kIssue = Share("cycles with an instruction issued",
                                  "smsp__issue_active.avg.pct_of_peak_sustained_active");
constexpr Quantity kOccupancy =
    Share("resident warps", "sm__warps_active.avg.pct_of_peak_sustained_active");
constexpr Quantity kLongScoreboard = Share("long_scoreboard", QTIPD_STALL("long_scoreboard"));
constexpr Quantity kMathPipe = Share("math_pipe_throttle", QTIPD_STALL("math_pipe_throttle"));
constexpr Quantity kBarrier = Share("barrier", QTIPD_STALL("barrier"));
constexpr Quantity kDispatch = Share("dispatch_stall", QTIPD_STALL("dispatch_stall"));
constexpr Quantity kWait = Share("wait", QTIPD_STALL("wait"));
constexpr Quantity kNotSelected = Share("not_selected", QTIPD_STALL("not_selected"));
constexpr Quantity kNoInstruction = Share("no_instruction", QTIPD_STALL("no_instruction"));
constexpr Quantity kQueues = Share("lg_throttle", QTIPD_STALL("lg_throttle"));
constexpr Quantity kSharedMemory = {"short_scoreboard + mio_throttle", "%", Quantity::kSum,
                                    QTIPD_STALL("short_scoreboard"), QTIPD_STALL("mio_throttle")};
constexpr Quantity kConflicts = {"bank conflicts a wavefront", "", Quantity::kQuotient,
                                 "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum",
                                 "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum"};
constexpr Quantity kIpc = {"instructions a cycle", "", Quantity::kQuotient, "instructions",
                           "cycles"};
constexpr Quantity kMissRatio = {"last-level cache misses an access", "", Quantity::kQuotient,
                                 "cache_misses", "cache_references"};
constexpr Quantity kBranchMisses = {"mispredictions a branch", "", Quantity::kQuotient,
                                    "branch_misses", "branches"};

#undef QTIPD_STALL

struct Condition {
  const Quantity* quantity = nullptr;
  bool is_at_least = true;  // else: below
  double bound = 0;
  bool is_optional = false;  // holds where it was not counted
};

constexpr Condition AtLeast(const Quantity& quantity, double bound) {
  return {&quantity, true, bound};
}
constexpr Condition Below(const Quantity& quantity, double bound) {
  return {&quantity, false, bound};
}

constexpr Condition IfCounted(Condition condition) {
  condition.is_optional = true;
  return condition;
}

// Fires where all its conditions hold.
struct Rule {
  std::string_view name;
  Condition conditions[3];
  std::string_view sentence;
};

// Bounds are of the counters' own scales: 60 % of a peak that no kernel reaches whole, and shares
// well above what each reason has in a balanced kernel.
constexpr Rule kRules[] = {
    {"memory_bandwidth",
     {AtLeast(kDram, 60)},
     "Memory bandwidth is the limit: only fewer bytes make it faster."},
    {"l2_bandwidth",
     {AtLeast(kL2, 60), Below(kDram, 60)},
     "L2 bandwidth is the limit, and memory is not: data are read again and again from L2."},
    {"memory_latency",
     {AtLeast(kLongScoreboard, 30), Below(kDram, 60), IfCounted(Below(kL2, 60))},
     "Memory latency is the limit: warps wait for data while bandwidth is left. More loads in "
     "flight help: prefetch earlier, more warps, wider loads."},
    {"issue_rate",
     {AtLeast(kIssue, 70)},
     "Instruction issue is the limit: the schedulers are busy nearly every cycle. Only fewer "
     "instructions make it faster."},
    {"math_pipe",
     {AtLeast(kMathPipe, 20)},
     "One arithmetic pipe is oversubscribed: another mix of instructions would spread the load."},
    {"shared_memory",
     {AtLeast(kSharedMemory, 25)},
     "Shared memory is a limit: warps wait for table lookups or for room in its queue."},
    {"bank_conflicts",
     {AtLeast(kConflicts, 0.1)},
     "Lookups in shared memory collide in its banks: copies of the table in other banks help."},
    {"memory_queue",
     {AtLeast(kQueues, 10)},
     "The queue of global memory instructions is full: fewer and wider loads help."},
    {"barriers",
     {AtLeast(kBarrier, 20)},
     "Warps wait for each other: uneven work within a block, too many barriers, or blocks that "
     "were "
     "started early and wait for the kernel before."},
    {"dispatch",
     {AtLeast(kDispatch, 10)},
     "The dispatcher holds chosen warps back: register banks or half-rate instructions collide."},
    {"fixed_latency",
     {AtLeast(kWait, 25)},
     "Chains of dependent instructions are a limit: more independent work in each warp helps."},
    {"instruction_fetch",
     {AtLeast(kNoInstruction, 10)},
     "Instructions do not arrive in time: the kernel is too long or too short for its cache."},
    {"few_warps",
     {Below(kOccupancy, 25), Below(kIssue, 40)},
     "Too few warps are resident to hide latencies: fewer registers or less shared memory a block "
     "would allow more."},
    {"ample_warps",
     {AtLeast(kNotSelected, 20)},
     "Ready warps queue for the scheduler: occupancy is not what is missing."},
    {"idle",
     {Below(kSm, 25), Below(kDram, 25)},
     "Neither compute nor memory is used well: the work is too small for the device, or it waits "
     "between kernels."},
    {"cpu_memory",
     {Below(kIpc, 1), AtLeast(kMissRatio, 0.3)},
     "The cores wait for memory: few instructions a cycle, and many accesses miss the last cache."},
    {"cpu_instructions",
     {AtLeast(kIpc, 2.5)},
     "The cores are busy with instructions: only fewer or wider ones make it faster."},
    {"cpu_branches",
     {AtLeast(kBranchMisses, 0.02)},
     "Branches are mispredicted often enough to cost: branch-free code helps."},
};

std::optional<double> Find(const std::vector<MetricValue>& metrics, std::string_view name) {
  for (const MetricValue& metric : metrics) {
    if (metric.name == name) return metric.value;
  }
  return std::nullopt;
}

std::optional<double> Evaluate(const Quantity& quantity, const std::vector<MetricValue>& metrics) {
  const std::optional<double> first = Find(metrics, quantity.first);
  if (quantity.kind == Quantity::kMetric || !first) return first;
  const std::optional<double> second = Find(metrics, quantity.second);
  if (!second) return std::nullopt;
  if (quantity.kind == Quantity::kSum) return *first + *second;
  return *second > 0 ? std::optional(*first / *second) : std::nullopt;
}

// The finding of a rule whose conditions all hold.
std::optional<BottleneckFinding> Apply(const Rule& rule, const std::vector<MetricValue>& metrics) {
  BottleneckFinding finding{std::string(rule.name), std::string(rule.sentence), {}};
  for (const Condition& condition : rule.conditions) {
    if (condition.quantity == nullptr) continue;
    const std::optional<double> value = Evaluate(*condition.quantity, metrics);
    if (!value && condition.is_optional) continue;
    if (!value || (*value >= condition.bound) != condition.is_at_least) return std::nullopt;
    finding.evidence.push_back(
        {std::string(condition.quantity->name), *value, std::string(condition.quantity->unit),
         (condition.is_at_least ? "at least " : "below ") + OptionText(condition.bound)});
  }
  return finding;
}

}  // namespace

std::vector<BottleneckFinding> ExplainBottleneck(const std::vector<MetricValue>& metrics) {
  std::vector<BottleneckFinding> findings;
  for (const Rule& rule : kRules) {
    if (auto finding = Apply(rule, metrics)) findings.push_back(*std::move(finding));
  }
  return findings;
}

std::vector<std::string_view> BottleneckRules() {
  std::vector<std::string_view> names;
  for (const Rule& rule : kRules) names.push_back(rule.name);
  return names;
}

}  // namespace qtipd
