#include "kernels/formats/qtip/qtip_quantize.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/qtip/qtip_incoherence.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_ldlq.h"
#include "kernels/formats/qtip/qtip_packing.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "kernels/formats/qtip/qtip_viterbi.h"

namespace qtipd {
namespace {

// Where the steps lie in the progress of the whole.
constexpr double kViterbiFrom = 0.05;
constexpr double kViterbiTo = 0.98;

class Stopwatch {
 public:
  // Seconds since construction or the last call.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> lap = now - std::exchange(last_, now);
    return lap.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

double SumOfSquares(std::span<const float> values) {
  double sum = 0;
  for (float value : values) sum += double{value} * value;
  return sum;
}

// The state of one run, and its steps in order.
class Quantizer {
 public:
  Quantizer(ThreadPool& pool, const QuantizeProblem& problem, const QtipCodeSpec& spec,
            const QtipIngredients& ingredients, Progress& progress)
      : pool_(pool),
        problem_(problem),
        signs_(ingredients.signs),
        tlut_(ingredients.tlut),
        progress_(progress),
        spec_(spec),
        table_(MakeQtipTable(spec, tlut_)),
        encoder_(spec, tlut_) {}

  absl::StatusOr<PackedLayer> Run(QuantizeReport& report) {
    Stopwatch watch;
    const auto finish = [&](std::string_view step) {
      report.step_seconds.emplace_back(step, watch.Lap());
    };
    progress_.Report(0, "preprocess");
    Preprocess();
    finish("preprocess");
    progress_.Report(0.02, "block_ldl");
    BlockLdl factor;
    if (!problem_.hessian.empty()) {
      QTIPD_ASSIGN_OR_RETURN(factor, Factor());
    }
    finish("block_ldl");
    QTIPD_RETURN_IF_ERROR(CheckCancelled());
    if (problem_.hessian.empty()) {
      QTIPD_ASSIGN_OR_RETURN(report.proxy_error, EncodeWithoutFeedback());
    } else {
      QTIPD_ASSIGN_OR_RETURN(report.proxy_error, EncodeWithFeedback(factor));
    }
    finish("viterbi");
    progress_.Report(kViterbiTo, "postprocess");
    PackedLayer layer = Pack();
    finish("postprocess");
    return layer;
  }

 private:
  int64_t rows() const { return problem_.shape.out_features; }
  int64_t cols() const { return problem_.shape.in_features; }
  int64_t tile_rows() const { return rows() / kQtipTileRows; }
  int64_t tile_cols() const { return cols() / kQtipTileCols; }

  absl::Status CheckCancelled() const {
    return progress_.IsCancelled() ? absl::CancelledError("quantize was cancelled")
                                   : absl::OkStatus();
  }

  // Rotated weights in the scale of the codebook.
  void Preprocess() {
    weights_ = RotateWeights(pool_, problem_.weights, problem_.shape, signs_);
    const double rms = std::sqrt(SumOfSquares(weights_) / static_cast<double>(weights_.size()));
    const double target_rms = table_.Rms() * problem_.options.GetDouble("scale_override");
    scale_ = static_cast<float>(rms / target_rms);
    if (scale_ > 0) {
      for (float& weight : weights_) weight /= scale_;
    }
    states_.resize(tile_rows() * tile_cols() * spec_.steps());
  }

  absl::StatusOr<BlockLdl> Factor() {
    return FactorBlockLdl(
        pool_,
        RotateHessian(pool_, problem_.hessian, signs_.su, problem_.options.GetDouble("sigma_reg")),
        cols());
  }

  absl::Status Encode(std::span<const float> samples, std::span<uint16_t> states) {
    const int64_t all = tile_rows() * tile_cols();
    const bool is_complete = encoder_.Encode(pool_, samples, states, [&](int64_t tiles) {
      const double done = static_cast<double>(tiles_done_ += tiles) / static_cast<double>(all);
      progress_.Report(kViterbiFrom + (kViterbiTo - kViterbiFrom) * done, "viterbi");
      return !progress_.IsCancelled();
    });
    return is_complete ? absl::OkStatus() : CheckCancelled();
  }

  // Samples of the tiles of a [rows, 16 * blocks] panel with row stride `stride`, tiles row-major.
  void Gather(const float* panel, int64_t stride, int64_t blocks, int64_t tile,
              float* samples) const {
    const float* corner =
        panel + tile / blocks * kQtipTileRows * stride + tile % blocks * kQtipTileCols;
    for (int p = 0; p < kQtipTileWeights; ++p) {
      const QtipElement at = QtipElementOf(spec_, p);
      samples[p] = corner[at.row * stride + at.col];
    }
  }

  // The weight at position p of a tile of `states`.
  float Decode(const uint16_t* states, int p) const {
    const int dim = spec_.vector_dim;
    return table_.weights[states[p / dim] * dim + p % dim];
  }

  // H is the identity: nothing is fed back, all tiles are independent.
  absl::StatusOr<double> EncodeWithoutFeedback() {
    const int64_t tiles = tile_rows() * tile_cols();
    std::vector<float> samples(weights_.size());
    pool_.ParallelFor(tiles, [&](int, int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        Gather(weights_.data(), cols(), tile_cols(), tile, &samples[tile * kQtipTileWeights]);
      }
    });
    QTIPD_RETURN_IF_ERROR(Encode(samples, states_));
    std::vector<double> costs(tiles);
    pool_.ParallelFor(tiles, [&](int, int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        costs[tile] =
            QtipPathCost(std::span(samples).subspan(tile * kQtipTileWeights, kQtipTileWeights),
                         std::span(states_).subspan(tile * spec_.steps(), spec_.steps()), table_);
      }
    });
    double error = 0;
    for (double cost : costs) error += cost;
    return Ratio(error, SumOfSquares(weights_));
  }

  absl::StatusOr<double> EncodeWithFeedback(const BlockLdl& factor) {
    std::vector<float> samples(rows() * kQtipTileCols);
    std::vector<uint16_t> states(tile_rows() * spec_.steps());
    const auto quantize = [&](int64_t block, std::span<const float> target,
                              std::span<float> decoded) -> absl::Status {
      for (int64_t tile = 0; tile < tile_rows(); ++tile) {
        Gather(target.data(), kQtipTileCols, 1, tile, &samples[tile * kQtipTileWeights]);
      }
      QTIPD_RETURN_IF_ERROR(Encode(samples, states));
      for (int64_t tile = 0; tile < tile_rows(); ++tile) {
        const uint16_t* from = &states[tile * spec_.steps()];
        for (int p = 0; p < kQtipTileWeights; ++p) {
          const QtipElement at = QtipElementOf(spec_, p);
          decoded[(tile * kQtipTileRows + at.row) * kQtipTileCols + at.col] = Decode(from, p);
        }
        std::copy_n(from, spec_.steps(), &states_[(tile * tile_cols() + block) * spec_.steps()]);
      }
      return absl::OkStatus();
    };
    QTIPD_ASSIGN_OR_RETURN(const double error, RunLdlq(factor, weights_, problem_.shape, quantize));
    return Ratio(error, HessianEnergy(pool_, factor, weights_, problem_.shape));
  }

  // A zero matrix is reproduced exactly: its scale is zero.
  static double Ratio(double error, double energy) { return energy > 0 ? error / energy : 0; }

  PackedLayer Pack() {
    QtipLayer layer;
    layer.shape = problem_.shape;
    layer.spec = spec_;
    layer.trellis.resize(QtipTrellisWords(rows(), cols(), spec_.bits));
    pool_.ParallelFor(tile_rows(), [&](int, int64_t begin, int64_t end) {
      for (int64_t tile = begin * tile_cols(); tile < end * tile_cols(); ++tile) {
        QtipPackTile(std::span(states_).subspan(tile * spec_.steps(), spec_.steps()), spec_,
                     problem_.shape, tile / tile_cols(), tile % tile_cols(), layer.trellis);
      }
    });
    layer.su = signs_.su;
    layer.sv = signs_.sv;
    for (float& sign : layer.sv) sign *= scale_;
    layer.tlut = tlut_;
    return MakePackedQtipLayer(layer, problem_.options);
  }

  ThreadPool& pool_;
  const QuantizeProblem& problem_;
  const QtipSigns& signs_;
  const std::vector<uint16_t>& tlut_;
  Progress& progress_;
  const QtipCodeSpec spec_;
  const QtipTable table_;
  QtipEncoder encoder_;
  std::vector<float> weights_;  // [out, in], rotated, in the scale of the codebook
  float scale_ = 0;
  std::vector<uint16_t> states_;  // [tiles][spec_.steps()], tiles row-major
  std::atomic<int64_t> tiles_done_ = 0;
};

// A Hessian is a sum of outer products: entries that mirror each other differ by rounding alone.
bool AreMirrored(float a, float b, double mean_diagonal) {
  const double tolerance = 1e-3 * std::max(std::abs(a), std::abs(b)) + 1e-6 * mean_diagonal;
  return std::isfinite(a) && std::isfinite(b) && std::abs(double{a} - b) <= tolerance;
}

}  // namespace

absl::Status CheckQtipHessian(std::span<const float> hessian, int64_t in_features) {
  if (hessian.empty()) return absl::OkStatus();
  const int64_t n = in_features;
  if (static_cast<int64_t>(hessian.size()) != n * n) {
    return InvalidField("HESSIAN_SHAPE_INVALID", "hessian",
                        absl::StrCat(hessian.size(), " elements"),
                        absl::StrCat(n * n, " elements, in_features squared"));
  }
  double diagonal = 0;
  for (int64_t i = 0; i < n; ++i) diagonal += std::abs(hessian[i * n + i]);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const float a = hessian[i * n + j];
      const float b = hessian[j * n + i];
      if (AreMirrored(a, b, diagonal / static_cast<double>(n))) continue;
      return InvalidField("HESSIAN_NOT_SYMMETRIC", "hessian",
                          absl::StrCat(a, " at [", i, ", ", j, "] and ", b, " at its mirror"),
                          "finite symmetric matrices");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<QtipIngredients> MakeQtipIngredients(const QuantizeProblem& problem) {
  QTIPD_ASSIGN_OR_RETURN(const QtipCodeSpec spec, QtipSpecOf(problem.options));
  return QtipIngredients{.tlut = QtipDefaultTable(spec),
                         .signs = MakeQtipSigns(problem.shape, problem.seed)};
}

absl::StatusOr<PackedLayer> QuantizeQtip(ThreadPool& pool, const QuantizeProblem& problem,
                                         const QtipIngredients& ingredients, Progress& progress,
                                         QuantizeReport& report) {
  QTIPD_RETURN_IF_ERROR(CheckQtipShape(problem.shape));
  QTIPD_RETURN_IF_ERROR(CheckQtipHessian(problem.hessian, problem.shape.in_features));
  QTIPD_ASSIGN_OR_RETURN(const QtipCodeSpec spec, QtipSpecOf(problem.options));
  report = {};
  return Quantizer(pool, problem, spec, ingredients, progress).Run(report);
}

absl::StatusOr<PackedLayer> QuantizeQtipOnCpu(ThreadPool& pool, const QuantizeProblem& problem,
                                              Progress& progress, QuantizeReport& report) {
  QTIPD_ASSIGN_OR_RETURN(const QtipIngredients ingredients, MakeQtipIngredients(problem));
  return QuantizeQtip(pool, problem, ingredients, progress, report);
}

}  // namespace qtipd
