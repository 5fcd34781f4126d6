// A path whose kernels take activations of one dtype, run on those of another.
#ifndef QTIPD_KERNELS_PATHS_CAST_ACTIVATIONS_H_
#define QTIPD_KERNELS_PATHS_CAST_ACTIVATIONS_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/status.h"
#include "kernels/paths/inner_multiply.h"
#include "kernels/paths/prepared_linear.h"

namespace qtipd {

// Converts x before the path and y after it, in steps of their own around its steps.
class CastPath final : public PreparedPath {
 public:
  // x and y of the path, in the dtype that it takes.
  struct Scratch {
    Buffer x;
    Buffer y;
    DType dtype;
  };

  // `outer_bytes` are those of x and y of `activations`.
  CastPath(Device& device, std::unique_ptr<PreparedPath> path, Scratch scratch, DType activations,
           uint64_t outer_bytes)
      : device_(device),
        path_(std::move(path)),
        scratch_(std::move(scratch)),
        activations_(activations),
        outer_bytes_(outer_bytes) {
    steps_.insert(steps_.end(), path_->steps().begin(), path_->steps().end());
    steps_.emplace_back("output_cast");
  }

  const std::vector<std::string>& steps() const override { return steps_; }
  int copies() const override { return path_->copies(); }
  absl::Status Run(int copy, const void* x, void* y, int first_step, int end_step) override {
    const int inner_steps = static_cast<int>(path_->steps().size());
    if (first_step <= 0 && end_step > 0) {
      QTIPD_RETURN_IF_ERROR(device_.Convert(scratch_.x.data(), scratch_.dtype, x, activations_,
                                            Elements(scratch_.x)));
    }
    const int first = std::max(first_step - 1, 0);
    const int end = std::min(end_step - 1, inner_steps);
    if (first < end) {
      QTIPD_RETURN_IF_ERROR(path_->Run(copy, scratch_.x.data(), scratch_.y.data(), first, end));
    }
    if (first_step > inner_steps + 1 || end_step <= inner_steps + 1) return absl::OkStatus();
    return device_.Convert(y, activations_, scratch_.y.data(), scratch_.dtype,
                           Elements(scratch_.y));
  }
  bool RepeatsPrevious(int step) const override {
    const bool is_inner = step > 0 && step <= static_cast<int>(path_->steps().size());
    return is_inner && path_->RepeatsPrevious(step - 1);
  }
  uint64_t bytes_per_run() const override {
    return path_->bytes_per_run() - CastBytes() + outer_bytes_;
  }
  uint64_t scratch_bytes() const override { return path_->scratch_bytes() + CastBytes(); }
  uint64_t weight_bytes() const override { return path_->weight_bytes(); }
  OperationCounts operations() const override { return Sum(path_->operations(), {{"launch", 2}}); }
  absl::StatusOr<std::unique_ptr<PhaseTracer>> PreparePhases(const void*, void*,
                                                             int slots) override {
    return path_->PreparePhases(scratch_.x.data(), scratch_.y.data(), slots);
  }
  std::map<std::string, std::string> notes() const override {
    std::map<std::string, std::string> notes = path_->notes();
    notes["activation_casts"] = std::string(DTypeName(activations_)) + " to " +
                                std::string(DTypeName(scratch_.dtype)) + " and back";
    return notes;
  }

 private:
  int64_t Elements(const Buffer& buffer) const {
    return static_cast<int64_t>(buffer.bytes() / DTypeSize(scratch_.dtype));
  }
  uint64_t CastBytes() const { return scratch_.x.bytes() + scratch_.y.bytes(); }

  Device& device_;
  std::unique_ptr<PreparedPath> path_;
  Scratch scratch_;
  const DType activations_;
  const uint64_t outer_bytes_;
  std::vector<std::string> steps_ = {"input_cast"};
};

// The dtype that the kernels of `weights` are run with for activations of `wanted`: that where they
// take it, else the one that they were loaded for.
inline DType KernelActivations(const ResidentWeights& weights, DType wanted) {
  return weights.takes_activations(wanted) ? wanted : weights.activation_dtype();
}

// `path`, which takes activations of `dtype`, for those of `problem`: itself where they are the
// same. Errors: ResourceExhausted/DEVICE_MEMORY_EXHAUSTED.
inline absl::StatusOr<std::unique_ptr<PreparedPath>> CastActivations(
    Device& device, std::unique_ptr<PreparedPath> path, DType dtype, Shape shape,
    const PathProblem& problem) {
  if (dtype == problem.activations) return path;
  const auto bytes = [&](int64_t features) { return problem.batch * features * DTypeSize(dtype); };
  QTIPD_ASSIGN_OR_RETURN(Buffer x, device.Allocate(bytes(shape.in_features)));
  QTIPD_ASSIGN_OR_RETURN(Buffer y, device.Allocate(bytes(shape.out_features)));
  return std::make_unique<CastPath>(
      device, std::move(path), CastPath::Scratch{std::move(x), std::move(y), dtype},
      problem.activations, ActivationBytes(problem.activations, shape, problem.batch));
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_PATHS_CAST_ACTIVATIONS_H_
