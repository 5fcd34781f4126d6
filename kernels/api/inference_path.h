// The seam for inference paths. A path is one file in kernels/paths/ whose stem is its id: one way
// to compute y = W x from a resident layer, and what a benchmark times.
#ifndef QTIPD_KERNELS_API_INFERENCE_PATH_H_
#define QTIPD_KERNELS_API_INFERENCE_PATH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// A path ready to run on one layer and batch; owns its weight copies and scratch memory.
// Lives on the device's executor thread.
class PreparedPath {
 public:
  virtual ~PreparedPath() = default;
  // Names of the steps in order, e.g. input_rotation, fused_decode, output_rotation, output_scale.
  virtual const std::vector<std::string>& steps() const = 0;
  virtual int copies() const = 0;

  // Enqueues steps [first_step, end_step) of y = W x on weight copy `copy`. Steps before
  // `first_step` must have run once before, so that their outputs exist.
  //   x [batch, in_features], y [batch, out_features], of PathProblem::activations, y overwritten.
  virtual absl::Status Run(int copy, const void* x, void* y, int first_step, int end_step) = 0;

  // Whether running `step` alone also runs the step before it, because the format cannot do
  // without: its own cost is then the difference of the two.
  virtual bool RepeatsPrevious(int /*step*/) const { return false; }
  // Bytes that one run must move from and to memory: weights as stored for this path, x and y.
  virtual uint64_t bytes_per_run() const = 0;
  // Bytes that one run writes to scratch memory and reads again, beyond those above: only what the
  // caches do not hold of them goes to memory and back.
  virtual uint64_t scratch_bytes() const { return 0; }
  // Bytes of weights that this path keeps resident per copy: the compressed layer, or dense W_hat.
  virtual uint64_t weight_bytes() const = 0;
  // What one run does beyond moving bytes; see ResidentWeights.
  virtual OperationCounts operations() const { return {}; }
  // Prepares to run the fused kernel of this path with time stamps, on what the last Run left.
  // Otherwise as ResidentWeights::PreparePhases; Unimplemented where the path has no such kernel.
  virtual absl::StatusOr<std::unique_ptr<PhaseTracer>> PreparePhases(const void* x, void* y,
                                                                     int slots);
  // Facts for the record, for example which dense routine was chosen.
  virtual std::map<std::string, std::string> notes() const { return {}; }
};

// What a path is prepared for.
struct PathProblem {
  int64_t batch = 1;
  int copies = 1;                   // of the weights, to rotate over
  DType activations = DType::kF32;  // of x and y: F16, BF16 or F32
};

class InferencePath {
 public:
  virtual ~InferencePath() = default;
  virtual std::string_view id() const = 0;
  virtual std::string_view summary() const = 0;
  // Relative L2 error of y that the path adds by design, beside that of arithmetic in the output's
  // type. A path that adds any runs only where it is asked for by name.
  virtual double designed_error() const { return 0; }
  // Weight bytes of one copy, so that the caller can choose the number of copies beforehand; the
  // same for all activations.
  virtual uint64_t WeightBytesPerCopy(const ResidentWeights& weights,
                                      const Device& device) const = 0;
  // Where nothing on the device takes x and y as they are, the path converts them to the compute
  // dtype and back, in steps of their own, input_cast and output_cast.
  // Errors: Unimplemented/BATCH_UNSUPPORTED, ResourceExhausted/DEVICE_MEMORY_EXHAUSTED.
  virtual absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(
      Device& device, ResidentWeights& weights, const PathProblem& problem) const = 0;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_INFERENCE_PATH_H_
