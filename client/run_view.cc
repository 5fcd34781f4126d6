#include "client/run_view.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/activations.h"
#include "client/artifact_view.h"
#include "client/conditions_view.h"
#include "client/rpc_status.h"
#include "client/units.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

// Their column in the table of results: behind the batch.
constexpr int kActivationsPlace = 4;

Cell Number(double value, int significant) {
  return Cell(FormatNumber(value, significant), ExactNumber(value));
}

Cell InUnit(double seconds, const TimeUnit& unit) {
  return Cell(FormatNumber(seconds / unit.seconds, 4), ExactNumber(seconds));
}

// The unit that fits the largest of what `seconds_of` gives for each result.
template <typename SecondsOf>
TimeUnit UnitOf(const std::vector<v1::Run>& runs, const SecondsOf& seconds_of) {
  double largest = 0;
  for (const v1::Run& run : runs) {
    for (const v1::BenchmarkResult& result : run.results()) {
      largest = std::max(largest, seconds_of(result));
    }
  }
  return ChooseTimeUnit(largest);
}

double Median(const v1::BenchmarkResult& result) { return result.latency().median(); }

double LargestStep(const v1::BenchmarkResult& result) {
  double largest = 0;
  for (const v1::StepLatency& step : result.steps()) {
    largest = std::max(largest, step.median_seconds());
  }
  return largest;
}

Cell Speedup(const v1::Run& run, const v1::BenchmarkResult& result) {
  const v1::BenchmarkResult* dense = FindMeasured(run, "dense", result.batch());
  if (dense == nullptr) return Absent();
  const double speedup = Median(*dense) / Median(result);
  return Cell(FormatNumber(speedup, 3) + "x", ExactNumber(speedup));
}

// "62 % bandwidth"
Cell RooflineCell(const v1::BenchmarkResult& result) {
  if (!result.has_roofline()) return Absent();
  const v1::Roofline& roofline = result.roofline();
  return Cell(absl::StrCat(FormatPercent(roofline.fraction()), " ", roofline.limit()),
              ExactNumber(roofline.fraction()));
}

Cell PathCell(const v1::BenchmarkResult& result) {
  return WasHandedOver(result) ? Cell(result.path() + " (as dequant)", result.path())
                               : Cell(result.path());
}

std::vector<Cell> ResultRow(const v1::Run& run, const v1::BenchmarkResult& result,
                            const TimeUnit& unit) {
  std::vector<Cell> row = {run.artifact(), OptionText(run.format_options(), "bits", "-"),
                           PathCell(result), std::to_string(result.batch()), result.cache_mode()};
  if (result.has_error()) {
    row.insert(row.end(), 10, Absent());
    row.push_back(Cell(GetErrorInfo(FromRpcStatus(result.error())).reason));
    return row;
  }
  const v1::Latency& latency = result.latency();
  const double half_width = RelativeHalfWidth(latency);
  row.push_back(InUnit(latency.median(), unit));
  row.push_back(Cell(FormatPercent(half_width), ExactNumber(half_width)));
  row.push_back(std::to_string(latency.samples_size()));
  row.push_back(Speedup(run, result));
  row.push_back(Cell(FormatNumber(result.effective_bytes_per_second() / 1e9, 4),
                     ExactNumber(result.effective_bytes_per_second())));
  row.push_back(RooflineCell(result));
  row.push_back(Number(result.tokens_per_second(), 4));
  row.push_back(Number(result.compression_ratio(), 3));
  row.push_back(QualityCell(run.has_quality(), run.quality().relative_weight_mse()));
  row.push_back(Cell(FormatError(result.relative_error()), ExactNumber(result.relative_error())));
  row.push_back(latency.stop_reason());
  return row;
}

bool HasOtherActivations(const std::vector<v1::Run>& runs) {
  for (const v1::Run& run : runs) {
    for (const v1::BenchmarkResult& result : run.results()) {
      if (!OtherActivations(run, result).empty()) return true;
    }
  }
  return false;
}

bool HasWarnings(const std::vector<v1::Run>& runs) {
  for (const v1::Run& run : runs) {
    for (const v1::BenchmarkResult& result : run.results()) {
      if (result.warnings_size() > 0) return true;
    }
  }
  return false;
}

Cell WarningsCell(const v1::BenchmarkResult& result) {
  return result.warnings().empty() ? Absent() : Cell(absl::StrJoin(result.warnings(), " "));
}

// While sample `i` ran.
Cell ClockCell(const v1::Latency& latency, int i) {
  if (i >= latency.sample_clock_hertz_size() || latency.sample_clock_hertz(i) <= 0) return Absent();
  const double hertz = latency.sample_clock_hertz(i);
  return Cell(FormatNumber(hertz / 1e6, 4), ExactNumber(hertz));
}

// The names of all steps, each path's in its own order.
std::vector<std::string> StepNames(const std::vector<v1::Run>& runs) {
  std::vector<std::string> names;
  for (const v1::Run& run : runs) {
    for (const v1::BenchmarkResult& result : run.results()) {
      auto position = names.begin();
      for (const v1::StepLatency& step : result.steps()) {
        auto found = std::find(names.begin(), names.end(), step.name());
        if (found == names.end()) found = names.insert(position, step.name());
        position = found + 1;
      }
    }
  }
  return names;
}

Cell StepCell(const v1::BenchmarkResult& result, const std::string& name, const TimeUnit& unit) {
  const v1::StepLatency* step = FindStep(result, name);
  return step == nullptr ? Absent() : InUnit(step->median_seconds(), unit);
}

}  // namespace

const v1::BenchmarkResult* FindMeasured(const v1::Run& run, std::string_view path, int64_t batch) {
  for (const v1::BenchmarkResult& result : run.results()) {
    if (result.path() == path && result.batch() == batch && !result.has_error()) return &result;
  }
  return nullptr;
}

const v1::StepLatency* FindStep(const v1::BenchmarkResult& result, std::string_view name) {
  for (const v1::StepLatency& step : result.steps()) {
    if (step.name() == name) return &step;
  }
  return nullptr;
}

bool WasHandedOver(const v1::BenchmarkResult& result) {
  const auto note = result.notes().find("inner_multiply");
  return note != result.notes().end() && note->second == "dequant";
}

double RelativeHalfWidth(const v1::Latency& latency) {
  return (latency.ci_high() - latency.ci_low()) / 2 / latency.median();
}

Table ResultTable(const std::vector<v1::Run>& runs) {
  const TimeUnit unit = UnitOf(runs, Median);
  std::vector<Column> columns = {
      {"artifact", "artifact"},
      {"bits", "bits", Align::kRight},
      {"path", "path"},
      {"batch", "batch", Align::kRight},
      {"cache", "cache_mode"},
      {absl::StrCat("median ", std::string(unit.name)), "median_seconds", Align::kRight},
      {"±95 %", "relative_half_width", Align::kRight},
      {"samples", "samples", Align::kRight},
      {"vs dense", "speedup_over_dense", Align::kRight},
      {"GB/s", "effective_bytes_per_second", Align::kRight},
      {"of limit", "roofline_fraction", Align::kRight},
      {"tokens/s", "tokens_per_second", Align::kRight},
      {"ratio", "compression_ratio", Align::kRight},
      {"rel W MSE", "relative_weight_mse", Align::kRight},
      {"rel error", "relative_error", Align::kRight},
      {"stop", "stop_reason"}};
  const bool has_activations = HasOtherActivations(runs);
  if (has_activations) {
    columns.insert(columns.begin() + kActivationsPlace, {"activations", "activation_dtype"});
  }
  const bool has_warnings = HasWarnings(runs);
  if (has_warnings) columns.push_back({"warnings", "warnings"});
  Table table(std::move(columns));
  for (const v1::Run& run : runs) {
    for (const v1::BenchmarkResult& result : run.results()) {
      std::vector<Cell> row = ResultRow(run, result, unit);
      if (has_activations) {
        row.insert(row.begin() + kActivationsPlace, Cell(result.activation_dtype()));
      }
      if (has_warnings) row.push_back(WarningsCell(result));
      table.AddRow(std::move(row));
    }
  }
  return table;
}

Table StepTable(const std::vector<v1::Run>& runs) {
  const TimeUnit unit = UnitOf(runs, LargestStep);
  const std::vector<std::string> names = StepNames(runs);
  std::vector<Column> columns = {
      {"artifact", "artifact"}, {"path", "path"}, {"batch", "batch", Align::kRight}};
  for (const std::string& name : names) {
    columns.push_back(
        {absl::StrCat(name, " ", std::string(unit.name)), name + "_seconds", Align::kRight});
  }
  Table table(std::move(columns));
  for (const v1::Run& run : runs) {
    for (const v1::BenchmarkResult& result : run.results()) {
      if (result.steps().empty()) continue;
      std::vector<Cell> row = {run.artifact(), result.path(), std::to_string(result.batch())};
      for (const std::string& name : names) row.push_back(StepCell(result, name, unit));
      table.AddRow(std::move(row));
    }
  }
  return table;
}

Table SampleTable(const v1::Run& run) {
  const TimeUnit unit = UnitOf({run}, Median);
  Table table({{"path", "path"},
               {"batch", "batch", Align::kRight},
               {"sample", "sample", Align::kRight},
               {absl::StrCat("latency ", std::string(unit.name)), "seconds", Align::kRight},
               {"clock MHz", "clock_hertz", Align::kRight}});
  for (const v1::BenchmarkResult& result : run.results()) {
    for (int i = 0; i < result.latency().samples_size(); ++i) {
      table.AddRow({result.path(), std::to_string(result.batch()), std::to_string(i),
                    InUnit(result.latency().samples(i), unit), ClockCell(result.latency(), i)});
    }
  }
  return table;
}

Table RunDetails(const v1::Run& run) {
  Table table({{"field", "field"}, {"value", "value"}});
  table.AddRow({"run", run.id()});
  table.AddRow({"artifact", run.artifact()});
  table.AddRow({"sha256", run.artifact_sha256()});
  table.AddRow({"format", run.format()});
  table.AddRow({"options", OptionsText(run.format_options())});
  table.AddRow({"shape", ShapeText(run.shape())});
  table.AddRow(
      {"relative weight MSE", QualityCell(run.has_quality(), run.quality().relative_weight_mse())});
  table.AddRow(
      {"relative output MSE", QualityCell(run.has_quality(), run.quality().relative_output_mse())});
  table.AddRow({"device", absl::StrCat(run.device(), ", ", run.device_name())});
  table.AddRow({"created", FormatTime(run.create_time())});
  table.AddRow({"duration", Cell(FormatSeconds(run.seconds()), ExactNumber(run.seconds()))});
  if (run.has_request()) table.AddRow({"stopping", StoppingText(run.request().stopping())});
  if (!run.request().activation_dtype().empty()) {
    table.AddRow({"activations", run.request().activation_dtype()});
  }
  if (run.has_request()) table.AddRow({"seed", std::to_string(run.request().seed())});
  const std::map<std::string, std::string> environment(run.environment().begin(),
                                                       run.environment().end());
  for (const auto& [name, value] : environment) table.AddRow({"environment: " + name, value});
  for (const v1::BenchmarkResult& result : run.results()) {
    const std::string cell = absl::StrCat(result.path(), " batch=", result.batch());
    if (result.has_error()) table.AddRow({cell, ErrorLine(FromRpcStatus(result.error()))});
    AddConditions(result, cell, table);
    const std::map<std::string, std::string> notes(result.notes().begin(), result.notes().end());
    for (const auto& [name, value] : notes) table.AddRow({cell + ": " + name, value});
  }
  return table;
}

Table RunTable(const std::vector<v1::Run>& runs) {
  Table table({{"run", "run"},
               {"artifact", "artifact"},
               {"format", "format"},
               {"bits", "bits", Align::kRight},
               {"shape", "shape", Align::kRight},
               {"device", "device"},
               {"paths", "paths"},
               {"batches", "batches"},
               {"results", "results", Align::kRight},
               {"created", "create_time"}});
  for (const v1::Run& run : runs) {
    std::vector<std::string> paths;
    std::set<int64_t> batches;
    for (const v1::BenchmarkResult& result : run.results()) {
      if (std::find(paths.begin(), paths.end(), result.path()) == paths.end()) {
        paths.push_back(result.path());
      }
      batches.insert(result.batch());
    }
    table.AddRow({run.id(), run.artifact(), FormatAndCode(run.format(), run.format_options()),
                  OptionText(run.format_options(), "bits", "-"), ShapeText(run.shape()),
                  run.device(), absl::StrJoin(paths, ","), absl::StrJoin(batches, ","),
                  std::to_string(run.results_size()), FormatTime(run.create_time())});
  }
  return table;
}

}  // namespace qtipd
