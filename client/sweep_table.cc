#include "client/sweep_table.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "client/artifact_view.h"
#include "client/rpc_status.h"
#include "client/run_view.h"
#include "client/speed_cells.h"
#include "client/units.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

std::string DistributionOf(const SpeedCase& speed_case) {
  return speed_case.distribution.empty() ? "normal" : speed_case.distribution;
}

Cell Quality(const SpeedResult& result, double (v1::Quality::*figure)() const) {
  return QualityCell(result.artifact.has_quality(), (result.artifact.quality().*figure)());
}

Cell BitsPerWeight(const SpeedResult& result) {
  const double bits = result.artifact.bits_per_weight();
  return bits > 0 ? Cell(FormatNumber(bits, 4), ExactNumber(bits)) : Absent();
}

// Of y = W x with x from N(0,1), over all outputs.
Cell OutputRmse(const SpeedResult& result) {
  return QualityCell(result.artifact.has_quality(),
                     std::sqrt(result.artifact.quality().output_mse()));
}

Cell FusedAs(const SpeedResult& result, int64_t batch) {
  if (!MedianSpeeds(result, batch).fused) return Absent();
  return IsHandedOver(result, batch) ? "dequant" : "fused";
}

std::optional<double> Share(const SpeedResult& result, const std::string& path, int64_t batch,
                            double PeakShares::*part) {
  const auto found = result.shares.find({path, batch});
  return found == result.shares.end() ? std::optional<double>() : found->second.*part;
}

std::string Problem(const SpeedResult& result) {
  return result.status.ok() ? "" : GetErrorInfo(result.status).reason;
}

std::vector<Cell> Row(const SpeedResult& result, int64_t batch) {
  const SpeedCase& speed_case = result.speed_case;
  const Speeds speeds = MedianSpeeds(result, batch);
  std::vector<Cell> row = {ShapeText(speed_case.shape), speed_case.format,
                           OptionsText(speed_case.options), DistributionOf(speed_case),
                           std::to_string(batch)};
  for (Cell cell : {BitsPerWeight(result), Quality(result, &v1::Quality::relative_weight_mse),
                    OutputRmse(result), Microseconds(speeds.dense), Microseconds(speeds.decode),
                    Microseconds(speeds.multiply), Microseconds(speeds.fused),
                    SpeedRatio(speeds.dense, speeds.dequant),
                    SpeedRatio(speeds.dense, speeds.fused), FusedAs(result, batch)}) {
    row.push_back(std::move(cell));
  }
  row.emplace_back(Problem(result).empty() ? "-" : Problem(result), Problem(result));
  return row;
}

std::vector<Cell> Record(const SpeedResult& result, int64_t batch) {
  const SpeedCase& speed_case = result.speed_case;
  const Speeds speeds = MedianSpeeds(result, batch);
  std::vector<Cell> record = {speed_case.format,
                              OptionsText(speed_case.options),
                              DistributionOf(speed_case),
                              std::to_string(speed_case.shape.out_features()),
                              std::to_string(speed_case.shape.in_features()),
                              std::to_string(batch),
                              BitsPerWeight(result),
                              Quality(result, &v1::Quality::relative_weight_mse),
                              OutputRmse(result)};
  for (const Seconds& seconds : {speeds.dense, speeds.dequant, speeds.decode, speeds.multiply,
                                 speeds.fused, speeds.kernel, speeds.read}) {
    record.push_back(Exact(seconds));
  }
  record.push_back(SpeedRatio(speeds.dense, speeds.dequant));
  record.push_back(SpeedRatio(speeds.dense, speeds.fused));
  record.push_back(FusedAs(result, batch));
  for (const char* path : {"dense", "fused"}) {
    record.push_back(ShareCell(Share(result, path, batch, &PeakShares::compute)));
    record.push_back(ShareCell(Share(result, path, batch, &PeakShares::memory)));
  }
  record.emplace_back(Problem(result));
  return record;
}

// The activations have their column behind the batch's, where there is one for them.
Table Rows(const std::vector<SpeedResult>& results, std::vector<Column> columns,
           std::vector<Cell> (*make)(const SpeedResult&, int64_t)) {
  const bool has_activations = HaveActivations(results);
  const auto batch_column = std::ranges::find(columns, "batch", &Column::key);
  const auto place = batch_column - columns.begin() + 1;
  if (has_activations) {
    columns.insert(columns.begin() + place, {"activations", "activation_dtype"});
  }
  Table table(std::move(columns));
  for (const SpeedResult& result : results) {
    for (const int64_t batch : result.speed_case.batches) {
      std::vector<Cell> row = make(result, batch);
      if (has_activations) row.insert(row.begin() + place, Cell(ActivationsOf(result)));
      row.resize(table.columns().size(), Absent());
      table.AddRow(std::move(row));
    }
  }
  return table;
}

nlohmann::ordered_json JsonValue(const std::string& raw) {
  if (raw.empty()) return nullptr;
  double number = 0;
  int64_t integer = 0;
  if (absl::SimpleAtoi(raw, &integer)) return integer;
  if (absl::SimpleAtod(raw, &number) && std::isfinite(number)) return number;
  return raw;
}

}  // namespace

Table SweepTable(const std::vector<SpeedResult>& results) {
  return Rows(results,
              {{"shape", "shape"},
               {"format", "format"},
               {"options", "options"},
               {"weights", "distribution"},
               {"batch", "batch", Align::kRight},
               {"bits/weight", "bits_per_weight", Align::kRight},
               {"rel W MSE", "relative_weight_mse", Align::kRight},
               {"RMSE", "output_rmse", Align::kRight},
               {"dense µs", "dense_seconds", Align::kRight},
               {"decode µs", "decode_seconds", Align::kRight},
               {"multiply µs", "multiply_seconds", Align::kRight},
               {"fused µs", "fused_seconds", Align::kRight},
               {"dequant vs dense", "dequant_speedup", Align::kRight},
               {"fused vs dense", "fused_speedup", Align::kRight},
               {"ran as", "fused_as"},
               {"problem", "problem"}},
              Row);
}

Table SweepRecords(const std::vector<SpeedResult>& results) {
  std::vector<Column> columns;
  for (const char* key : {"format",
                          "options",
                          "distribution",
                          "out_features",
                          "in_features",
                          "batch",
                          "bits_per_weight",
                          "relative_weight_mse",
                          "output_rmse",
                          "dense_seconds",
                          "dequant_seconds",
                          "decode_seconds",
                          "multiply_seconds",
                          "fused_seconds",
                          "kernel_seconds",
                          "read_seconds",
                          "dequant_speedup",
                          "fused_speedup",
                          "fused_as",
                          "dense_compute_share",
                          "dense_memory_share",
                          "fused_compute_share",
                          "fused_memory_share",
                          "problem"}) {
    columns.push_back({key, key});
  }
  return Rows(results, std::move(columns), Record);
}

std::string JsonLines(const Table& table) {
  std::string lines;
  for (const std::vector<Cell>& row : table.rows()) {
    nlohmann::ordered_json object;
    for (size_t i = 0; i < row.size(); ++i) object[table.columns()[i].key] = JsonValue(row[i].raw);
    lines += object.dump() + "\n";
  }
  return lines;
}

}  // namespace qtipd
