// What the paths over a format's own basis share: y = W x as "input transforms, inner multiply,
// output transforms".
#ifndef QTIPD_KERNELS_PATHS_PREPARED_LINEAR_H_
#define QTIPD_KERNELS_PATHS_PREPARED_LINEAR_H_

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
#include "kernels/api/weight_format.h"
#include "kernels/paths/inner_multiply.h"
#include "kernels/paths/linear_scratch.h"

namespace qtipd {

// Bytes of x and y together, which every path moves.
inline uint64_t ActivationBytes(DType dtype, Shape shape, int64_t batch) {
  return static_cast<uint64_t>(batch * (shape.out_features + shape.in_features)) * DTypeSize(dtype);
}

class PreparedLinear final : public PreparedPath {
 public:
  // Of `weights`, which are this path's own copies.
  static absl::StatusOr<std::unique_ptr<PreparedPath>> Create(
      Device& device, std::unique_ptr<ResidentWeights> weights,
      std::unique_ptr<InnerMultiply> multiply, std::map<std::string, std::string> notes = {}) {
    const int64_t batch = multiply->batch();
    QTIPD_ASSIGN_OR_RETURN(LinearScratch scratch,
                           LinearScratch::Create(device, *weights, batch, multiply->steps()));
    const uint64_t activation_bytes =
        ActivationBytes(weights->activation_dtype(), weights->shape(), batch);
    notes.merge(multiply->notes(*weights));
    return std::make_unique<PreparedLinear>(std::move(weights), std::move(multiply),
                                            std::move(scratch), activation_bytes, std::move(notes));
  }

  PreparedLinear(std::unique_ptr<ResidentWeights> weights, std::unique_ptr<InnerMultiply> multiply,
                 LinearScratch scratch, uint64_t activation_bytes,
                 std::map<std::string, std::string> notes)
      : weights_(std::move(weights)),
        multiply_(std::move(multiply)),
        scratch_(std::move(scratch)),
        activation_bytes_(activation_bytes),
        notes_(std::move(notes)) {}

  const std::vector<std::string>& steps() const override { return scratch_.steps(); }
  int copies() const override { return weights_->copies(); }
  absl::Status Run(int copy, const void* x, void* y, int first_step, int end_step) override {
    if (first_step == 0 && end_step == static_cast<int>(steps().size())) {
      QTIPD_ASSIGN_OR_RETURN(
          const bool is_done,
          multiply_->RunLinear(*weights_, copy, x, scratch_.own_u(), scratch_.own_z(), y));
      if (is_done) return absl::OkStatus();
    }
    return scratch_.Run(*weights_, x, y, first_step, end_step,
                        [&](int step, const void* u, void* z) {
                          return multiply_->Run(*weights_, copy, step, u, z);
                        });
  }
  bool RepeatsPrevious(int step) const override { return scratch_.RepeatsPrevious(step); }
  uint64_t bytes_per_run() const override { return weight_bytes() + activation_bytes_; }
  uint64_t scratch_bytes() const override { return multiply_->scratch_bytes(); }
  uint64_t weight_bytes() const override {
    return weights_->multiply_bytes() + weights_->transform_bytes();
  }
  OperationCounts operations() const override {
    return Sum(multiply_->operations(*weights_),
               weights_->transform_operations(multiply_->batch()));
  }
  absl::StatusOr<std::unique_ptr<PhaseTracer>> PreparePhases(const void* x, void* y,
                                                             int slots) override {
    if (!multiply_->has_phases()) return PreparedPath::PreparePhases(x, y, slots);
    return weights_->PreparePhases(multiply_->batch(), scratch_.u(x), scratch_.z(y), slots);
  }
  std::map<std::string, std::string> notes() const override { return notes_; }

 private:
  std::unique_ptr<ResidentWeights> weights_;
  std::unique_ptr<InnerMultiply> multiply_;
  LinearScratch scratch_;
  uint64_t activation_bytes_;
  std::map<std::string, std::string> notes_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_PATHS_PREPARED_LINEAR_H_
