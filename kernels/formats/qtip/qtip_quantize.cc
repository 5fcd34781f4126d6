#include "kernels/formats/qtip/qtip_quantize.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
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
#include "kernels/formats/qtip/qtip_scale_search.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "kernels/formats/qtip/qtip_viterbi.h"

namespace qtipd {
namespace {

// Where the steps lie in the progress of the whole.
constexpr double kScaleSearchFrom = 0.04;
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
        scale_override_(QtipGivenScale(problem.options).value_or(1.0)),
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
    if (!QtipGivenScale(problem_.options)) {
      progress_.Report(kScaleSearchFrom, "scale_search");
      QTIPD_ASSIGN_OR_RETURN(report.scale_trials, FindScale(factor));
      finish("scale_search");
    }
    QTIPD_ASSIGN_OR_RETURN(
        report.proxy_error,
        EncodePanel(encoder_, factor, {problem_.shape, weights_, states_, /*is_whole=*/true}));
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
    scale_ = static_cast<float>(rms / (table_.Rms() * scale_override_));
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

  // Row strips of 16 weights that are quantized together: the whole matrix or a sample of it.
  struct Panel {
    Shape shape;
    std::span<const float> weights;
    std::span<uint16_t> states;  // out, tiles row-major
    bool is_whole = false;       // its tiles are the progress of the whole

    int64_t tile_rows() const { return shape.out_features / kQtipTileRows; }
    int64_t tile_cols() const { return shape.in_features / kQtipTileCols; }
    int64_t tiles() const { return tile_rows() * tile_cols(); }
  };

  // Multiplies the weights, which have been scaled with scale_override 1, by the best one.
  absl::StatusOr<std::vector<ScaleTrial>> FindScale(const BlockLdl& factor) {
    const std::vector<int64_t> strips = QtipSampleStrips(problem_.shape);
    const int64_t strip_weights = kQtipTileRows * cols();
    const Shape shape = {static_cast<int64_t>(strips.size()) * kQtipTileRows, cols()};
    std::vector<float> sample(shape.out_features * cols());
    std::vector<uint16_t> states(sample.size() / spec_.vector_dim);
    QtipEncoder encoder(spec_, tlut_, QtipEncoder::Batches::kFew);
    const auto error_at = [&](double scale) {
      for (size_t i = 0; i < sample.size(); ++i) {
        const int64_t strip = static_cast<int64_t>(i) / strip_weights;
        sample[i] = static_cast<float>(
            scale *
            weights_[strips[strip] * strip_weights + static_cast<int64_t>(i) % strip_weights]);
      }
      return EncodePanel(encoder, factor, {shape, sample, states});
    };
    QTIPD_ASSIGN_OR_RETURN(QtipScaleChoice choice, ChooseQtipScale(spec_, error_at));
    scale_override_ = choice.scale;
    scale_ = static_cast<float>(scale_ / choice.scale);
    for (float& weight : weights_) weight *= static_cast<float>(choice.scale);
    return std::move(choice.trials);
  }

  // tr(E H E^T) / tr(W H W^T) of a panel.
  absl::StatusOr<double> EncodePanel(QtipEncoder& encoder, const BlockLdl& factor,
                                     const Panel& panel) {
    if (problem_.hessian.empty()) return EncodeWithoutFeedback(encoder, panel);
    return EncodeWithFeedback(encoder, factor, panel);
  }

  absl::Status Encode(QtipEncoder& encoder, const Panel& panel, std::span<const float> samples,
                      std::span<uint16_t> states) {
    const bool is_complete = encoder.Encode(pool_, samples, states, [&](int64_t tiles) {
      if (panel.is_whole) {
        const double done =
            static_cast<double>(tiles_done_ += tiles) / static_cast<double>(panel.tiles());
        progress_.Report(kViterbiFrom + (kViterbiTo - kViterbiFrom) * done, "viterbi");
      }
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
  absl::StatusOr<double> EncodeWithoutFeedback(QtipEncoder& encoder, const Panel& panel) {
    std::vector<float> samples(panel.weights.size());
    pool_.ParallelFor(panel.tiles(), [&](int, int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        Gather(panel.weights.data(), cols(), panel.tile_cols(), tile,
               &samples[tile * kQtipTileWeights]);
      }
    });
    QTIPD_RETURN_IF_ERROR(Encode(encoder, panel, samples, panel.states));
    std::vector<double> costs(panel.tiles());
    pool_.ParallelFor(panel.tiles(), [&](int, int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        costs[tile] =
            QtipPathCost(std::span(samples).subspan(tile * kQtipTileWeights, kQtipTileWeights),
                         panel.states.subspan(tile * spec_.steps(), spec_.steps()), table_);
      }
    });
    double error = 0;
    for (double cost : costs) error += cost;
    return Ratio(error, SumOfSquares(panel.weights));
  }

  absl::StatusOr<double> EncodeWithFeedback(QtipEncoder& encoder, const BlockLdl& factor,
                                            const Panel& panel) {
    const int64_t tile_rows = panel.tile_rows();
    std::vector<float> samples(tile_rows * kQtipTileWeights);
    std::vector<uint16_t> states(tile_rows * spec_.steps());
    const auto quantize = [&](int64_t block, std::span<const float> target,
                              std::span<float> decoded) -> absl::Status {
      for (int64_t tile = 0; tile < tile_rows; ++tile) {
        Gather(target.data(), kQtipTileCols, 1, tile, &samples[tile * kQtipTileWeights]);
      }
      QTIPD_RETURN_IF_ERROR(Encode(encoder, panel, samples, states));
      for (int64_t tile = 0; tile < tile_rows; ++tile) {
        const uint16_t* from = &states[tile * spec_.steps()];
        for (int p = 0; p < kQtipTileWeights; ++p) {
          const QtipElement at = QtipElementOf(spec_, p);
          decoded[(tile * kQtipTileRows + at.row) * kQtipTileCols + at.col] = Decode(from, p);
        }
        std::copy_n(from, spec_.steps(),
                    &panel.states[(tile * panel.tile_cols() + block) * spec_.steps()]);
      }
      return absl::OkStatus();
    };
    QTIPD_ASSIGN_OR_RETURN(const double error,
                           RunLdlq(factor, panel.weights, panel.shape, quantize));
    return Ratio(error, HessianEnergy(pool_, factor, panel.weights, panel.shape));
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
    std::map<std::string, OptionValue> options = problem_.options.values();
    options["scale_override"] = scale_override_;
    return MakePackedQtipLayer(layer, Options(std::move(options)));
  }

  ThreadPool& pool_;
  const QuantizeProblem& problem_;
  const QtipSigns& signs_;
  const std::vector<uint16_t>& tlut_;
  Progress& progress_;
  const QtipCodeSpec spec_;
  const QtipTable table_;
  double scale_override_;
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
