#include "kernels/formats/qtip/qtip_cuda_quantize.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/cpu/hessian.h"
#include "kernels/cuda/upload.h"
#include "kernels/formats/qtip/qtip_cuda_hadamard.h"
#include "kernels/formats/qtip/qtip_cuda_ldl.h"
#include "kernels/formats/qtip/qtip_cuda_ldlq.h"
#include "kernels/formats/qtip/qtip_cuda_viterbi.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_scale_search.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

// Bytes copied between two looks at the progress: about 20 ms from pageable memory.
constexpr size_t kCopyBytes = size_t{1} << 26;

constexpr double kScaleSearchFrom = 0.04;
constexpr double kViterbiFrom = 0.05;
constexpr double kViterbiTo = 0.98;

class Quantizer {
 public:
  Quantizer(CudaDevice& device, const QuantizeProblem& problem, const QtipCodeSpec& spec,
            const QtipIngredients& ingredients, Progress& progress)
      : device_(device),
        problem_(problem),
        ingredients_(ingredients),
        progress_(progress),
        spec_(spec),
        rows_(problem.shape.out_features),
        cols_(problem.shape.in_features) {}

  absl::StatusOr<PackedLayer> Run(QuantizeReport& report) {
    QTIPD_RETURN_IF_ERROR(Step(report, "preprocess", 0, [&] { return Preprocess(); }));
    QTIPD_RETURN_IF_ERROR(Step(report, "block_ldl", 0.02, [&] { return Factor(); }));
    QTIPD_RETURN_IF_ERROR(PrepareSearch());
    if (const std::optional<double> given = QtipGivenScale(problem_.options)) {
      scale_override_ = *given;
    } else {
      QTIPD_RETURN_IF_ERROR(Step(report, "scale_search", kScaleSearchFrom,
                                 [&]() -> absl::Status { return FindScale(report); }));
    }
    QTIPD_RETURN_IF_ERROR(Step(report, "viterbi", kViterbiFrom, [&] { return Encode(report); }));
    PackedLayer layer;
    QTIPD_RETURN_IF_ERROR(Step(report, "postprocess", kViterbiTo, [&]() -> absl::Status {
      QTIPD_ASSIGN_OR_RETURN(layer, Pack());
      return absl::OkStatus();
    }));
    return layer;
  }

 private:
  template <typename Work>
  absl::Status Step(QuantizeReport& report, const char* name, double from, const Work& work) {
    QTIPD_RETURN_IF_ERROR(CheckCancelled());
    progress_.Report(from, name);
    const auto start = std::chrono::steady_clock::now();
    QTIPD_RETURN_IF_ERROR(work());
    QTIPD_RETURN_IF_ERROR(device_.Synchronize());
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    report.step_seconds.emplace_back(name, seconds.count());
    return absl::OkStatus();
  }

  absl::Status CheckCancelled() const {
    return progress_.IsCancelled() ? absl::CancelledError("quantize was cancelled")
                                   : absl::OkStatus();
  }

  // Calls copy(offset, bytes) for pieces of [0, bytes).
  template <typename Copy>
  absl::Status InPieces(size_t bytes, const Copy& copy) const {
    for (size_t offset = 0; offset < bytes; offset += kCopyBytes) {
      QTIPD_RETURN_IF_ERROR(CheckCancelled());
      QTIPD_RETURN_IF_ERROR(copy(offset, std::min(kCopyBytes, bytes - offset)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Buffer> UploadMatrix(std::span<const float> values) {
    const auto bytes = std::as_bytes(values);
    QTIPD_ASSIGN_OR_RETURN(Buffer buffer, device_.Allocate(bytes.size()));
    QTIPD_RETURN_IF_ERROR(InPieces(bytes.size(), [&](size_t offset, size_t count) {
      return device_.CopyToDevice(buffer.as<std::byte>() + offset, bytes.data() + offset, count);
    }));
    return buffer;
  }

  // H^T of one side: W_r = H_out^T W H_in.
  absl::StatusOr<CudaRotation> Rotation(int64_t size) {
    return MakeCudaRotation(device_, {.size = size}, HadamardDirection::kTransposed);
  }

  // Rotated weights in the scale of the codebook.
  absl::Status Preprocess() {
    QTIPD_ASSIGN_OR_RETURN(su_, Upload(device_, ingredients_.signs.su));
    QTIPD_ASSIGN_OR_RETURN(sv_, Upload(device_, ingredients_.signs.sv));
    QTIPD_ASSIGN_OR_RETURN(weights_, UploadMatrix(problem_.weights));
    QTIPD_ASSIGN_OR_RETURN(trellis_, device_.Allocate(TrellisBytes(rows_)));
    auto* weights = weights_.as<float>();
    QTIPD_RETURN_IF_ERROR(
        LaunchScale(device_, weights, sv_.as<float>(), su_.as<float>(), rows_, cols_, weights));
    QTIPD_ASSIGN_OR_RETURN(output_, Rotation(rows_));
    QTIPD_ASSIGN_OR_RETURN(input_, Rotation(cols_));
    QTIPD_RETURN_IF_ERROR(LaunchMatrixHadamard(device_, weights, output_, input_));
    QTIPD_ASSIGN_OR_RETURN(const double sum, SumOfSquaresOnCuda(device_, weights, rows_ * cols_));
    rms_ = std::sqrt(sum / (static_cast<double>(rows_) * cols_));
    return absl::OkStatus();
  }

  // values[0 .. count) *= factor, in chunks: cuBLAS counts in int.
  absl::Status ScaleOnDevice(const Buffer& values, int64_t count, float factor) {
    constexpr int64_t kChunk = int64_t{1} << 30;
    for (int64_t first = 0; first < count; first += kChunk) {
      const auto size = static_cast<int>(std::min(kChunk, count - first));
      QTIPD_RETURN_IF_CUBLAS_ERROR(
          cublasSscal(device_.cublas(), size, &factor, values.as<float>() + first, 1));
    }
    return absl::OkStatus();
  }

  // The kernel layout takes rows of tiles in pairs; a sample of rows may have an odd number.
  size_t TrellisBytes(int64_t rows) const {
    return sizeof(uint16_t) * QtipTrellisWords((rows + 31) / 32 * 32, cols_, spec_.bits);
  }

  // What brings the rotated weights to `scale_override` times the scale of the table; 1 for zeros.
  double FactorFor(double scale_override) const {
    return rms_ > 0 ? scale_override * search_->table_rms() / rms_ : 1;
  }

  absl::Status Factor() {
    if (problem_.hessian.empty()) return absl::OkStatus();
    double trace = 0;
    for (int64_t i = 0; i < cols_; ++i) trace += problem_.hessian[i * cols_ + i];
    const double ridge =
        problem_.options.GetDouble("sigma_reg") * trace / static_cast<double>(cols_);
    QTIPD_ASSIGN_OR_RETURN(hessian_, UploadMatrix(problem_.hessian));
    auto* hessian = hessian_.as<float>();
    QTIPD_RETURN_IF_ERROR(
        LaunchScale(device_, hessian, su_.as<float>(), su_.as<float>(), cols_, cols_, hessian));
    // A rotation leaves a multiple of the identity as it is.
    QTIPD_RETURN_IF_ERROR(LaunchMatrixHadamard(device_, hessian, input_, input_));
    QTIPD_RETURN_IF_ERROR(LaunchAddDiagonal(device_, hessian, cols_, static_cast<float>(ridge)));
    QTIPD_RETURN_IF_ERROR(
        FactorOnCuda(device_, hessian, cols_, [this] { return CheckCancelled(); }));
    return absl::OkStatus();
  }

  absl::Status PrepareSearch() {
    QTIPD_ASSIGN_OR_RETURN(CudaLdlq search, CudaLdlq::Create(device_, spec_, ingredients_.tlut,
                                                             cols_, hessian_.as<float>()));
    search_.emplace(std::move(search));
    return absl::OkStatus();
  }

  // The rows that show which scale is best, quantized at every scale that is tried.
  absl::Status FindScale(QuantizeReport& report) {
    const std::vector<int64_t> strips = QtipSampleStrips(problem_.shape);
    const int64_t strip_weights = kQtipTileRows * cols_;
    const int64_t rows = static_cast<int64_t>(strips.size()) * kQtipTileRows;
    QTIPD_ASSIGN_OR_RETURN(const Buffer sample, device_.Allocate(rows * cols_ * sizeof(float)));
    QTIPD_ASSIGN_OR_RETURN(const Buffer trellis, device_.Allocate(TrellisBytes(rows)));
    const auto error_at = [&](double scale) -> absl::StatusOr<double> {
      for (size_t i = 0; i < strips.size(); ++i) {
        QTIPD_RETURN_IF_ERROR(device_.Copy(sample.as<float>() + i * strip_weights,
                                           weights_.as<float>() + strips[i] * strip_weights,
                                           strip_weights * sizeof(float)));
      }
      QTIPD_RETURN_IF_ERROR(
          ScaleOnDevice(sample, rows * cols_, static_cast<float>(FactorFor(scale))));
      return search_->Encode({sample.as<float>(), trellis.as<uint16_t>(), rows},
                             [this](double) { return CheckCancelled(); });
    };
    QTIPD_ASSIGN_OR_RETURN(QtipScaleChoice choice, ChooseQtipScale(spec_, error_at));
    report.scale_trials = std::move(choice.trials);
    scale_override_ = choice.scale;
    return absl::OkStatus();
  }

  absl::Status Encode(QuantizeReport& report) {
    const double factor = FactorFor(scale_override_);
    scale_ = rms_ > 0 ? static_cast<float>(1 / factor) : 0;
    QTIPD_RETURN_IF_ERROR(ScaleOnDevice(weights_, rows_ * cols_, static_cast<float>(factor)));
    QTIPD_ASSIGN_OR_RETURN(
        report.proxy_error,
        search_->Encode({weights_.as<float>(), trellis_.as<uint16_t>(), rows_}, [&](double done) {
          progress_.Report(kViterbiFrom + (kViterbiTo - kViterbiFrom) * done, "viterbi");
          return CheckCancelled();
        }));
    search_.reset();
    return absl::OkStatus();
  }

  absl::StatusOr<PackedLayer> Pack() {
    QtipLayer layer;
    layer.shape = problem_.shape;
    layer.spec = spec_;
    layer.trellis.resize(QtipTrellisWords(rows_, cols_, spec_.bits));
    auto* words = reinterpret_cast<std::byte*>(layer.trellis.data());
    QTIPD_RETURN_IF_ERROR(InPieces(trellis_.bytes(), [&](size_t offset, size_t count) {
      return device_.CopyToHost(words + offset, trellis_.as<std::byte>() + offset, count);
    }));
    layer.su = ingredients_.signs.su;
    layer.sv = ingredients_.signs.sv;
    for (float& sign : layer.sv) sign *= scale_;
    layer.tlut = ingredients_.tlut;
    std::map<std::string, OptionValue> options = problem_.options.values();
    options["scale_override"] = scale_override_;
    return MakePackedQtipLayer(std::move(layer), Options(std::move(options)));
  }

  CudaDevice& device_;
  const QuantizeProblem& problem_;
  const QtipIngredients& ingredients_;
  Progress& progress_;
  const QtipCodeSpec spec_;
  const int64_t rows_;
  const int64_t cols_;
  CudaRotation output_;
  CudaRotation input_;
  Buffer su_;
  Buffer sv_;
  Buffer weights_;  // [out, in] fp32: rotated and scaled, then its error
  Buffer trellis_;  // checkpoint order
  Buffer hessian_;  // [in, in] fp32: rotated and regularised, then its Cholesky factor
  double scale_override_ = 0;
  float scale_ = 0;  // of the layer's weights over the table's
  std::optional<CudaLdlq> search_;
  double rms_ = 0;  // of the rotated weights
};

}  // namespace

absl::StatusOr<PackedLayer> QuantizeQtipOnCuda(CudaDevice& device, const QuantizeProblem& problem,
                                               const QtipIngredients& ingredients,
                                               Progress& progress, QuantizeReport& report) {
  QTIPD_RETURN_IF_ERROR(CheckQtipShape(problem.shape));
  QTIPD_RETURN_IF_ERROR(CheckHessian(problem.hessian, problem.shape.in_features, progress));
  report = {};
  QTIPD_ASSIGN_OR_RETURN(const QtipCodeSpec spec, QtipSpecOf(problem.options));
  QTIPD_RETURN_IF_ERROR(CheckEncode(spec, device.limits()));  // rather than after the Hessian
  return Quantizer(device, problem, spec, ingredients, progress).Run(report);
}

}  // namespace qtipd
