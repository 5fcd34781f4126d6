#include "kernels/formats/int4/int4_quantize.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/hessian.h"
#include "kernels/cpu/pieces.h"
#include "kernels/cpu/stopwatch.h"
#include "kernels/formats/int4/int4_factor.h"
#include "kernels/formats/int4/int4_options.h"
#include "kernels/formats/int4/int4_strip.h"

namespace qtipd {
namespace {

// Where encoding begins in the progress of the whole.
constexpr double kEncodeFrom = 0.1;

// Stacks of threads, packing buffers of OpenBLAS, options and results of strips.
constexpr uint64_t kFixedBytes = uint64_t{32} << 20;

Int4Result EmptyResult(const Int4Spec& spec, Shape shape) {
  const int64_t groups = spec.groups(shape.in_features);
  Int4Result result;
  result.qweight.resize(shape.in_features / kInt4PerWord * shape.out_features);
  result.scales.resize(groups * shape.out_features);
  if (!spec.is_symmetric) result.qzeros.resize(groups * (shape.out_features / kInt4PerWord));
  return result;
}

PackedLayer Pack(const QuantizeProblem& problem, const Int4Spec& spec, Int4Result result) {
  const auto [out, in] = problem.shape;
  PackedLayer layer{"int4", problem.options, problem.shape, {}};
  layer.tensors["qweight"] =
      HostTensor::Take(DType::kI32, {in / kInt4PerWord, out}, std::move(result.qweight));
  layer.tensors["scales"] =
      HostTensor::Take(spec.scale_dtype, {spec.groups(in), out}, std::move(result.scales));
  if (!spec.is_symmetric) {
    layer.tensors["qzeros"] = HostTensor::Take(DType::kI32, {spec.groups(in), out / kInt4PerWord},
                                               std::move(result.qzeros));
  }
  return layer;
}

// All strips, on all threads. Energies are added in the order of strips.
absl::StatusOr<Int4Energy> EncodeStrips(ThreadPool& pool, const Int4StripProblem& strips,
                                        std::span<float> weights, Progress& progress) {
  const auto [out, in] = strips.shape;
  std::vector<absl::StatusOr<Int4Energy>> energies((out + kInt4StripRows - 1) / kInt4StripRows,
                                                   Int4Energy());
  std::vector<std::optional<Int4StripEncoder>> encoders(pool.threads());
  std::atomic<int64_t> done = 0;
  const auto encode = [&, in = in, out = out](int slot, int64_t begin, int64_t end) {
    if (!encoders[slot]) encoders[slot].emplace(strips);
    energies[begin / kInt4StripRows] =
        encoders[slot]->Encode(begin, weights.subspan(begin * in, (end - begin) * in));
    const double part = static_cast<double>(done += end - begin) / static_cast<double>(out);
    progress.Report(kEncodeFrom + (1 - kEncodeFrom) * part, "encode");
  };
  QTIPD_RETURN_IF_ERROR(ForPieces(pool, pool.threads(), progress, out, kInt4StripRows, encode));
  Int4Energy sum;
  for (const absl::StatusOr<Int4Energy>& energy : energies) {
    QTIPD_RETURN_IF_ERROR(energy.status());
    sum.error += energy->error;
    sum.weights += energy->weights;
  }
  return sum;
}

}  // namespace

absl::StatusOr<PackedLayer> QuantizeInt4OnCpu(ThreadPool& pool, const QuantizeProblem& problem,
                                              Progress& progress, QuantizeReport& report) {
  const int64_t in = problem.shape.in_features;
  QTIPD_RETURN_IF_ERROR(CheckInt4Shape(problem.options, problem.shape));
  QTIPD_RETURN_IF_ERROR(CheckHessian(problem.hessian, in, progress));
  report = {};
  const bool has_hessian = !problem.hessian.empty();
  Stopwatch watch;
  Int4Factor factor;
  if (has_hessian) {
    progress.Report(0, "factor");
    QTIPD_ASSIGN_OR_RETURN(factor, FactorInt4Hessian(pool, progress, problem.hessian, in,
                                                     problem.options.GetDouble("damping")));
    report.step_seconds.emplace_back("factor", watch.Lap());
  }
  progress.Report(kEncodeFrom, "encode");
  const Int4Spec spec = Int4SpecOf(problem.options, in);
  Int4Result result = EmptyResult(spec, problem.shape);
  const Int4Encoder encoder = Int4EncoderOf(problem.options, has_hessian);
  const Int4StripProblem strips = {.progress = &progress,
                                   .shape = problem.shape,
                                   .spec = spec,
                                   .grid = {.is_symmetric = spec.is_symmetric,
                                            .searches_clip = Int4SearchesClip(problem.options),
                                            .scale_dtype = spec.scale_dtype,
                                            .least_zero = spec.zero_offset},
                                   .factor = has_hessian ? &factor : nullptr,
                                   .feeds_back = has_hessian && encoder == Int4Encoder::kGptq,
                                   .result = &result};
  QTIPD_ASSIGN_OR_RETURN(const Int4Energy energy,
                         EncodeStrips(pool, strips, problem.weights, progress));
  report.proxy_error = energy.weights > 0 ? energy.error / energy.weights : 0;
  PackedLayer layer = Pack(problem, spec, std::move(result));
  report.step_seconds.emplace_back("encode", watch.Lap());
  return layer;
}

uint64_t Int4CpuWorkspaceBytes(Shape shape, bool has_hessian, int threads) {
  const uint64_t factor = has_hessian ? Int4FactorBytes(shape.in_features) : 0;
  return factor + static_cast<uint64_t>(threads) * Int4StripEncoder::Bytes() + kFixedBytes;
}

}  // namespace qtipd
