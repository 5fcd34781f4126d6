#include "kernels/formats/qtip/qtip_quantize.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/hessian.h"
#include "kernels/cpu/pieces.h"
#include "kernels/cpu/stopwatch.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/qtip/qtip_incoherence.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_panel_encoder.h"
#include "kernels/formats/qtip/qtip_scale_search.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

// Where the steps lie in the progress of the whole.
constexpr double kScaleSearchFrom = 0.04;
constexpr double kViterbiFrom = 0.05;
constexpr double kViterbiTo = 0.98;

// The state of one run, and its steps in order.
class Quantizer {
 public:
  Quantizer(ThreadPool& pool, const QuantizeProblem& problem, const QtipCodeSpec& spec,
            const QtipIngredients& ingredients, Progress& progress)
      : pool_(pool),
        problem_(problem),
        ingredients_(ingredients),
        progress_(progress),
        spec_(spec),
        scale_override_(QtipGivenScale(problem.options).value_or(1.0)) {}

  absl::StatusOr<PackedLayer> Run(QuantizeReport& report) {
    Stopwatch watch;
    const auto finish = [&](std::string_view step) {
      report.step_seconds.emplace_back(step, watch.Lap());
    };
    progress_.Report(0, "preprocess");
    QTIPD_RETURN_IF_ERROR(Preprocess());
    finish("preprocess");
    progress_.Report(0.02, "block_ldl");
    QTIPD_RETURN_IF_ERROR(Factor());
    finish("block_ldl");
    QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress_));
    if (!QtipGivenScale(problem_.options)) {
      progress_.Report(kScaleSearchFrom, "scale_search");
      QTIPD_ASSIGN_OR_RETURN(report.scale_trials, FindScale());
      finish("scale_search");
    }
    QTIPD_ASSIGN_OR_RETURN(report.proxy_error, Encode());
    finish("viterbi");
    progress_.Report(kViterbiTo, "postprocess");
    QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress_));
    PackedLayer layer = Pack();
    finish("postprocess");
    return layer;
  }

 private:
  int64_t rows() const { return problem_.shape.out_features; }
  int64_t cols() const { return problem_.shape.in_features; }
  const BlockLdl* factor() const { return problem_.hessian.empty() ? nullptr : &factor_; }

  // weights *= factor.
  absl::Status ScaleWeights(float factor) {
    const auto size = static_cast<int64_t>(problem_.weights.size());
    return ForPieces(pool_, progress_, size, kPieceElements, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) problem_.weights[i] *= factor;
    });
  }

  absl::StatusOr<double> RootMeanSquare() {
    std::vector<double> sums(rows());
    QTIPD_RETURN_IF_ERROR(
        ForPieces(pool_, progress_, rows(), PieceRows(cols()), [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) {
            for (const float weight : problem_.weights.subspan(row * cols(), cols())) {
              sums[row] += double{weight} * weight;
            }
          }
        }));
    double sum = 0;
    for (const double row : sums) sum += row;
    return std::sqrt(sum / static_cast<double>(rows() * cols()));
  }

  // Rotated weights in the scale of the codebook.
  absl::Status Preprocess() {
    QTIPD_RETURN_IF_ERROR(
        RotateWeights(pool_, progress_, problem_.weights, problem_.shape, ingredients_.signs));
    QTIPD_ASSIGN_OR_RETURN(const double rms, RootMeanSquare());
    const double table_rms = MakeQtipTable(spec_, ingredients_.tlut).Rms();
    scale_ = static_cast<float>(rms / (table_rms * scale_override_));
    return scale_ > 0 ? ScaleWeights(1 / scale_) : absl::OkStatus();
  }

  absl::Status Factor() {
    if (problem_.hessian.empty()) return absl::OkStatus();
    QTIPD_RETURN_IF_ERROR(RotateHessian(pool_, progress_, problem_.hessian, ingredients_.signs.su,
                                        problem_.options.GetDouble("sigma_reg")));
    QTIPD_ASSIGN_OR_RETURN(factor_, FactorBlockLdl(pool_, progress_, problem_.hessian, cols()));
    return absl::OkStatus();
  }

  // Multiplies the weights, which have been scaled with scale_override 1, by the best one.
  absl::StatusOr<std::vector<ScaleTrial>> FindScale() {
    const std::vector<int64_t> strips = QtipSampleStrips(problem_.shape);
    const int64_t strip_weights = kQtipTileRows * cols();
    const Shape shape = {static_cast<int64_t>(strips.size()) * kQtipTileRows, cols()};
    std::vector<float> sample(shape.out_features * cols());
    QtipPanelEncoder encoder(pool_, progress_, spec_, ingredients_.tlut,
                             QtipEncoder::Batches::kFew);
    const auto error_at = [&](double scale) {
      for (size_t i = 0; i < sample.size(); ++i) {
        const int64_t strip = static_cast<int64_t>(i) / strip_weights;
        sample[i] =
            static_cast<float>(scale * problem_.weights[strips[strip] * strip_weights +
                                                        static_cast<int64_t>(i) % strip_weights]);
      }
      return encoder.Encode(factor(), {shape, sample, {}}, [](int64_t) {});
    };
    QTIPD_ASSIGN_OR_RETURN(QtipScaleChoice choice, ChooseQtipScale(spec_, error_at));
    scale_override_ = choice.scale;
    scale_ = static_cast<float>(scale_ / choice.scale);
    QTIPD_RETURN_IF_ERROR(ScaleWeights(static_cast<float>(choice.scale)));
    return std::move(choice.trials);
  }

  // Returns tr(E H E^T) / tr(W H W^T).
  absl::StatusOr<double> Encode() {
    trellis_.resize(QtipTrellisWords(rows(), cols(), spec_.bits));
    const auto tiles = static_cast<double>(rows() * cols() / kQtipTileWeights);
    std::atomic<int64_t> tiles_done = 0;
    QtipPanelEncoder encoder(pool_, progress_, spec_, ingredients_.tlut,
                             QtipEncoder::Batches::kMany);
    return encoder.Encode(
        factor(), {problem_.shape, problem_.weights, trellis_}, [&](int64_t count) {
          const double done = static_cast<double>(tiles_done += count) / tiles;
          progress_.Report(kViterbiFrom + (kViterbiTo - kViterbiFrom) * done, "viterbi");
        });
  }

  PackedLayer Pack() {
    QtipLayer layer;
    layer.shape = problem_.shape;
    layer.spec = spec_;
    layer.trellis = std::move(trellis_);
    layer.su = ingredients_.signs.su;
    layer.sv = ingredients_.signs.sv;
    for (float& sign : layer.sv) sign *= scale_;
    layer.tlut = ingredients_.tlut;
    std::map<std::string, OptionValue> options = problem_.options.values();
    options["scale_override"] = scale_override_;
    return MakePackedQtipLayer(std::move(layer), Options(std::move(options)));
  }

  ThreadPool& pool_;
  // Its weights are rotated and scaled, then the error where it is fed back; its Hessian becomes
  // the factor.
  const QuantizeProblem& problem_;
  const QtipIngredients& ingredients_;
  Progress& progress_;
  const QtipCodeSpec spec_;
  double scale_override_;
  float scale_ = 0;
  BlockLdl factor_;
  std::vector<uint16_t> trellis_;
};

}  // namespace

absl::StatusOr<QtipIngredients> MakeQtipIngredients(const QuantizeProblem& problem) {
  QTIPD_RETURN_IF_ERROR(QtipSpecOf(problem.options).status());
  return QtipIngredients{.tlut = QtipTableOf(problem.options),
                         .signs = MakeQtipSigns(problem.shape, problem.seed)};
}

absl::StatusOr<PackedLayer> QuantizeQtip(ThreadPool& pool, const QuantizeProblem& problem,
                                         const QtipIngredients& ingredients, Progress& progress,
                                         QuantizeReport& report) {
  QTIPD_RETURN_IF_ERROR(CheckQtipShape(problem.shape));
  QTIPD_RETURN_IF_ERROR(CheckHessian(problem.hessian, problem.shape.in_features, progress));
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
