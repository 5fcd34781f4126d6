// The seam for weight formats. A format is one folder in kernels/formats/: one WeightFormat that
// knows bytes and options but no device, and one FormatBackend for each backend it runs on.
#ifndef QTIPD_KERNELS_API_WEIGHT_FORMAT_H_
#define QTIPD_KERNELS_API_WEIGHT_FORMAT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/dtype.h"
#include "kernels/api/host_tensor.h"
#include "kernels/api/model_checkpoint.h"
#include "kernels/api/options.h"

namespace qtipd {

// W is [out_features, in_features]; y = W x.
struct Shape {
  int64_t out_features = 0;
  int64_t in_features = 0;
  friend bool operator==(const Shape&, const Shape&) = default;
};

// One quantized linear layer in host memory: exactly what an artefact file stores.
struct PackedLayer {
  std::string format;
  Options options;
  Shape shape;
  TensorMap tensors;
};

// Receives progress of long work and tells when to stop. Implementations are thread-safe.
class Progress {
 public:
  virtual ~Progress() = default;
  // `fraction` of the whole in [0, 1]; `stage` names the step, for example "viterbi".
  virtual void Report(double fraction, std::string_view stage) = 0;
  // Once true, the work returns absl::CancelledError within a fraction of a second.
  virtual bool IsCancelled() const = 0;
};

// Of work that nobody follows or ends.
class NoProgress final : public Progress {
 public:
  void Report(double, std::string_view) override {}
  bool IsCancelled() const override { return false; }
};

// Input of Quantize. All host memory, owned by the caller, which Quantize works in: what W and H
// hold afterwards means nothing, so that neither is ever there twice.
struct QuantizeProblem {
  Shape shape;
  std::span<float> weights;  // [out_features, in_features], finite (checked by the caller)
  std::span<float> hessian;  // [in_features, in_features] symmetric, or empty: the identity
  Options options;
  uint64_t seed = 0;  // random sign vectors
};

// A scale that quantizing tried before it chose one.
struct ScaleTrial {
  double scale = 0;
  double error = 0;  // proxy error of a sample of the rows
};

// What quantizing measured about itself. Errors of the packed result against W are computed by the
// engine from the decoded artefact, not here.
struct QuantizeReport {
  // tr(E H E^T) / tr(W H W^T) with the regularised H, in the format's own basis.
  double proxy_error = 0;
  // Seconds by step, in order, for example preprocess, block_ldl, viterbi, postprocess.
  std::vector<std::pair<std::string, double>> step_seconds;
  // Where the format was asked to find a scale: those it tried, the fixed default first.
  std::vector<ScaleTrial> scale_trials;
};

// Amounts of work by kind: the kinds of DeviceCeiling::rates, and "launch", a number of kernels.
using OperationCounts = std::map<std::string, double>;

// Where the time of one run of a fused kernel went.
struct PhaseTimes {
  double kernel_seconds = 0;  // from the first block's begin to the last block's end
  // Seconds by phase, means over the blocks, in order: those of WeightFormat::fused_phases(), from
  // time stamps inside the blocks; and "launch_skew", the rest of kernel_seconds, which is how far
  // blocks lie apart: what a block waited on average for its own begin after the first block's, and
  // for the last block's end after its own.
  std::vector<std::pair<std::string, double>> phases;
};

// The builds of one fused kernel that together tell where its time goes. Lives on the device's
// thread; what it was prepared from outlives it.
class PhaseTracer {
 public:
  enum class Build {
    kShipped,  // the kernel of Multiply
    kTraced,   // the same source with time stamps
    kHollow,   // time stamps alone, in the same grid, block and shared memory: what a launch costs
  };
  virtual ~PhaseTracer() = default;
  // Enqueues one run on weight copy `copy`, which begins once everything before it has ended. Where
  // the build has time stamps, they go to `slot`, from 0 to below the number prepared.
  virtual absl::Status Enqueue(Build build, int slot, int copy) = 0;
  // What the last runs with time stamps told, slot by slot; blocks. Of a hollow run
  // only kernel_seconds says something.
  virtual absl::StatusOr<std::vector<PhaseTimes>> Read() = 0;
};

// A layer resident on a device, in one or more identical copies of everything that a multiply reads
// per weight, so that timing can rotate over them. Enqueue methods run on the device's queue and
// return; buffers must outlive the work. `copy` is in [0, copies()).
//
// The whole linear is:  u = InputTransform(x);  z = Multiply(u);  y = OutputTransform(z).
// A format without transforms has empty step lists, u is x and z is y.
//   x, y  [batch, in_features], [batch, out_features], activation_dtype()
//   u     [batch, in_features], device compute dtype; x where it is x
//   z     [batch, out_features], inner_dtype()
class ResidentWeights {
 public:
  virtual ~ResidentWeights() = default;
  virtual Shape shape() const = 0;
  virtual int copies() const = 0;
  // Device memory held, all copies.
  virtual uint64_t device_bytes() const = 0;
  // Bytes of compressed weights, scales and codebooks that one Multiply must read.
  virtual uint64_t multiply_bytes() const = 0;
  // Bytes of the factors (signs, scales) that the transforms of one vector read, as fp32.
  virtual uint64_t transform_bytes() const { return 0; }
  virtual int64_t max_fused_batch() const = 0;
  virtual DType inner_dtype() const = 0;
  // Of x and y. A layer that FormatBackend::Load made has the device's compute dtype.
  virtual DType activation_dtype() const = 0;
  // Whether a replica can be made for activations of `dtype`: always true of activation_dtype().
  virtual bool takes_activations(DType dtype) const { return dtype == activation_dtype(); }

  // Names of the transform steps, in order; frozen, they appear in results.
  virtual std::vector<std::string> input_steps() const = 0;  // e.g. {"input_rotation"}
  virtual std::vector<std::string> output_steps()
      const = 0;  // e.g. {"output_rotation", "output_scale"}
  // Runs the first `step_count` steps (1 to the number of steps). The result is complete only with
  // all steps; fewer exist so that a step's cost is the difference of two graphs.
  virtual absl::Status InputTransform(int64_t batch, const void* x, void* u, int step_count) = 0;
  virtual absl::Status OutputTransform(int64_t batch, void* z, void* y, int step_count) = 0;

  // Decodes and multiplies in one kernel, z = W_inner u, without materialising W. Errors:
  // Unimplemented if batch > max_fused_batch().
  virtual absl::Status Multiply(int copy, int64_t batch, const void* u, void* z) = 0;
  // The whole linear y = W x: the transforms around Multiply, all their steps; a format may do it
  // in fewer kernels. `u` and `z` are scratch, not used where the format has no transforms on their
  // side. Errors: as Multiply.
  virtual absl::Status Linear(int copy, int64_t batch, const void* x, void* u, void* z, void* y);
  // Multiply with activations rounded to 16-bit fixed point, one unit for each vector; tables of
  // weights may be rounded so as well. Relative L2 error up to 1e-4. For batches of at most
  // max_rounded_batch(): 0 where a format has no such kernel on a device. Errors: Unimplemented.
  virtual int64_t max_rounded_batch() const { return 0; }
  virtual absl::Status MultiplyRounded(int copy, int64_t batch, const void* u, void* z);
  // Decodes the whole inner matrix W_inner [out, in] to `w`, device compute dtype.
  virtual absl::Status Decode(int copy, void* w) = 0;
  // Whether all inner weights are numbers of the compute dtype, so that Decode does not round them.
  virtual bool decodes_exactly() const { return true; }
  // Decodes the layer's weights in the original basis, W_hat [out, in], to `w` of `dtype` (F32 or
  // the compute dtype). May allocate and block; never timed. Errors: Cancelled.
  virtual absl::Status DecodeOriginal(void* w, DType dtype, const Progress& progress) = 0;

  // What one call of a method above does beyond moving bytes, for the roofline. Lower bounds: what
  // is not known is left out.
  virtual OperationCounts multiply_operations(int64_t /*batch*/) const { return {}; }
  // How Multiply of a batch is laid over the device, for the record: "grid 132, ..."; empty where
  // there is nothing to choose.
  virtual std::string multiply_configuration(int64_t /*batch*/) const { return {}; }
  virtual OperationCounts decode_operations() const { return {}; }
  virtual OperationCounts transform_operations(int64_t /*batch*/) const { return {}; }  // all steps

  // Prepares to run Multiply with time stamps, with room for `slots` runs; z is overwritten by
  // each. Never part of a latency. Errors: Unimplemented/PHASES_UNSUPPORTED where there is no such
  // build; ResourceExhausted/DEVICE_MEMORY_EXHAUSTED.
  virtual absl::StatusOr<std::unique_ptr<PhaseTracer>> PreparePhases(int64_t batch, const void* u,
                                                                     void* z, int slots);

  // A second resident layer with `copies` copies of the same weights on the same device, whose x
  // and y are of `activations`; of activation_dtype() where none is given.
  // Errors: Unimplemented/ACTIVATION_DTYPE_UNSUPPORTED unless takes_activations(activations);
  // ResourceExhausted/DEVICE_MEMORY_EXHAUSTED.
  absl::StatusOr<std::unique_ptr<ResidentWeights>> Replicate(int copies, DType activations) const;
  absl::StatusOr<std::unique_ptr<ResidentWeights>> Replicate(int copies) const {
    return MakeReplica(copies, activation_dtype());
  }

 private:
  // `activations` is one that the layer takes.
  virtual absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int copies,
                                                                       DType activations) const = 0;
};

// Device-independent half of a format. Stateless and thread-safe.
class WeightFormat {
 public:
  virtual ~WeightFormat() = default;
  virtual std::string_view id() const = 0;
  virtual std::string_view summary() const = 0;  // one line for ListFormats
  virtual const OptionSchema& schema() const = 0;

  // Errors: InvalidArgument/SHAPE_UNSUPPORTED naming the nearest shape that works.
  virtual absl::Status CheckShape(const Options& options, Shape shape) const = 0;
  // Exact bytes of the packed tensors.
  virtual uint64_t PackedBytes(const Options& options, Shape shape) const = 0;
  // Upper bounds of memory that quantizing takes beyond W and H on the host, the result included,
  // and on the device (0 where the backend is the CPU, whose memory is the host's).
  struct Workspace {
    uint64_t host_bytes = 0;
    uint64_t device_bytes = 0;
  };
  virtual Workspace QuantizeWorkspace(const Options& options, Shape shape, bool has_hessian,
                                      std::string_view backend) const = 0;

  // Whether `tensors` (names without the layer's prefix) look like one layer of this format.
  virtual bool Recognises(const TensorMap& tensors) const = 0;
  // Checks a checkpoint layer and takes it over as it is. `given` are the options that the user
  // stated; the rest is read off the tensors.
  virtual absl::StatusOr<PackedLayer> Import(
      const TensorMap& tensors, const std::map<std::string, OptionValue>& given) const = 0;
  // The checkpoint tensors of a layer. For a format whose artefact is a checkpoint layer, the same.
  virtual absl::StatusOr<TensorMap> Export(const PackedLayer& layer) const = 0;

  // Whole models; a format without checkpoints of them keeps the defaults, which know none.
  // Whether `config`, the text of a config.json, says that its model is of this format.
  virtual bool RecognisesModel(const std::string& config) const;
  // Finds the quantized linears and checks the config against all names, dtypes and shapes; of the
  // tensors' data no more than scalars are read.
  // Errors: MODEL_CONFIG_INVALID, MODEL_CONFIG_CONTRADICTS, MODEL_LAYER_UNQUANTIZED, and those of
  // Import, all naming the key or the tensor.
  virtual absl::StatusOr<ModelPlan> PlanModel(const ModelCheckpoint& checkpoint) const;
  // The text of a config.json for `layers` (by prefix, their final dots included; not empty): that
  // of `config`, with which the model was imported, or of none if it is empty, with what the format
  // has there made anew. Errors: FailedPrecondition/MODEL_NOT_UNIFORM where no config can tell all.
  virtual absl::StatusOr<std::string> ModelConfig(
      const std::string& config, const std::map<std::string, PackedLayer>& layers) const;

  // Checks what the artefact store reads back from its own file.
  virtual absl::Status Validate(const PackedLayer& layer) const = 0;

  // Slow and obvious, in double precision: the reference for every kernel.
  // W_hat in the original basis, [out, in] row-major, computed in double, rounded once to fp32.
  virtual absl::StatusOr<std::vector<float>> ReferenceWeights(const PackedLayer& layer) const = 0;
  // y[batch, out] = W_hat x for x[batch, in].
  virtual absl::StatusOr<std::vector<double>> ReferenceMultiply(const PackedLayer& layer,
                                                                std::span<const float> x,
                                                                int64_t batch) const = 0;
  // Names of the phases inside the fused kernel, in order: codebook (until a block has its lookup
  // table), loop (decode and multiply), reduce (adding up what the warps of a block have).
  virtual std::vector<std::string> fused_phases() const = 0;
};

// One format on one backend. Stateless; called on the device's executor thread.
class FormatBackend {
 public:
  virtual ~FormatBackend() = default;
  virtual std::string_view format_id() const = 0;
  virtual std::string_view backend_id() const = 0;
  // Quantizes on `device`. Deterministic for a problem on a backend.
  // Errors: InvalidArgument/HESSIAN_NOT_POSITIVE_DEFINITE, ResourceExhausted, Cancelled.
  virtual absl::StatusOr<PackedLayer> Quantize(Device& device, const QuantizeProblem& problem,
                                               Progress& progress,
                                               QuantizeReport& report) const = 0;
  // Upper bound of device memory that Load needs, per copy.
  virtual uint64_t LoadBytes(const PackedLayer& layer) const = 0;
  virtual absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device& device,
                                                                const PackedLayer& layer) const = 0;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_WEIGHT_FORMAT_H_
