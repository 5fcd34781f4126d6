#include "client/profile_compare.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/activations.h"
#include "client/artifact_view.h"
#include "client/profile_view.h"
#include "client/units.h"

namespace qtipd {
namespace {

constexpr char kPercent[] = "percent";

std::string Environment(const v1::Profile& profile, const std::string& key) {
  const auto found = profile.environment().find(key);
  return found == profile.environment().end() ? "" : found->second;
}

// The installed driver where the daemon knows it, else the version of its interface.
std::string Driver(const v1::Profile& profile) {
  const std::string version = Environment(profile, "driver_version");
  return version.empty() ? Environment(profile, "cuda_driver") : version;
}

double Value(const v1::Profile& profile, const v1::MetricValue& metric) {
  const bool is_total = IsTotal(profile, metric) && profile.runs() > 0;
  return is_total ? metric.value() / static_cast<double>(profile.runs()) : metric.value();
}

const v1::MetricValue* Find(const v1::Profile& profile, const std::string& name) {
  for (const v1::MetricValue& metric : profile.metrics()) {
    if (metric.name() == name) return &metric;
  }
  return nullptr;
}

Cell ValueCell(bool is_there, double value, const std::string& unit) {
  return is_there ? Cell(MetricText(value, unit), ExactNumber(value)) : Absent();
}

std::string Signed(const std::string& text, double value) { return value > 0 ? "+" + text : text; }

Cell DifferenceCell(const MetricPair& pair) {
  if (!pair.is_in_a || !pair.is_in_b) return Absent();
  const double difference = pair.b - pair.a;
  if (pair.unit == kPercent) {
    return Cell(Signed(FormatNumber(difference, 3) + " points", difference),
                ExactNumber(difference));
  }
  if (pair.a == 0) return Cell(pair.b == 0 ? "0 %" : "-", ExactNumber(difference));
  return Cell(Signed(FormatNumber(100 * difference / pair.a, 3) + " %", difference / pair.a),
              ExactNumber(difference));
}

nlohmann::ordered_json NumberOrNull(bool is_there, double value) {
  return is_there ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::vector<ProfileFact> CompareFacts(const v1::Profile& a, const v1::Profile& b) {
  std::vector<ProfileFact> facts;
  const auto add = [&](const std::string& name, const auto& of) {
    facts.push_back({name, of(a), of(b)});
  };
  add("artifact", [](const auto& p) { return p.artifact(); });
  add("sha256", [](const auto& p) { return p.artifact_sha256(); });
  add("format", [](const auto& p) { return FormatAndCode(p.format(), p.format_options()); });
  add("bits", [](const auto& p) { return OptionText(p.format_options(), "bits"); });
  add("shape", [](const auto& p) { return ShapeText(p.shape()); });
  add("path", [](const auto& p) { return p.path(); });
  add("step", [](const auto& p) { return p.step(); });
  add("batch", [](const auto& p) { return std::to_string(p.batch()); });
  add("activations", [](const auto& p) { return OtherActivations(p); });
  add("copies", [](const auto& p) { return std::to_string(p.copies()); });
  add("device", [](const auto& p) { return p.device_name(); });
  add("chip", [](const auto& p) { return p.chip(); });
  add("driver", Driver);
  add("counted by", [](const auto& p) { return p.source(); });
  add("preset", [](const auto& p) { return p.preset(); });
  add("version", [](const auto& p) { return Environment(p, "version"); });
  add("commit", [](const auto& p) { return Environment(p, "git_commit"); });
  return facts;
}

std::vector<MetricPair> CompareMetrics(const v1::Profile& a, const v1::Profile& b) {
  std::vector<MetricPair> pairs;
  for (const v1::MetricValue& metric : a.metrics()) {
    MetricPair pair{metric.name(), metric.unit(), IsTotal(a, metric), true};
    pair.a = Value(a, metric);
    if (const v1::MetricValue* other = Find(b, metric.name())) {
      pair.is_in_b = true;
      pair.b = Value(b, *other);
    }
    pairs.push_back(std::move(pair));
  }
  for (const v1::MetricValue& metric : b.metrics()) {
    if (Find(a, metric.name()) != nullptr) continue;
    MetricPair pair{metric.name(), metric.unit(), IsTotal(b, metric), false, true};
    pair.b = Value(b, metric);
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Table FactTable(const v1::Profile& a, const v1::Profile& b) {
  Table table(
      {{"fact", "fact"}, {"profile " + a.id(), "a"}, {"profile " + b.id(), "b"}, {"", "differs"}});
  for (const ProfileFact& fact : CompareFacts(a, b)) {
    if (fact.a.empty() && fact.b.empty()) continue;
    table.AddRow({fact.name, fact.a, fact.b,
                  Cell(fact.differs() ? "differs" : "", fact.differs() ? "true" : "false")});
  }
  return table;
}

Table MetricPairTable(const v1::Profile& a, const v1::Profile& b) {
  Table table({{"metric", "metric"},
               {"unit", "unit"},
               {"of", "of"},
               {"profile " + a.id(), "a", Align::kRight},
               {"profile " + b.id(), "b", Align::kRight},
               {"difference", "difference", Align::kRight}});
  for (const MetricPair& pair : CompareMetrics(a, b)) {
    table.AddRow({pair.name, pair.unit.empty() ? Absent() : Cell(pair.unit),
                  pair.is_total ? "one run" : "all runs",
                  ValueCell(pair.is_in_a, pair.a, pair.unit),
                  ValueCell(pair.is_in_b, pair.b, pair.unit), DifferenceCell(pair)});
  }
  return table;
}

nlohmann::ordered_json CompareJson(const v1::Profile& a, const v1::Profile& b) {
  nlohmann::ordered_json json = {{"a", a.id()}, {"b", b.id()}};
  json["facts"] = nlohmann::ordered_json::array();
  for (const ProfileFact& fact : CompareFacts(a, b)) {
    json["facts"].push_back(
        {{"fact", fact.name}, {"a", fact.a}, {"b", fact.b}, {"differs", fact.differs()}});
  }
  json["metrics"] = nlohmann::ordered_json::array();
  for (const MetricPair& pair : CompareMetrics(a, b)) {
    json["metrics"].push_back(
        {{"name", pair.name},
         {"unit", pair.unit},
         {"isOfOneRun", pair.is_total},
         {"a", NumberOrNull(pair.is_in_a, pair.a)},
         {"b", NumberOrNull(pair.is_in_b, pair.b)},
         {"difference", NumberOrNull(pair.is_in_a && pair.is_in_b, pair.b - pair.a)}});
  }
  return json;
}

}  // namespace qtipd
