#include "client/profile_view.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/activations.h"
#include "client/artifact_view.h"
#include "client/units.h"

namespace qtipd {
namespace {

constexpr char kPerfEvents[] = "perf_event";
constexpr size_t kDominantReasons = 3;
constexpr std::string_view kStallPrefix = "smsp__warp_issue_stalled_";

Cell Number(double value, const std::string& text) { return Cell(text, ExactNumber(value)); }

std::string Counted(int64_t count, const std::string& one, const std::string& many) {
  return absl::StrCat(count, " ", count == 1 ? one : many);
}

// "qtip/hyb 2 bits 4096x4096"
std::string Weights(const v1::Profile& profile) {
  const std::string bits = OptionText(profile.format_options(), "bits");
  return absl::StrCat(FormatAndCode(profile.format(), profile.format_options()),
                      bits.empty() ? "" : absl::StrCat(" ", bits, " bits"), " ",
                      ShapeText(profile.shape()));
}

std::string PathText(const v1::Profile& profile) {
  const std::string step = profile.step().empty() ? "" : ", step " + profile.step();
  const std::string activations = OtherActivations(profile);
  return absl::StrCat(profile.path(), step,
                      activations.empty() ? "" : ", " + activations + " activations");
}

std::string EvidenceText(const v1::BottleneckEvidence& evidence) {
  const std::string unit = evidence.unit().empty() ? "" : " " + evidence.unit();
  return absl::StrCat(evidence.quantity(), " ", FormatNumber(evidence.value(), 3), unit, " (",
                      evidence.condition(), ")");
}

}  // namespace

bool IsTotal(const v1::Profile& profile, const v1::MetricValue& metric) {
  return profile.source() == kPerfEvents || metric.name().ends_with(".sum");
}

bool IsStall(const v1::MetricValue& metric) {
  return std::string_view(metric.name()).starts_with(kStallPrefix);
}

std::string MetricText(double value, const std::string& unit) {
  if (unit == "percent") return FormatNumber(value, 4) + " %";
  if (unit == "bytes" && value >= 0) return FormatBytes(static_cast<uint64_t>(value));
  if (unit == "seconds") return FormatSeconds(value);
  return absl::StrCat(FormatNumber(value, 5), unit.empty() ? "" : " ", unit);
}

Cell PerRunCell(const v1::Profile& profile, const v1::MetricValue& metric) {
  if (!IsTotal(profile, metric) || profile.runs() < 1) return Absent();
  const double value = metric.value() / static_cast<double>(profile.runs());
  return Number(value, MetricText(value, metric.unit()));
}

double StallSum(const v1::Profile& profile) {
  double sum = 0;
  for (const v1::StallReason& stall : profile.stall_reasons()) sum += stall.percent();
  return sum;
}

std::string ProfileTitle(const v1::Profile& profile) {
  const std::string chip = profile.chip() == profile.device_name() || profile.chip().empty()
                               ? ""
                               : absl::StrCat(" (", profile.chip(), ")");
  return absl::StrCat("profile ", profile.id(), ": ", profile.artifact(), " ", Weights(profile),
                      ", path ", PathText(profile), ", batch ", profile.batch(), ", on ",
                      profile.device(), ", ", profile.device_name(), chip);
}

std::string ProfileMethod(const v1::Profile& profile) {
  const std::string what =
      profile.preset().empty() ? "metrics by name" : "preset " + profile.preset();
  return absl::StrCat(what, ": ", Counted(profile.metrics_size(), "metric", "metrics"), " in ",
                      Counted(profile.passes(), "pass", "passes"), " of ",
                      Counted(profile.runs(), "run", "runs"), " over ",
                      Counted(profile.copies(), "copy", "copies"), " of the weights, by ",
                      profile.source(), " in ", FormatSeconds(profile.seconds()));
}

Table MetricTable(const v1::Profile& profile, bool with_stalls) {
  Table table({{"metric", "metric"},
               {"value", "value", Align::kRight},
               {"unit", "unit"},
               {"of one run", "per_run", Align::kRight},
               {"description", "description"}});
  for (const v1::MetricValue& metric : profile.metrics()) {
    if (!with_stalls && IsStall(metric)) continue;
    table.AddRow({metric.name(), Number(metric.value(), FormatNumber(metric.value(), 5)),
                  metric.unit().empty() ? Absent() : Cell(metric.unit()),
                  PerRunCell(profile, metric), metric.description()});
  }
  return table;
}

Table StallTable(const v1::Profile& profile) {
  Table table(
      {{"stall reason", "reason"}, {"share", "percent", Align::kRight}, {"a warp ...", "meaning"}});
  for (const v1::StallReason& stall : profile.stall_reasons()) {
    table.AddRow({stall.reason(),
                  Number(stall.percent(), absl::StrFormat("%.2f %%", stall.percent())),
                  stall.meaning()});
  }
  return table;
}

std::string DominantStalls(const v1::HotInstruction& instruction) {
  std::vector<std::pair<std::string, uint64_t>> stalls(instruction.stall_samples().begin(),
                                                       instruction.stall_samples().end());
  std::sort(stalls.begin(), stalls.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (stalls.size() > kDominantReasons) stalls.resize(kDominantReasons);
  std::vector<std::string> texts;
  for (const auto& [reason, samples] : stalls) {
    const double share = static_cast<double>(samples) / static_cast<double>(instruction.samples());
    texts.push_back(absl::StrCat(reason, " ", FormatPercent(share)));
  }
  return absl::StrJoin(texts, ", ");
}

Table InstructionTable(const v1::Profile& profile) {
  Table table({{"samples", "samples", Align::kRight},
               {"share", "share", Align::kRight},
               {"waits for", "stalls"},
               {"instruction", "instruction"},
               {"at", "offset_bytes", Align::kRight},
               {"function", "function"}});
  const double total = static_cast<double>(std::max<uint64_t>(profile.total_samples(), 1));
  for (const v1::HotInstruction& hot : profile.hot_instructions()) {
    const double share = static_cast<double>(hot.samples()) / total;
    table.AddRow({std::to_string(hot.samples()), Number(share, FormatPercent(share)),
                  DominantStalls(hot), hot.text().empty() ? Absent() : Cell(hot.text()),
                  Cell(absl::StrCat("0x", absl::Hex(hot.offset_bytes(), absl::kZeroPad4)),
                       std::to_string(hot.offset_bytes())),
                  hot.function()});
  }
  return table;
}

std::string BottleneckText(const v1::Profile& profile) {
  if (profile.bottleneck().empty()) {
    return "no rule fired on what was counted; the preset full counts most\n";
  }
  std::string text;
  for (const v1::BottleneckFinding& finding : profile.bottleneck()) {
    std::vector<std::string> numbers;
    for (const v1::BottleneckEvidence& evidence : finding.evidence()) {
      numbers.push_back(EvidenceText(evidence));
    }
    absl::StrAppend(&text, finding.rule(), ": ", finding.sentence(), "\n    because ",
                    absl::StrJoin(numbers, " and "), "\n");
  }
  return text;
}

Table ProfileDetails(const v1::Profile& profile) {
  Table table({{"field", "field"}, {"value", "value"}});
  table.AddRow({"profile", profile.id()});
  table.AddRow({"artifact", profile.artifact()});
  table.AddRow({"sha256", profile.artifact_sha256()});
  table.AddRow({"format", profile.format()});
  table.AddRow({"options", OptionsText(profile.format_options())});
  table.AddRow({"shape", ShapeText(profile.shape())});
  table.AddRow({"path", PathText(profile)});
  table.AddRow({"batch", std::to_string(profile.batch())});
  table.AddRow({"device", absl::StrCat(profile.device(), ", ", profile.device_name())});
  table.AddRow({"chip", profile.chip()});
  table.AddRow({"method", ProfileMethod(profile)});
  table.AddRow({"created", FormatTime(profile.create_time())});
  if (!profile.unavailable_metrics().empty()) {
    table.AddRow({"not counted", absl::StrJoin(profile.unavailable_metrics(), ", ")});
  }
  const std::map<std::string, std::string> environment(profile.environment().begin(),
                                                       profile.environment().end());
  for (const auto& [name, value] : environment) table.AddRow({"environment: " + name, value});
  const std::map<std::string, std::string> notes(profile.notes().begin(), profile.notes().end());
  for (const auto& [name, value] : notes) table.AddRow({"note: " + name, value});
  return table;
}

Table ProfileTable(const std::vector<v1::Profile>& profiles) {
  Table table({{"profile", "profile"},
               {"artifact", "artifact"},
               {"format", "format"},
               {"bits", "bits", Align::kRight},
               {"shape", "shape", Align::kRight},
               {"path", "path"},
               {"step", "step"},
               {"batch", "batch", Align::kRight},
               {"device", "device"},
               {"preset", "preset"},
               {"by", "source"},
               {"passes", "passes", Align::kRight},
               {"created", "create_time"}});
  for (const v1::Profile& profile : profiles) {
    table.AddRow({profile.id(), profile.artifact(),
                  FormatAndCode(profile.format(), profile.format_options()),
                  OptionText(profile.format_options(), "bits", "-"), ShapeText(profile.shape()),
                  profile.path(), profile.step().empty() ? Absent() : Cell(profile.step()),
                  std::to_string(profile.batch()), profile.device(),
                  profile.preset().empty() ? Absent() : Cell(profile.preset()), profile.source(),
                  std::to_string(profile.passes()), FormatTime(profile.create_time())});
  }
  return table;
}

}  // namespace qtipd
