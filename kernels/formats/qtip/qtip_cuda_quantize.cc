#include "kernels/formats/qtip/qtip_cuda_quantize.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_cuda_hadamard.h"
#include "kernels/formats/qtip/qtip_cuda_ldl.h"
#include "kernels/formats/qtip/qtip_cuda_viterbi.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

constexpr int64_t kGroupCols = 128;    // columns whose feedback is summed by one matrix product
constexpr int64_t kEnergyRows = 1024;  // rows of E C held at a time
constexpr double kViterbiFrom = 0.05;
constexpr double kViterbiTo = 0.98;

class Quantizer {
 public:
  Quantizer(CudaDevice& device, const QuantizeProblem& problem, const QtipCodeSpec& spec,
            const QtipIngredients& ingredients, Progress& progress)
      : device_(device),
        problem_(problem),
        ingredients_(ingredients),
        spec_(spec),
        progress_(progress),
        rows_(problem.shape.out_features),
        cols_(problem.shape.in_features) {}

  absl::StatusOr<PackedLayer> Run(QuantizeReport& report) {
    QTIPD_RETURN_IF_ERROR(Step(report, "preprocess", 0, [&] { return Preprocess(); }));
    QTIPD_RETURN_IF_ERROR(Step(report, "block_ldl", 0.02, [&] { return Factor(); }));
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

  template <typename Values>
  absl::StatusOr<Buffer> Upload(const Values& values) {
    const size_t bytes = values.size() * sizeof(values[0]);
    QTIPD_ASSIGN_OR_RETURN(Buffer buffer, device_.Allocate(bytes));
    QTIPD_RETURN_IF_ERROR(device_.CopyToDevice(buffer.data(), values.data(), bytes));
    return buffer;
  }

  // H^T of one side: W_r = H_out^T W H_in.
  absl::StatusOr<CudaRotation> Rotation(int64_t size) {
    return MakeCudaRotation(device_, {.size = size}, HadamardDirection::kTransposed);
  }

  // Rotated weights in the scale of the codebook.
  absl::Status Preprocess() {
    QTIPD_ASSIGN_OR_RETURN(su_, Upload(ingredients_.signs.su));
    QTIPD_ASSIGN_OR_RETURN(sv_, Upload(ingredients_.signs.sv));
    QTIPD_ASSIGN_OR_RETURN(const double table_rms, UploadTable());
    QTIPD_ASSIGN_OR_RETURN(weights_, Upload(problem_.weights));
    QTIPD_ASSIGN_OR_RETURN(states_,
                           device_.Allocate(sizeof(uint16_t) * rows_ * cols_ / spec_.vector_dim));
    auto* weights = weights_.as<float>();
    QTIPD_RETURN_IF_ERROR(
        LaunchScale(device_, weights, sv_.as<float>(), su_.as<float>(), rows_, cols_, weights));
    QTIPD_ASSIGN_OR_RETURN(output_, Rotation(rows_));
    QTIPD_ASSIGN_OR_RETURN(input_, Rotation(cols_));
    QTIPD_RETURN_IF_ERROR(LaunchMatrixHadamard(device_, weights, output_, input_));
    QTIPD_ASSIGN_OR_RETURN(const double sum, SumOfSquaresOnCuda(device_, weights, rows_ * cols_));
    const double rms = std::sqrt(sum / (static_cast<double>(rows_) * cols_));
    scale_ = static_cast<float>(rms / (table_rms * problem_.options.GetDouble("scale_override")));
    if (!(scale_ > 0)) return absl::OkStatus();  // a zero matrix
    return ScaleWeights(1 / scale_);
  }

  // What the search looks weights up in. Returns their root mean square.
  absl::StatusOr<double> UploadTable() {
    const QtipTable table = MakeQtipTable(spec_, ingredients_.tlut);
    if (QtipHasKernelLayout(spec_)) {
      QTIPD_ASSIGN_OR_RETURN(table_, Upload(ingredients_.tlut));
      return table.Rms();
    }
    for (const float weight : table.weights) reach_ = std::max(reach_, std::abs(weight));
    QTIPD_ASSIGN_OR_RETURN(values_, Upload(table.weights));
    QTIPD_ASSIGN_OR_RETURN(halves_, Upload(EncodeFloats(table.weights, DType::kF16)));
    return table.Rms();
  }

  absl::Status ScaleWeights(float factor) {
    // In row chunks: cuBLAS counts in int.
    constexpr int64_t kChunk = int64_t{1} << 30;
    for (int64_t first = 0; first < rows_ * cols_; first += kChunk) {
      const auto count = static_cast<int>(std::min(kChunk, rows_ * cols_ - first));
      QTIPD_RETURN_IF_CUBLAS_ERROR(
          cublasSscal(device_.cublas(), count, &factor, weights_.as<float>() + first, 1));
    }
    return absl::OkStatus();
  }

  absl::Status Factor() {
    if (problem_.hessian.empty()) return absl::OkStatus();
    double trace = 0;
    for (int64_t i = 0; i < cols_; ++i) trace += problem_.hessian[i * cols_ + i];
    const double ridge =
        problem_.options.GetDouble("sigma_reg") * trace / static_cast<double>(cols_);
    Buffer rotated;
    {
      QTIPD_ASSIGN_OR_RETURN(const Buffer hessian, Upload(problem_.hessian));
      QTIPD_ASSIGN_OR_RETURN(rotated, device_.Allocate(cols_ * cols_ * sizeof(double)));
      QTIPD_RETURN_IF_ERROR(LaunchScale(device_, hessian.as<float>(), su_.as<float>(),
                                        su_.as<float>(), cols_, cols_, rotated.as<double>()));
      QTIPD_RETURN_IF_ERROR(device_.Synchronize());
    }
    // A rotation leaves a multiple of the identity as it is.
    QTIPD_RETURN_IF_ERROR(LaunchMatrixHadamard(device_, rotated.as<double>(), input_, input_));
    QTIPD_RETURN_IF_ERROR(LaunchAddDiagonal(device_, rotated.as<double>(), cols_, ridge));
    QTIPD_ASSIGN_OR_RETURN(factor_, FactorBlockLdlOnCuda(device_, rotated.as<double>(), cols_));
    return absl::OkStatus();
  }

  // tr(A H A^T) of what weights_ holds.
  absl::StatusOr<double> Energy() {
    const auto* values = weights_.as<float>();
    if (problem_.hessian.empty()) return SumOfSquaresOnCuda(device_, values, rows_ * cols_);
    const float one = 1;
    const float zero = 0;
    const auto n = static_cast<int>(cols_);
    const int64_t chunk = std::min(kEnergyRows, rows_);
    QTIPD_ASSIGN_OR_RETURN(const Buffer product, device_.Allocate(chunk * cols_ * sizeof(float)));
    double energy = 0;
    for (int64_t first = 0; first < rows_; first += chunk) {
      const int64_t rows = std::min(chunk, rows_ - first);
      // (A C)^T = C^T A^T in cuBLAS's column-major terms.
      QTIPD_RETURN_IF_CUBLAS_ERROR(
          cublasSgemm(device_.cublas(), CUBLAS_OP_T, CUBLAS_OP_N, n, static_cast<int>(rows), n,
                      &one, factor_.cholesky.as<float>(), n, values + first * cols_, n, &zero,
                      product.as<float>(), n));
      QTIPD_ASSIGN_OR_RETURN(const double part,
                             SumOfSquaresOnCuda(device_, product.as<float>(), rows * cols_));
      energy += part;
    }
    return energy;
  }

  absl::Status Encode(QuantizeReport& report) {
    QTIPD_ASSIGN_OR_RETURN(scratch_, device_.Allocate(EncodeScratchBytes(device_, spec_)));
    QTIPD_ASSIGN_OR_RETURN(const double energy, Energy());
    QTIPD_RETURN_IF_ERROR(problem_.hessian.empty() ? EncodeWithoutFeedback()
                                                   : EncodeWithFeedback());
    QTIPD_ASSIGN_OR_RETURN(const double error, Energy());
    report.proxy_error = energy > 0 ? error / energy : 0;
    scratch_.Reset();
    return absl::OkStatus();
  }

  EncodeArguments Arguments() const {
    return {.weights = weights_.as<float>(),
            .states = states_.as<uint16_t>(),
            .table = table_.as<uint32_t>(),
            .values = values_.as<float>(),
            .halves = halves_.as<uint16_t>(),
            .reach = reach_,
            .scratch = scratch_.data(),
            .cols = cols_};
  }

  // All tiles of `arguments` in launches of bounded length.
  absl::Status EncodeTiles(EncodeArguments arguments, int64_t tiles) {
    const int64_t most = EncodeTilesPerLaunch(device_);
    for (int64_t first = 0; first < tiles; first += most) {
      arguments.first_tile = first;
      arguments.tile_count = std::min(most, tiles - first);
      QTIPD_RETURN_IF_ERROR(LaunchEncode(device_, spec_, arguments));
      if (arguments.tile_col < 0 || tiles > most) {
        QTIPD_RETURN_IF_ERROR(device_.Synchronize());
        QTIPD_RETURN_IF_ERROR(CheckCancelled());
      }
      if (arguments.tile_col < 0) {
        ReportViterbi(first + arguments.tile_count, tiles);
      }
    }
    return absl::OkStatus();
  }

  void ReportViterbi(int64_t done, int64_t all) {
    const double fraction = static_cast<double>(done) / static_cast<double>(all);
    progress_.Report(kViterbiFrom + (kViterbiTo - kViterbiFrom) * fraction, "viterbi");
  }

  absl::Status EncodeWithoutFeedback() {
    return EncodeTiles(Arguments(), rows_ * cols_ / kQtipTileWeights);
  }

  // Column groups from last to first, and within a group blocks of 16 columns from last to first.
  // weights_ holds W - decoded where a block is done.
  absl::Status EncodeWithFeedback() {
    QTIPD_ASSIGN_OR_RETURN(const Buffer product,
                           device_.Allocate(rows_ * std::min(kGroupCols, cols_) * sizeof(float)));
    // The last group on the left may be narrower.
    for (int64_t end = cols_, begin = 0; end > 0; end = begin) {
      begin = std::max<int64_t>(0, end - kGroupCols);
      const int64_t group_cols = end - begin;
      QTIPD_RETURN_IF_ERROR(FeedBack(begin, group_cols, product));
      EncodeArguments arguments = Arguments();
      arguments.feedback = {.product = product.as<float>(),
                            .lower = factor_.lower.as<float>(),
                            .group_begin = begin,
                            .group_cols = group_cols};
      for (int64_t col = begin + group_cols - kQtipTileCols; col >= begin; col -= kQtipTileCols) {
        arguments.tile_col = col / kQtipTileCols;
        QTIPD_RETURN_IF_ERROR(EncodeTiles(arguments, rows_ / kQtipTileRows));
      }
      QTIPD_RETURN_IF_ERROR(device_.Synchronize());
      QTIPD_RETURN_IF_ERROR(CheckCancelled());
      ReportViterbi(cols_ - begin, cols_);
    }
    return absl::OkStatus();
  }

  // product[rows, group] = E[:, end:] L[end:, group], zero for the last group.
  absl::Status FeedBack(int64_t begin, int64_t group_cols, const Buffer& product) {
    const int64_t end = begin + group_cols;
    if (end == cols_) return device_.Fill(product.data(), 0, product.bytes());
    const float one = 1;
    const float zero = 0;
    QTIPD_RETURN_IF_CUBLAS_ERROR(
        cublasSgemm(device_.cublas(), CUBLAS_OP_N, CUBLAS_OP_N, static_cast<int>(group_cols),
                    static_cast<int>(rows_), static_cast<int>(cols_ - end), &one,
                    factor_.lower.as<float>() + end * cols_ + begin, static_cast<int>(cols_),
                    weights_.as<float>() + end, static_cast<int>(cols_), &zero, product.as<float>(),
                    static_cast<int>(group_cols)));
    return absl::OkStatus();
  }

  absl::StatusOr<PackedLayer> Pack() {
    QtipLayer layer;
    layer.shape = problem_.shape;
    layer.spec = spec_;
    layer.trellis.resize(QtipTrellisWords(rows_, cols_, spec_.bits));
    const size_t bytes = layer.trellis.size() * sizeof(uint16_t);
    QTIPD_ASSIGN_OR_RETURN(const Buffer trellis, device_.Allocate(bytes));
    QTIPD_RETURN_IF_ERROR(
        LaunchPack(device_, rows_, cols_, spec_, states_.as<uint16_t>(), trellis.data()));
    QTIPD_RETURN_IF_ERROR(device_.CopyToHost(layer.trellis.data(), trellis.data(), bytes));
    layer.su = ingredients_.signs.su;
    layer.sv = ingredients_.signs.sv;
    for (float& sign : layer.sv) sign *= scale_;
    layer.tlut = ingredients_.tlut;
    return MakePackedQtipLayer(layer, problem_.options);
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
  Buffer table_;    // tlut of a code in kernel layout
  Buffer values_;   // all states' weights of a code in plain layout, fp32
  Buffer halves_;   // and fp16
  Buffer weights_;  // [out, in] fp32: rotated and scaled, then its error
  Buffer states_;   // [tiles][steps] 16-bit states
  Buffer scratch_;
  CudaBlockLdl factor_;
  float scale_ = 0;
  float reach_ = 0;  // of a code in plain layout
};

}  // namespace

absl::StatusOr<PackedLayer> QuantizeQtipOnCuda(CudaDevice& device, const QuantizeProblem& problem,
                                               const QtipIngredients& ingredients,
                                               Progress& progress, QuantizeReport& report) {
  QTIPD_RETURN_IF_ERROR(CheckQtipShape(problem.shape));
  QTIPD_RETURN_IF_ERROR(CheckQtipHessian(problem.hessian, problem.shape.in_features));
  report = {};
  QTIPD_ASSIGN_OR_RETURN(const QtipCodeSpec spec, QtipSpecOf(problem.options));
  if (!CanEncode(spec)) {
    return FieldError(absl::StatusCode::kUnimplemented, "CODE_UNSUPPORTED", "state_bits",
                      std::to_string(spec.state_bits),
                      std::to_string(kQtipStateBits) + " on this backend");
  }
  return Quantizer(device, problem, spec, ingredients, progress).Run(report);
}

}  // namespace qtipd
