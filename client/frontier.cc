#include "client/frontier.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "client/artifact_view.h"
#include "client/speed_cells.h"
#include "client/units.h"

namespace qtipd {
namespace {

struct Point {
  std::string shape;
  std::string distribution;
  int64_t batch = 0;
  std::string activations;
  std::string name;  // format and options
  double bits = 0;
  double error = 0;
  double seconds = 0;
};

bool AreComparable(const Point& a, const Point& b) {
  return std::tie(a.shape, a.distribution, a.batch, a.activations) ==
         std::tie(b.shape, b.distribution, b.batch, b.activations);
}

bool Beats(const Point& a, const Point& b) {
  return AreComparable(a, b) && a.bits <= b.bits && a.error <= b.error && a.seconds <= b.seconds &&
         (a.bits < b.bits || a.error < b.error || a.seconds < b.seconds);
}

std::vector<Point> PointsOf(const std::vector<SpeedResult>& results) {
  std::vector<Point> points;
  for (const SpeedResult& result : results) {
    const SpeedCase& speed_case = result.speed_case;
    for (const int64_t batch : speed_case.batches) {
      const Speeds speeds = MedianSpeeds(result, batch);
      if (!speeds.fused || !result.artifact.has_quality()) continue;
      points.push_back(
          {.shape = ShapeText(speed_case.shape),
           .distribution = speed_case.distribution.empty() ? "normal" : speed_case.distribution,
           .batch = batch,
           .activations = ActivationsOf(result),
           .name = absl::StrCat(speed_case.format, " ", OptionsText(speed_case.options)),
           .bits = result.artifact.bits_per_weight(),
           .error = result.artifact.quality().relative_weight_mse(),
           .seconds = *speeds.fused});
    }
  }
  std::ranges::stable_sort(points, {}, [](const Point& point) {
    return std::tie(point.shape, point.distribution, point.batch, point.activations, point.bits);
  });
  return points;
}

}  // namespace

Table FrontierTable(const std::vector<SpeedResult>& results) {
  const std::vector<Point> points = PointsOf(results);
  std::vector<Column> columns = {{"shape", "shape"},
                                 {"weights", "distribution"},
                                 {"batch", "batch", Align::kRight},
                                 {"format", "format"},
                                 {"bits/weight", "bits_per_weight", Align::kRight},
                                 {"rel W MSE", "relative_weight_mse", Align::kRight},
                                 {"fused µs", "fused_seconds", Align::kRight},
                                 {"beaten by", "beaten_by"}};
  const bool has_activations = HaveActivations(results);
  if (has_activations) columns.insert(columns.begin() + 3, {"activations", "activation_dtype"});
  Table table(std::move(columns));
  for (const Point& point : points) {
    const auto better =
        std::ranges::find_if(points, [&](const Point& other) { return Beats(other, point); });
    std::vector<Cell> row = {point.shape,
                             point.distribution,
                             std::to_string(point.batch),
                             point.name,
                             Cell(FormatNumber(point.bits, 4), ExactNumber(point.bits)),
                             Cell(FormatError(point.error), ExactNumber(point.error)),
                             Microseconds(point.seconds),
                             better == points.end() ? Absent() : better->name};
    if (has_activations) row.insert(row.begin() + 3, Cell(point.activations));
    table.AddRow(std::move(row));
  }
  return table;
}

}  // namespace qtipd
