// The scratch vectors u and z of a resident layer, and running a range of steps of "input
// transforms, middle steps, output transforms".
#ifndef QTIPD_KERNELS_PATHS_LINEAR_SCRATCH_H_
#define QTIPD_KERNELS_PATHS_LINEAR_SCRATCH_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/status.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Scratch and step bookkeeping for one layer and batch. A format without input (output) transforms
// has no u (z): the middle steps read x (write y).
class LinearScratch {
 public:
  // Errors: ResourceExhausted/DEVICE_MEMORY_EXHAUSTED.
  static absl::StatusOr<LinearScratch> Create(Device& device, const ResidentWeights& weights,
                                              int64_t batch, std::vector<std::string> middle) {
    LinearScratch scratch;
    scratch.batch_ = batch;
    scratch.input_steps_ = static_cast<int>(weights.input_steps().size());
    scratch.middle_steps_ = static_cast<int>(middle.size());
    scratch.steps_ = weights.input_steps();
    scratch.steps_.insert(scratch.steps_.end(), middle.begin(), middle.end());
    const std::vector<std::string> output = weights.output_steps();
    scratch.steps_.insert(scratch.steps_.end(), output.begin(), output.end());
    const Shape shape = weights.shape();
    if (scratch.input_steps_ > 0) {
      const size_t element = DTypeSize(device.info().compute_dtype);
      QTIPD_ASSIGN_OR_RETURN(scratch.u_, device.Allocate(batch * shape.in_features * element));
    }
    if (!output.empty()) {
      const size_t element = DTypeSize(weights.inner_dtype());
      QTIPD_ASSIGN_OR_RETURN(scratch.z_, device.Allocate(batch * shape.out_features * element));
    }
    return scratch;
  }

  const std::vector<std::string>& steps() const { return steps_; }
  // As PreparedPath::RepeatsPrevious.
  bool RepeatsPrevious(int step) const {
    return (step > 0 && step < input_steps_) || step > input_steps_ + middle_steps_;
  }

  // What the middle steps read and write.
  const void* u(const void* x) const { return input_steps_ > 0 ? u_.data() : x; }
  void* z(void* y) const { return z_.data() != nullptr ? z_.data() : y; }
  // The vectors themselves, null where a format has no transforms on their side.
  void* own_u() const { return u_.data(); }
  void* own_z() const { return z_.data(); }

  // Runs [first_step, end_step). middle(index, u, z) runs one of the middle steps. The transforms
  // of one side can only be run as a prefix, so a range that begins inside a side runs it from its
  // first step; a step's own cost is the difference of two ranges.
  template <typename Middle>
  absl::Status Run(ResidentWeights& weights, const void* x, void* y, int first_step, int end_step,
                   const Middle& middle) {
    const int middle_end = input_steps_ + middle_steps_;
    const void* u = this->u(x);
    void* z = this->z(y);
    if (const int end = std::min(end_step, input_steps_); first_step < end) {
      QTIPD_RETURN_IF_ERROR(weights.InputTransform(batch_, x, u_.data(), end));
    }
    for (int step = std::max(first_step, input_steps_); step < std::min(end_step, middle_end);
         ++step) {
      QTIPD_RETURN_IF_ERROR(middle(step - input_steps_, u, z));
    }
    if (end_step > std::max(first_step, middle_end)) {
      QTIPD_RETURN_IF_ERROR(weights.OutputTransform(batch_, z, y, end_step - middle_end));
    }
    return absl::OkStatus();
  }

 private:
  int64_t batch_ = 0;
  int input_steps_ = 0;
  int middle_steps_ = 0;
  std::vector<std::string> steps_;
  Buffer u_;
  Buffer z_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_PATHS_LINEAR_SCRATCH_H_
