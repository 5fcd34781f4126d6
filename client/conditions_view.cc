#include "client/conditions_view.h"

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/units.h"

namespace qtipd {
namespace {

std::string Megahertz(double hertz) { return FormatNumber(hertz / 1e6, 4); }

std::string Distribution(const v1::Latency& latency) {
  std::string text;
  if (latency.has_p10()) absl::StrAppend(&text, "p10 ", FormatSeconds(latency.p10()), ", ");
  if (latency.has_p90()) absl::StrAppend(&text, "p90 ", FormatSeconds(latency.p90()), ", ");
  if (latency.has_p95()) absl::StrAppend(&text, "p95 ", FormatSeconds(latency.p95()), ", ");
  if (latency.has_p99()) absl::StrAppend(&text, "p99 ", FormatSeconds(latency.p99()), ", ");
  absl::StrAppend(&text, "IQR ", FormatSeconds(latency.iqr()), ", MAD ",
                  FormatSeconds(latency.mad()), ", modes ", latency.modes(), ", outliers ",
                  latency.low_outliers(), " low, ", latency.high_outliers(), " high");
  return text;
}

std::string RooflineText(const v1::Roofline& roofline) {
  const std::map<std::string, double> limits(roofline.limit_seconds().begin(),
                                             roofline.limit_seconds().end());
  std::vector<std::string> texts;
  for (const auto& [name, seconds] : limits) {
    texts.push_back(absl::StrCat(name, " ", FormatSeconds(seconds)));
  }
  return absl::StrCat(FormatPercent(roofline.fraction()), " of the ", roofline.limit(), " limit (",
                      absl::StrJoin(texts, ", "), ")");
}

std::string PhasesText(const v1::PhaseBreakdown& breakdown) {
  std::vector<std::string> texts;
  for (const v1::Phase& phase : breakdown.phases()) {
    texts.push_back(absl::StrCat(phase.name(), " ", FormatSeconds(phase.seconds()), " (",
                                 FormatPercent(phase.fraction()), ")"));
  }
  std::string text = absl::StrCat("kernel ", FormatSeconds(breakdown.kernel_seconds()), ": ",
                                  absl::StrJoin(texts, ", "));
  if (breakdown.shipped_kernel_seconds() > 0) {
    absl::StrAppend(&text, "; without time stamps ",
                    FormatSeconds(breakdown.shipped_kernel_seconds()));
  }
  return text;
}

std::string Clock(const v1::Conditions& conditions) {
  return absl::StrCat(
      Megahertz(conditions.clock_hertz()), " MHz (", Megahertz(conditions.clock_hertz_minimum()),
      " to ", Megahertz(conditions.clock_hertz_maximum()), "), policy ", conditions.clock_policy());
}

std::string Temperature(const v1::Conditions& conditions) {
  return absl::StrCat(FormatNumber(conditions.temperature_begin_celsius(), 3), " to ",
                      FormatNumber(conditions.temperature_end_celsius(), 3), " °C");
}

// Rows named after one cell.
class Facts {
 public:
  Facts(const std::string& cell, Table& table) : cell_(cell), table_(table) {}
  void Add(const std::string& name, const std::string& value) {
    table_.AddRow({absl::StrCat(cell_, ": ", name), value});
  }

 private:
  const std::string& cell_;
  Table& table_;
};

void AddState(const v1::Conditions& conditions, Facts& facts) {
  if (conditions.has_clock_hertz()) facts.Add("clock", Clock(conditions));
  if (conditions.has_temperature_begin_celsius() && conditions.has_temperature_end_celsius()) {
    facts.Add("temperature", Temperature(conditions));
  }
  if (conditions.has_power_watts()) {
    facts.Add("power", absl::StrCat(FormatNumber(conditions.power_watts(), 4), " W"));
  }
  if (conditions.has_joules_per_run()) {
    facts.Add("energy of a run",
              absl::StrCat(FormatNumber(conditions.joules_per_run() * 1e3, 4), " mJ"));
  }
  if (conditions.clock_events_size() > 0) {
    facts.Add("clock events", absl::StrJoin(conditions.clock_events(), ", "));
  }
  if (conditions.throttled_samples() + conditions.retaken_samples() > 0) {
    facts.Add("throttled samples", absl::StrCat(conditions.throttled_samples(), " kept, ",
                                                conditions.retaken_samples(), " taken again"));
  }
  for (const std::string& line : conditions.foreign_work()) facts.Add("foreign work", line);
}

}  // namespace

std::string StoppingText(const v1::StoppingRule& rule) {
  if (rule.samples() > 0) return absl::StrCat(rule.samples(), " samples");
  const std::map<std::string, double> parameters(rule.parameters().begin(),
                                                 rule.parameters().end());
  const double seconds = static_cast<double>(rule.timeout().seconds()) +
                         static_cast<double>(rule.timeout().nanos()) * 1e-9;
  return absl::StrCat(
      rule.criterion(), " (",
      absl::StrJoin(parameters, ", ",
                    [](std::string* out, const auto& parameter) {
                      absl::StrAppend(out, parameter.first, "=", FormatNumber(parameter.second));
                    }),
      "), ", rule.min_samples(), " to ", rule.max_samples(), " samples, interval ",
      FormatPercent(rule.relative_half_width()), ", at most ", FormatSeconds(seconds));
}

void AddConditions(const v1::BenchmarkResult& result, const std::string& cell, Table& table) {
  if (result.has_error()) return;
  Facts facts(cell, table);
  if (result.warnings_size() > 0) facts.Add("warnings", absl::StrJoin(result.warnings(), ", "));
  facts.Add("distribution", Distribution(result.latency()));
  if (result.latency().replay_overhead_seconds() > 0) {
    facts.Add("empty replay", FormatSeconds(result.latency().replay_overhead_seconds()));
  }
  if (result.has_roofline()) facts.Add("roofline", RooflineText(result.roofline()));
  if (result.has_packed_read_seconds()) {
    facts.Add("bare read of the weights", FormatSeconds(result.packed_read_seconds()));
  }
  if (result.has_phases()) facts.Add("phases", PhasesText(result.phases()));
  AddState(result.conditions(), facts);
  facts.Add("wall time", FormatSeconds(result.wall_seconds()));
  if (!result.comparability_key().empty()) {
    facts.Add("comparability key", result.comparability_key());
  }
}

}  // namespace qtipd
