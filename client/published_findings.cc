#include "client/published_findings.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/speed_cells.h"
#include "client/units.h"

namespace qtipd {
namespace {

enum class Holds { kYes, kNo, kNotMeasured };

const char* Name(Holds holds) {
  switch (holds) {
    case Holds::kYes:
      return "yes";
    case Holds::kNo:
      return "no";
    case Holds::kNotMeasured:
      break;
  }
  return "not measured";
}

// in_features of the most matrices; of several the smallest.
int64_t CommonInputs(const std::vector<SpeedResult>& results) {
  std::map<int64_t, int> counts;
  for (const SpeedResult& result : results) ++counts[result.speed_case.shape.in_features()];
  const auto most = std::ranges::max_element(
      counts, [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? 0 : most->first;
}

struct Ends {
  const SpeedResult* narrow = nullptr;
  const SpeedResult* wide = nullptr;
};

Ends FindEnds(const std::vector<SpeedResult>& results) {
  const int64_t inputs = CommonInputs(results);
  Ends ends;
  for (const SpeedResult& result : results) {
    if (result.speed_case.shape.in_features() != inputs) continue;
    const int64_t width = result.speed_case.shape.out_features();
    if (ends.narrow == nullptr || width < ends.narrow->speed_case.shape.out_features()) {
      ends.narrow = &result;
    }
    if (ends.wide == nullptr || width > ends.wide->speed_case.shape.out_features()) {
      ends.wide = &result;
    }
  }
  return ends;
}

// Whether `is_so` holds of fused's speed-up over dense at every batch, with the speed-ups.
template <typename IsSo>
std::pair<Holds, std::string> OfSpeedups(const SpeedResult* result, const IsSo& is_so) {
  if (result == nullptr) return {Holds::kNotMeasured, "no matrix"};
  Holds holds = Holds::kNotMeasured;
  std::vector<std::string> figures;
  for (const int64_t batch : result->speed_case.batches) {
    const Speeds speeds = MedianSpeeds(*result, batch);
    if (!speeds.dense || !speeds.fused || *speeds.fused <= 0) continue;
    const double speedup = *speeds.dense / *speeds.fused;
    if (holds != Holds::kNo) holds = is_so(speedup) ? Holds::kYes : Holds::kNo;
    figures.push_back(absl::StrCat("batch ", batch, ": ", FormatNumber(speedup, 3), "x"));
  }
  return {holds,
          absl::StrCat(result->speed_case.shape.out_features(), " outputs, fused over dense, ",
                       figures.empty() ? "nothing measured" : absl::StrJoin(figures, ", "))};
}

// Compute's share over memory's.
std::optional<double> Balance(const SpeedResult& result, const std::string& path, int64_t batch) {
  const auto found = result.shares.find({path, batch});
  if (found == result.shares.end() || found->second.memory <= 0) return std::nullopt;
  return found->second.compute / found->second.memory;
}

std::pair<Holds, std::string> OfCounters(const Ends& ends) {
  Holds holds = Holds::kNotMeasured;
  std::vector<std::string> figures;
  for (const SpeedResult* result : {ends.narrow, ends.wide}) {
    if (result == nullptr) continue;
    for (const int64_t batch : result->speed_case.batches) {
      const auto dense = Balance(*result, "dense", batch);
      const auto fused = Balance(*result, "fused", batch);
      if (!dense || !fused) continue;
      if (holds != Holds::kNo) holds = *fused > *dense ? Holds::kYes : Holds::kNo;
      figures.push_back(absl::StrCat(result->speed_case.shape.out_features(), " outputs, batch ",
                                     batch, ": compute/memory ", FormatNumber(*dense, 3),
                                     " dense, ", FormatNumber(*fused, 3), " fused"));
    }
  }
  return {holds, figures.empty() ? "this device gave no counters" : absl::StrJoin(figures, "; ")};
}

}  // namespace

Table PublishedFindingsTable(const std::vector<SpeedResult>& results) {
  const Ends ends = FindEnds(results);
  const std::pair<const char*, std::pair<Holds, std::string>> findings[] = {
      {"INT4 helps where the output is wide",
       OfSpeedups(ends.wide, [](double speedup) { return speedup > 1; })},
      {"INT4 is slower where the output is narrow",
       OfSpeedups(ends.narrow, [](double speedup) { return speedup < 1; })},
      {"counters show the bottleneck move from memory to computing", OfCounters(ends)}};
  Table table({{"finding", "finding"}, {"holds here", "holds"}, {"figures", "figures"}});
  for (const auto& [finding, verdict] : findings) {
    table.AddRow({finding, Name(verdict.first), verdict.second});
  }
  return table;
}

}  // namespace qtipd
