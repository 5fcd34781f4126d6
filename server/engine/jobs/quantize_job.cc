#include "server/engine/jobs/quantize_job.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/host_facts.h"
#include "server/engine/input/matrix_source.h"
#include "server/engine/jobs/memory_check.h"
#include "server/engine/jobs/quality.h"
#include "server/engine/jobs/recipe.h"
#include "server/engine/jobs/run_errors.h"

namespace qtipd {
namespace {

// Shares of the job's progress.
constexpr double kInputEnd = 0.05;
constexpr double kQuantizeEnd = 0.93;
constexpr double kQualityEnd = 0.98;

// Of other than normal weights also the distribution.
std::string DistributionText(const RandomSource& source, const std::string& before) {
  return source.distribution == Distribution::kNormal
             ? ""
             : before + std::string(DistributionName(source.distribution));
}

std::string RandomContent(const RandomSource& source) {
  return "random " + std::to_string(source.seed) + DistributionText(source, " ");
}

std::string SourceText(const QuantizeSpec& spec) {
  if (spec.random) {
    return "random seed=" + std::to_string(spec.random->seed) +
           DistributionText(*spec.random, " distribution=");
  }
  const TensorSource& source = *spec.tensor;
  std::string file = source.display_name;
  if (file.empty()) file = source.file.server_path.empty() ? "upload" : source.file.server_path;
  std::string text = "file " + file + " tensor=" + source.tensor;
  if (!source.hessian_tensor.empty()) text += " hessian=" + source.hessian_tensor;
  if (!source.hessian_name.empty()) text += " hessian=@" + source.hessian_name;
  return text;
}

absl::Status CheckTensorSource(const TensorSource& source, const JobContext& context) {
  if (source.tensor.empty()) {
    return InvalidField("TENSOR_MISSING", "tensor", "nothing", "the name of a tensor in the file");
  }
  QTIPD_RETURN_IF_ERROR(context.files.Resolve(source.file).status());
  if (!source.hessian_name.empty()) {
    if (!source.hessian_tensor.empty()) {
      return InvalidField("SOURCE_INVALID", "hessian_name", "beside a hessian_tensor",
                          "one of the two");
    }
    QTIPD_RETURN_IF_ERROR(context.hessians.Get(source.hessian_name).status());
  }
  const FileSource& hessian = source.hessian_file;
  if (hessian.upload_id.empty() && hessian.server_path.empty()) return absl::OkStatus();
  if (source.hessian_tensor.empty()) {
    return InvalidField("TENSOR_MISSING", "hessian_tensor", "nothing",
                        "the name of a tensor in hessian_file");
  }
  return context.files.Resolve(hessian).status();
}

// The matrices of one job, and what identifies them.
struct Input {
  Shape shape;
  std::optional<SourceTensors> tensors;  // unless random
  std::string content;
  bool has_hessian = false;
};

absl::StatusOr<Input> OpenInput(const QuantizeSpec& spec, const JobContext& context,
                                const Progress& progress) {
  Input input;
  if (spec.random) {
    input.shape = spec.random->shape;
    input.content = RandomContent(*spec.random);
    return input;
  }
  QTIPD_ASSIGN_OR_RETURN(input.tensors, OpenSource(context.files, context.hessians, *spec.tensor));
  input.shape = input.tensors->shape;
  input.has_hessian = input.tensors->has_hessian;
  QTIPD_ASSIGN_OR_RETURN(input.content, ContentSha256(*input.tensors, progress));
  return input;
}

// The artefact to make, as far as the request tells.
ArtifactRecord DescribeWanted(const QuantizeSpec& spec, const Options& options, Shape shape,
                              const std::string& content) {
  return {.name = spec.name,
          .format = spec.format,
          .options = options,
          .shape = shape,
          .source = SourceText(spec),
          .recipe_sha256 = QuantizeRecipe(spec, options, shape, content),
          .seed = spec.seed};
}

absl::Status CheckMemory(const WeightFormat& format, const Options& options, const Input& input,
                         DeviceLease& lease) {
  const DeviceInfo& device = lease.device.info();
  const QuantizeMemory memory =
      EstimateQuantize(format, options, input.shape, input.has_hessian, device);
  uint64_t host_bytes = ReadHostMemory().available_bytes;
  // Where the device is the host, resident layers take the same memory.
  if (device.is_synchronous && host_bytes < memory.host_bytes &&
      lease.residents.ReleaseUnpinned()) {
    host_bytes = ReadHostMemory().available_bytes;
  }
  QTIPD_RETURN_IF_ERROR(CheckFits(input.shape, "host", memory.host_bytes, host_bytes));
  if (memory.device_bytes == 0) return absl::OkStatus();
  QTIPD_ASSIGN_OR_RETURN(DeviceMemory available, lease.device.Memory());
  if (available.free_bytes < memory.device_bytes && lease.residents.ReleaseUnpinned()) {
    QTIPD_ASSIGN_OR_RETURN(available, lease.device.Memory());
  }
  return CheckFits(input.shape, device.id, memory.device_bytes, available.free_bytes);
}

struct Matrices {
  FloatArray weights;
  FloatArray hessian;
};

absl::StatusOr<Matrices> ReadMatrices(const QuantizeSpec& spec, const Input& input,
                                      const Progress& progress) {
  Matrices matrices;
  if (spec.random) {
    QTIPD_ASSIGN_OR_RETURN(matrices.weights, RandomWeights(*spec.random, progress));
    return matrices;
  }
  const TensorSource& source = *spec.tensor;
  QTIPD_ASSIGN_OR_RETURN(matrices.weights, ReadWeights(*input.tensors, source.tensor, progress));
  QTIPD_ASSIGN_OR_RETURN(
      matrices.hessian,
      ReadHessian(*input.tensors,
                  source.hessian_name.empty() ? source.hessian_tensor : source.hessian_name,
                  progress));
  return matrices;
}

// Quantizes, and gives W and H back; fills the parts of `record` that follow from that.
absl::StatusOr<PackedLayer> QuantizeMatrices(const QuantizeSpec& spec, const Options& options,
                                             Shape shape, Matrices matrices,
                                             const FormatBackend& backend, Clock& clock,
                                             DeviceLease& lease, Progress& progress,
                                             ArtifactRecord& record) {
  const QuantizeProblem problem{.shape = shape,
                                .weights = matrices.weights.span(),
                                .hessian = matrices.hessian.span(),
                                .options = options,
                                .seed = spec.seed};
  PartialProgress quantizing(progress, kInputEnd, kQuantizeEnd);
  QuantizeReport report;
  const double start = clock.MonotonicSeconds();
  QTIPD_ASSIGN_OR_RETURN(PackedLayer layer,
                         backend.Quantize(lease.device, problem, quantizing, report));
  record.quantize_seconds = clock.MonotonicSeconds() - start;
  record.quantize_step_seconds = report.step_seconds;
  record.scale_trials = report.scale_trials;
  record.quality = Quality{.proxy_error = report.proxy_error};
  return layer;
}

// Loads the layer and compares it with W, which is read again: quantizing worked in its memory.
absl::StatusOr<std::unique_ptr<ResidentWeights>> LoadAndMeasure(
    const QuantizeSpec& spec, const Input& input, const PackedLayer& layer,
    const FormatBackend& backend, DeviceLease& lease, Progress& progress, ArtifactRecord& record) {
  QTIPD_ASSIGN_OR_RETURN(auto resident, backend.Load(lease.device, layer));
  PartialProgress measuring(progress, kQuantizeEnd, kQualityEnd);
  const auto read_weights = [&](int64_t first, std::span<float> values) {
    if (spec.random) {
      RandomWeightsAgain(*spec.random, first, values);
    } else {
      ReadWeightsAgain(*input.tensors, first, values);
    }
  };
  QTIPD_ASSIGN_OR_RETURN(Quality quality,
                         MeasureQuality(lease.device, *resident, read_weights, measuring));
  quality.proxy_error = record.quality->proxy_error;
  record.quality = quality;
  return resident;
}

// A format knows a Hessian as such; the user knows the tensor or the name that it came by.
absl::Status WithHessianName(const absl::Status& status, const QuantizeSpec& spec) {
  if (!spec.tensor || !GetErrorInfo(status).reason.starts_with("HESSIAN_")) return status;
  const TensorSource& source = *spec.tensor;
  return PrefixField(status, source.hessian_name.empty() ? source.hessian_tensor + " as "
                                                         : "@" + source.hessian_name + " as ");
}

}  // namespace

absl::Status CheckQuantize(const QuantizeSpec& spec, const JobContext& context) {
  QTIPD_RETURN_IF_ERROR(CheckArtifactName(spec.name));
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format, context.registry.FindFormat(spec.format));
  QTIPD_ASSIGN_OR_RETURN(const Options options, CheckOptions(format->schema(), spec.options));
  if (spec.random.has_value() == spec.tensor.has_value()) {
    return InvalidField("SOURCE_INVALID", "source", spec.random ? "both" : "neither",
                        "exactly one of random and tensor");
  }
  ArtifactRecord wanted{.name = spec.name};
  if (spec.random) {
    const Shape shape = spec.random->shape;
    QTIPD_RETURN_IF_ERROR(CheckAddressable(shape));
    QTIPD_RETURN_IF_ERROR(format->CheckShape(options, shape));
    const uint64_t bytes = sizeof(float) * static_cast<uint64_t>(shape.out_features) *
                           static_cast<uint64_t>(shape.in_features);
    QTIPD_RETURN_IF_ERROR(CheckFits(shape, "host", bytes, ReadHostMemory().available_bytes));
    wanted = DescribeWanted(spec, options, shape, RandomContent(*spec.random));
  } else {
    QTIPD_RETURN_IF_ERROR(CheckTensorSource(*spec.tensor, context));
  }
  return context.artifacts.CheckNewName(wanted, spec.if_absent).status();
}

absl::StatusOr<std::string> RunQuantize(const QuantizeSpec& spec, const JobContext& context,
                                        DeviceLease& lease, Progress& progress) {
  progress.Report(0, "input");
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format, context.registry.FindFormat(spec.format));
  QTIPD_ASSIGN_OR_RETURN(const FormatBackend* backend,
                         context.registry.FindBackend(spec.format, lease.device.info().backend));
  QTIPD_ASSIGN_OR_RETURN(Options options, CheckOptions(format->schema(), spec.options));
  QTIPD_ASSIGN_OR_RETURN(const Input input, OpenInput(spec, context, progress));
  QTIPD_RETURN_IF_ERROR(CheckAddressable(input.shape));
  QTIPD_RETURN_IF_ERROR(format->CheckShape(options, input.shape));

  ArtifactRecord record = DescribeWanted(spec, options, input.shape, input.content);
  QTIPD_ASSIGN_OR_RETURN(const std::optional<ArtifactRecord> existing,
                         context.artifacts.CheckNewName(record, spec.if_absent));
  if (existing) return existing->name;

  QTIPD_RETURN_IF_ERROR(CheckMemory(*format, options, input, lease));
  QTIPD_ASSIGN_OR_RETURN(Matrices matrices, ReadMatrices(spec, input, progress));
  absl::StatusOr<PackedLayer> made =
      QuantizeMatrices(spec, options, input.shape, std::move(matrices), *backend, context.clock,
                       lease, progress, record);
  if (!made.ok()) return WithHessianName(made.status(), spec);
  const PackedLayer layer = *std::move(made);
  QTIPD_ASSIGN_OR_RETURN(auto resident,
                         LoadAndMeasure(spec, input, layer, *backend, lease, progress, record));
  progress.Report(kQualityEnd, "store");
  record.quantized_on = lease.device.info().name;
  record.create_time = context.clock.NowUnixMillis();
  QTIPD_ASSIGN_OR_RETURN(record, context.artifacts.Save(layer, std::move(record), progress));
  lease.residents.Put(record.sha256, record.format, std::move(resident), false);
  return record.name;
}

}  // namespace qtipd
