#include "server/engine/jobs/calibrate_job.h"

#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/input/gram.h"

namespace qtipd {
namespace {

// Of a layer; the Hessian of as many takes 64 GiB.
constexpr int64_t kMostFeatures = int64_t{1} << 17;

std::string SourceText(const CalibrateSpec& spec) {
  std::string file = spec.display_name;
  if (file.empty()) file = spec.file.server_path.empty() ? "upload" : spec.file.server_path;
  return "file " + file + " tensor=" + spec.tensor;
}

absl::StatusOr<HostTensor> OpenActivations(const CalibrateSpec& spec, const JobContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const SafetensorsFile file,
                         context.files.Open(spec.file, spec.display_name));
  const std::string shown = spec.display_name.empty() ? "the file" : spec.display_name;
  QTIPD_ASSIGN_OR_RETURN(HostTensor tensor, FindTensor(file.tensors, spec.tensor, shown));
  const DType dtype = tensor.dtype();
  if (dtype != DType::kF16 && dtype != DType::kBF16 && dtype != DType::kF32) {
    return InvalidField("TENSOR_DTYPE_UNSUPPORTED", "dtype of tensor " + spec.tensor,
                        DTypeName(dtype), "F16, BF16, F32");
  }
  const std::vector<int64_t>& shape = tensor.shape();
  if (shape.size() == 2 && shape[0] >= 1 && shape[1] >= 1 && shape[1] <= kMostFeatures) {
    return tensor;
  }
  return InvalidField("TENSOR_SHAPE_UNSUPPORTED", "shape of tensor " + spec.tensor,
                      tensor.ShapeText(),
                      "[tokens, in_features] of at most " + std::to_string(kMostFeatures));
}

absl::Status CheckWidth(const std::string& tensor, int64_t width, const HessianRecord& record) {
  if (width == record.in_features) return absl::OkStatus();
  return InvalidField("HESSIAN_SHAPE", "shape of tensor " + tensor,
                      std::to_string(width) + " input features",
                      std::to_string(record.in_features) + ", as Hessian " + record.name + " has");
}

// Adds what was accumulated before to the rows that come, and their diagonal to `trace`.
class Accumulation {
 public:
  explicit Accumulation(HostTensor before) : before_(std::move(before)) {}

  std::span<const double> Add(std::span<const double> row) {
    row_.assign(row.begin(), row.end());
    if (!before_.bytes().empty()) {
      for (double& value : row_) {
        double earlier;  // the mapped bytes may be unaligned
        std::memcpy(&earlier, before_.bytes().data() + sizeof(double) * position_++,
                    sizeof(double));
        value += earlier;
      }
    }
    trace_ += row_.back();
    return row_;
  }
  double trace() const { return trace_; }

 private:
  const HostTensor before_;  // empty: nothing
  std::vector<double> row_;
  size_t position_ = 0;
  double trace_ = 0;
};

}  // namespace

absl::Status CheckCalibrate(const CalibrateSpec& spec, const JobContext& context) {
  if (spec.tensor.empty()) {
    return InvalidField("TENSOR_NAME_MISSING", "tensor", "nothing",
                        "the name of a tensor in the file");
  }
  if (spec.add) {
    QTIPD_RETURN_IF_ERROR(context.hessians.Get(spec.name).status());
  } else {
    QTIPD_RETURN_IF_ERROR(context.hessians.CheckNewName(spec.name));
  }
  return context.files.Resolve(spec.file).status();
}

absl::StatusOr<std::string> RunCalibrate(const CalibrateSpec& spec, const JobContext& context,
                                         Progress& progress) {
  progress.Report(0, "accumulate");
  QTIPD_ASSIGN_OR_RETURN(const HostTensor activations, OpenActivations(spec, context));
  HessianRecord record;
  HostTensor before;
  if (spec.add) {
    QTIPD_ASSIGN_OR_RETURN(HessianStore::Stored stored, context.hessians.Open(spec.name));
    record = std::move(stored.record);
    before = std::move(stored.sum);
    QTIPD_RETURN_IF_ERROR(CheckWidth(spec.tensor, activations.shape()[1], record));
  } else {
    record.name = spec.name;
    record.in_features = activations.shape()[1];
    record.create_time = context.clock.NowUnixMillis();
    QTIPD_RETURN_IF_ERROR(context.hessians.CheckNewName(spec.name));
  }
  const std::string replaced = record.sha256;  // empty for a new one
  record.tokens += activations.shape()[0];
  record.sources.push_back(SourceText(spec));
  record.update_time = context.clock.NowUnixMillis();
  Accumulation accumulation(std::move(before));
  QTIPD_RETURN_IF_ERROR(context.hessians.Save(
      record, replaced, [&](const HessianStore::RowSink& sink) -> absl::Status {
        QTIPD_RETURN_IF_ERROR(
            ComputeGram(activations, spec.tensor, {}, progress,
                        [&](std::span<const double> row) { return sink(accumulation.Add(row)); }));
        record.mean_diagonal =
            accumulation.trace() / static_cast<double>(record.in_features * record.tokens);
        return absl::OkStatus();
      }));
  return spec.name;
}

}  // namespace qtipd
