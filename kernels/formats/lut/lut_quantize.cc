#include "kernels/formats/lut/lut_quantize.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/hessian.h"
#include "kernels/cpu/pieces.h"
#include "kernels/cpu/stopwatch.h"
#include "kernels/formats/lut/lut_codebook.h"
#include "kernels/formats/lut/lut_encoder.h"
#include "kernels/formats/lut/lut_proxy.h"

namespace qtipd {
namespace {

// Where the steps lie in the progress of the whole.
constexpr double kScalesTo = 0.05;
constexpr double kCodebookTo = 0.2;
constexpr double kRefineTo = 0.8;

// Work of a step for each weight, in reading and writing it once.
constexpr int64_t kEncodeWork = 8;
constexpr int64_t kRefineWork = 64;

// Stacks of threads, codebooks, tables.
constexpr uint64_t kFixedBytes = uint64_t{8} << 20;

// The diagonal of the regularised Hessian; of none, ones.
absl::StatusOr<std::vector<float>> Importance(const QuantizeProblem& problem) {
  const int64_t n = problem.shape.in_features;
  std::vector<float> importance(n, 1.0f);
  if (problem.hessian.empty()) return importance;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += problem.hessian[i * n + i];
  const double added = problem.options.GetDouble("sigma_reg") * sum / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
    importance[i] = static_cast<float>(problem.hessian[i * n + i] + added);
    if (importance[i] > 0) continue;
    return InvalidField("HESSIAN_NOT_POSITIVE_DEFINITE", "hessian",
                        absl::StrCat(importance[i], " at [", i, ", ", i, "] after regularisation"),
                        "positive numbers on the diagonal; a larger sigma_reg helps");
  }
  for (int64_t i = 0; i < n; ++i) problem.hessian[i * n + i] = importance[i];
  return importance;
}

// The state of one run, and its steps in order.
class Quantizer {
 public:
  Quantizer(ThreadPool& pool, const QuantizeProblem& given, std::span<const float> importance,
            Progress& progress)
      : pool_(pool), given_(given), progress_(progress) {
    const Options& options = given.options;
    problem_ = {.shape = given.shape,
                .spec = LutSpecOf(options),
                .is_uniform = options.GetString("codebook") == kLutUniform,
                .is_rms = options.GetString("scale") == kLutRms,
                .refine_rounds = static_cast<int>(options.GetInt("refine_rounds")),
                .weights = given.weights,
                .importance = importance};
    parts_.indices.resize(rows() * problem_.spec.row_bytes(given.shape.in_features));
    parts_.codebook.resize(problem_.spec.codebooks(rows()) * problem_.spec.entries());
    parts_.scales.resize(rows() * problem_.blocks());
    errors_.resize(rows());
    norms_.resize(rows());
  }

  absl::StatusOr<PackedLayer> Run(QuantizeReport& report) {
    Stopwatch watch;
    const auto finish = [&](std::string_view step) {
      report.step_seconds.emplace_back(step, watch.Lap());
    };
    QTIPD_RETURN_IF_ERROR(CheckRange());
    double norm = 0;
    if (!given_.hessian.empty()) {
      QTIPD_ASSIGN_OR_RETURN(norm, QuadraticForm());
      finish("proxy_of_weights");
    }
    if (problem_.spec.is_per_channel) {
      QTIPD_RETURN_IF_ERROR(EncodeByRow());
    } else {
      QTIPD_RETURN_IF_ERROR(StartScales());
      finish("scales");
      QTIPD_RETURN_IF_ERROR(FitCodebook());
      finish("codebook");
      QTIPD_RETURN_IF_ERROR(Refine());
      finish("refine");
      QTIPD_RETURN_IF_ERROR(Encode());
    }
    finish("encode");
    if (given_.hessian.empty()) {
      report.proxy_error = Total(errors_) / Total(norms_);
    } else {
      QTIPD_ASSIGN_OR_RETURN(const double error, QuadraticForm());
      report.proxy_error = error / norm;
      finish("proxy_of_errors");
    }
    return Pack();
  }

 private:
  int64_t rows() const { return problem_.shape.out_features; }
  int64_t cols() const { return problem_.shape.in_features; }

  std::span<uint16_t> ScalesOf(int64_t row) {
    return std::span(parts_.scales).subspan(row * problem_.blocks(), problem_.blocks());
  }

  static double Total(const std::vector<double>& sums) {
    double total = 0;
    for (const double sum : sums) total += sum;
    return total;
  }

  absl::StatusOr<double> QuadraticForm() {
    return LutQuadraticForm(pool_, progress_, problem_.shape, problem_.weights, given_.hessian);
  }

  // body(row) for all rows, each `work` times the work of reading it.
  template <typename Body>
  absl::Status ForRows(int64_t work, double from, double to, std::string_view stage,
                       const Body& body) {
    progress_.Report(from, stage);
    std::atomic<int64_t> rows_done = 0;
    return ForPieces(
        pool_, progress_, rows(), PieceRows(work * cols()), [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) body(row);
          const int64_t done = rows_done += end - begin;
          progress_.Report(
              from + (to - from) * static_cast<double>(done) / static_cast<double>(rows()), stage);
        });
  }

  // Whether scales, or entries where there are none, can be as large and as small as the weights.
  absl::Status CheckRange() {
    std::vector<float> largest(rows());
    QTIPD_RETURN_IF_ERROR(ForRows(1, 0, 0.01, "scales", [&](int64_t row) {
      for (const float weight : problem_.row(row)) {
        largest[row] = std::max(largest[row], std::abs(weight));
        norms_[row] += double{weight} * weight;
      }
    }));
    const float most = *std::ranges::max_element(largest);
    const bool is_bf16 = problem_.blocks() > 0 && problem_.spec.scale_dtype == DType::kBF16;
    // The normal numbers of fp16, and those whose squares fp32 can add up.
    const double low = is_bf16 ? 1e-15 : std::ldexp(1.0, -14);
    const double high = is_bf16 ? 1e15 : 65504;
    if (most == 0 || (most >= low && most <= high)) return absl::OkStatus();
    return InvalidField(
        "WEIGHTS_OUT_OF_RANGE", "weights", absl::StrCat(most, " as the largest magnitude"),
        is_bf16 ? absl::StrCat(low, " to ", high)
                : absl::StrCat(low, " to ", high, " in fp16; option scale_dtype bf16, ",
                               "with blocks, reaches further"));
  }

  absl::Status StartScales() {
    return ForRows(1, 0.01, kScalesTo, "scales",
                   [&](int64_t row) { StartLutScales(problem_, row, ScalesOf(row)); });
  }

  absl::Status FitCodebook() {
    progress_.Report(kScalesTo, "codebook");
    QTIPD_ASSIGN_OR_RETURN(const LutPoints points,
                           MatrixLutPoints(pool_, progress_, problem_, parts_.scales));
    QTIPD_ASSIGN_OR_RETURN(parts_.codebook, FitLutCodebook(problem_, points, progress_));
    return absl::OkStatus();
  }

  // Scales for the codebook, then the codebook for the scales.
  absl::Status Refine() {
    const int rounds = problem_.blocks() > 0 ? problem_.refine_rounds : 0;
    const double part = (kRefineTo - kCodebookTo) / std::max(rounds, 1);
    for (int round = 0; round < rounds; ++round) {
      const LutTable table(LutCodebookValues(parts_.codebook));
      const double from = kCodebookTo + part * round;
      QTIPD_RETURN_IF_ERROR(ForRows(kRefineWork, from, from + part, "refine", [&](int64_t row) {
        RefineLutScales(problem_, row, table, ScalesOf(row));
      }));
      if (problem_.is_uniform) continue;
      QTIPD_ASSIGN_OR_RETURN(const LutPoints points,
                             MatrixLutPoints(pool_, progress_, problem_, parts_.scales));
      parts_.codebook = ImproveLutCodebook(problem_, points, std::move(parts_.codebook));
    }
    return absl::OkStatus();
  }

  void EncodeRow(int64_t row, const LutTable& table) {
    errors_[row] = EncodeLutRow(problem_, row, table, ScalesOf(row),
                                parts_.indices.data() + row * problem_.spec.row_bytes(cols()),
                                given_.weights.subspan(row * cols(), cols()));
  }

  absl::Status Encode() {
    const LutTable table(LutCodebookValues(parts_.codebook));
    return ForRows(kEncodeWork, kRefineTo, 1, "encode",
                   [&](int64_t row) { EncodeRow(row, table); });
  }

  // All steps of one row after the other, for codebooks of rows.
  absl::Status EncodeByRow() {
    std::atomic<bool> is_cancelled = false;
    const int64_t work = kRefineWork * std::max(problem_.refine_rounds, 1) +
                         kLutCondensedOfRow * problem_.spec.entries() / cols();
    QTIPD_RETURN_IF_ERROR(ForRows(work, 0.01, 1, "encode", [&](int64_t row) {
      if (is_cancelled) return;
      const std::span<uint16_t> scales = ScalesOf(row);
      StartLutScales(problem_, row, scales);
      auto codebook =
          FitLutCodebook(problem_, RowLutPoints(problem_, row, parts_.scales), progress_);
      if (!codebook.ok()) {
        is_cancelled = true;
        return;
      }
      const int rounds = problem_.blocks() > 0 ? problem_.refine_rounds : 0;
      for (int round = 0; round < rounds; ++round) {
        RefineLutScales(problem_, row, LutTable(LutCodebookValues(*codebook)), scales);
        codebook = ImproveLutCodebook(problem_, RowLutPoints(problem_, row, parts_.scales),
                                      *std::move(codebook));
      }
      std::ranges::copy(*codebook, parts_.codebook.begin() + row * problem_.spec.entries());
      EncodeRow(row, LutTable(LutCodebookValues(*codebook)));
    }));
    return is_cancelled ? absl::CancelledError("cancelled") : absl::OkStatus();
  }

  PackedLayer Pack() {
    const LutSpec& spec = problem_.spec;
    PackedLayer layer{"lut", given_.options, problem_.shape, {}};
    layer.tensors["shape"] =
        HostTensor::Take(DType::kI64, {2}, std::vector<int64_t>{rows(), cols()});
    layer.tensors["indices"] =
        HostTensor::Take(DType::kU8, {rows(), spec.row_bytes(cols())}, std::move(parts_.indices));
    std::vector<int64_t> shape = {spec.entries()};
    if (spec.is_per_channel) shape.insert(shape.begin(), rows());
    layer.tensors["codebook"] = HostTensor::Take(DType::kF16, shape, std::move(parts_.codebook));
    if (spec.block > 0) {
      layer.tensors["scales"] =
          HostTensor::Take(spec.scale_dtype, {rows(), problem_.blocks()}, std::move(parts_.scales));
    }
    return layer;
  }

  ThreadPool& pool_;
  const QuantizeProblem& given_;
  Progress& progress_;
  LutProblem problem_;
  LutParts parts_;
  std::vector<double> errors_;  // of rows, weighted
  std::vector<double> norms_;
};

}  // namespace

absl::StatusOr<PackedLayer> QuantizeLutOnCpu(ThreadPool& pool, const QuantizeProblem& problem,
                                             Progress& progress, QuantizeReport& report) {
  QTIPD_RETURN_IF_ERROR(CheckLutShape(LutSpecOf(problem.options), problem.shape));
  QTIPD_RETURN_IF_ERROR(CheckHessian(problem.hessian, problem.shape.in_features, progress));
  QTIPD_ASSIGN_OR_RETURN(const std::vector<float> importance, Importance(problem));
  report = {};
  return Quantizer(pool, problem, importance, progress).Run(report);
}

uint64_t LutCpuWorkspaceBytes(const LutSpec& spec, Shape shape, bool has_hessian, int threads) {
  const uint64_t rows = 2 * shape.out_features * sizeof(double) +
                        (shape.in_features + shape.out_features) * sizeof(float);
  const uint64_t proxy = has_hessian ? LutQuadraticFormBytes(shape, threads) : 0;
  return rows + std::max(proxy, LutCodebookBytes(spec, shape, threads)) + kFixedBytes;
}

}  // namespace qtipd
