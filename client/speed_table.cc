#include "client/speed_table.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/artifact_view.h"
#include "client/run_view.h"
#include "client/speed_cells.h"
#include "client/units.h"

namespace qtipd {
namespace {

constexpr char kKernelStep[] = "fused_decode";

Seconds MedianOf(const v1::BenchmarkResult* result) {
  return result == nullptr ? Seconds() : result->latency().median();
}

Seconds KernelSeconds(const v1::BenchmarkResult& fused) {
  const v1::StepLatency* step = FindStep(fused, kKernelStep);
  if (step == nullptr) return std::nullopt;
  return step->has_alone_seconds() ? step->alone_seconds() : step->median_seconds();
}

Seconds StepOf(const v1::BenchmarkResult* result, std::string_view name) {
  const v1::StepLatency* step = result == nullptr ? nullptr : FindStep(*result, name);
  return step == nullptr ? Seconds() : step->median_seconds();
}

Speeds SpeedsOf(const v1::Run& run, int64_t batch) {
  const v1::BenchmarkResult* fused = FindMeasured(run, "fused", batch);
  const v1::BenchmarkResult* dequant = FindMeasured(run, "dequant", batch);
  Speeds speeds;
  speeds.dense = MedianOf(FindMeasured(run, "dense", batch));
  speeds.dequant = MedianOf(dequant);
  speeds.decode = StepOf(dequant, "decode");
  speeds.multiply = StepOf(dequant, "gemv");
  speeds.fused = MedianOf(fused);
  if (fused == nullptr) return speeds;
  speeds.kernel = KernelSeconds(*fused);
  if (fused->has_packed_read_seconds()) speeds.read = fused->packed_read_seconds();
  return speeds;
}

// One figure of all runs, ascending; those that were not measured are left out.
std::vector<double> Sorted(const SpeedResult& result, int64_t batch, Seconds Speeds::*figure) {
  std::vector<double> values;
  for (const v1::Run& run : result.runs) {
    if (const Seconds seconds = SpeedsOf(run, batch).*figure) values.push_back(*seconds);
  }
  std::ranges::sort(values);
  return values;
}

// Of an even number of values the lower middle one, which is one that was measured.
Seconds Median(const std::vector<double>& sorted) {
  return sorted.empty() ? Seconds() : sorted[(sorted.size() - 1) / 2];
}

Seconds Median(const SpeedResult& result, int64_t batch, Seconds Speeds::*figure) {
  return Median(Sorted(result, batch, figure));
}

Cell Spread(const std::vector<double>& sorted) {
  if (sorted.size() < 2 || sorted.front() <= 0) return Absent();
  const double spread = (sorted.back() - sorted.front()) / *Median(sorted);
  return Cell(FormatPercent(spread), ExactNumber(spread));
}

// The columns that tell one row from another, of a table over all of `results`.
class CaseColumns {
 public:
  explicit CaseColumns(const std::vector<SpeedResult>& results)
      : has_activations_(HaveActivations(results)) {}

  // `last` follows them.
  std::vector<Column> Columns(Column last) const {
    std::vector<Column> columns = {
        {"shape", "shape"}, {"code", "code"}, {"bits", "bits", Align::kRight}};
    if (has_activations_) columns.push_back({"activations", "activation_dtype"});
    columns.push_back(std::move(last));
    return columns;
  }

  std::vector<Cell> Cells(const SpeedResult& result, Cell last) const {
    const SpeedCase& speed_case = result.speed_case;
    std::vector<Cell> cells = {ShapeText(speed_case.shape),
                               OptionText(speed_case.options, "code", "-"),
                               OptionText(speed_case.options, "bits", "-")};
    if (has_activations_) cells.emplace_back(ActivationsOf(result));
    cells.push_back(std::move(last));
    return cells;
  }

 private:
  const bool has_activations_;
};

Column BatchColumn() { return {"batch", "batch", Align::kRight}; }

}  // namespace

bool HaveActivations(const std::vector<SpeedResult>& results) {
  return std::ranges::any_of(
      results, [](const SpeedResult& result) { return !result.speed_case.activations.empty(); });
}

std::string ActivationsOf(const SpeedResult& result) {
  for (const v1::Run& run : result.runs) {
    if (run.results_size() > 0) return run.results(0).activation_dtype();
  }
  return result.speed_case.activations.empty() ? "-" : result.speed_case.activations;
}

Speeds MedianSpeeds(const SpeedResult& result, int64_t batch) {
  Speeds medians;
  for (Seconds Speeds::*figure :
       {&Speeds::dense, &Speeds::dequant, &Speeds::decode, &Speeds::multiply, &Speeds::fused,
        &Speeds::kernel, &Speeds::read}) {
    medians.*figure = Median(result, batch, figure);
  }
  return medians;
}

bool IsHandedOver(const SpeedResult& result, int64_t batch) {
  int measured = 0;
  int handed_over = 0;
  for (const v1::Run& run : result.runs) {
    const v1::BenchmarkResult* fused = FindMeasured(run, "fused", batch);
    if (fused == nullptr) continue;
    ++measured;
    if (WasHandedOver(*fused)) ++handed_over;
  }
  return 2 * handed_over > measured;
}

Table SpeedTable(const std::vector<SpeedResult>& results) {
  const CaseColumns cases(results);
  std::vector<Column> columns = cases.Columns(BatchColumn());
  const Column figures[] = {{"dense µs", "dense_seconds", Align::kRight},
                            {"dequant µs", "dequant_seconds", Align::kRight},
                            {"fused µs", "fused_seconds", Align::kRight},
                            {"vs dense", "fused_speedup", Align::kRight},
                            {"kernel µs", "kernel_seconds", Align::kRight},
                            {"spread", "kernel_spread", Align::kRight},
                            {"vs dense", "kernel_speedup", Align::kRight},
                            {"read µs", "read_seconds", Align::kRight}};
  columns.insert(columns.end(), std::begin(figures), std::end(figures));
  Table table(std::move(columns));
  for (const SpeedResult& result : results) {
    for (const int64_t batch : result.speed_case.batches) {
      const auto median = [&](Seconds Speeds::*figure) { return Median(result, batch, figure); };
      const Seconds dense = median(&Speeds::dense);
      const std::vector<double> kernel = Sorted(result, batch, &Speeds::kernel);
      std::vector<Cell> row = cases.Cells(result, std::to_string(batch));
      for (Cell cell :
           {Microseconds(dense), Microseconds(median(&Speeds::dequant)),
            Microseconds(median(&Speeds::fused)), SpeedRatio(dense, median(&Speeds::fused)),
            Microseconds(Median(kernel)), Spread(kernel), SpeedRatio(dense, Median(kernel)),
            Microseconds(median(&Speeds::read))}) {
        row.push_back(std::move(cell));
      }
      table.AddRow(std::move(row));
    }
  }
  return table;
}

Table SpeedRunsTable(const std::vector<SpeedResult>& results) {
  const CaseColumns cases(results);
  std::vector<Column> columns = cases.Columns(BatchColumn());
  for (const char* name : {"run", "dense_seconds", "dequant_seconds", "fused_seconds",
                           "kernel_seconds", "read_seconds"}) {
    columns.push_back({name, name, Align::kRight});
  }
  Table table(std::move(columns));
  for (const SpeedResult& result : results) {
    for (const int64_t batch : result.speed_case.batches) {
      for (const v1::Run& run : result.runs) {
        const Speeds speeds = SpeedsOf(run, batch);
        std::vector<Cell> row = cases.Cells(result, std::to_string(batch));
        row.emplace_back(run.id());
        for (const Seconds& seconds :
             {speeds.dense, speeds.dequant, speeds.fused, speeds.kernel, speeds.read}) {
          row.push_back(Exact(seconds));
        }
        table.AddRow(std::move(row));
      }
    }
  }
  return table;
}

Table CrossoverTable(const std::vector<SpeedResult>& results) {
  const CaseColumns cases(results);
  Table table(cases.Columns({"hands over from batch", "crossover_batch", Align::kRight}));
  for (const SpeedResult& result : results) {
    std::vector<int64_t> batches = result.speed_case.batches;
    if (batches.size() < 2) continue;
    std::ranges::sort(batches);
    const auto crossover =
        std::ranges::find_if(batches, [&](int64_t batch) { return IsHandedOver(result, batch); });
    Cell cell = Absent();
    if (crossover != batches.end()) {
      cell = Cell(std::to_string(*crossover));
    } else if (!result.runs.empty()) {
      cell = Cell(absl::StrCat("none to ", batches.back()), "");
    }
    table.AddRow(cases.Cells(result, std::move(cell)));
  }
  return table;
}

}  // namespace qtipd
