// The path `dense` at any shape, also those that no format quantizes, as a benchmark measures it:
//
//   dense_speed MODULE SHAPE...      dense_speed libqtipd_cuda.so 4096x4096 28672x8192
//
// Random weights, batch 1, mode rotate, the default stopping rule. Per shape: the median of dense,
// the routine that was chosen, and what every candidate took when they were compared.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/api/backend.h"
#include "kernels/api/builtin.h"
#include "kernels/api/dtype.h"
#include "kernels/api/random.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "server/engine/harness/measure.h"
#include "server/engine/harness/statistics.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {
namespace {

absl::Status NotHere() { return absl::UnimplementedError("dense weights alone"); }

// A layer that can only be decoded: random fp16 weights.
class RandomWeights final : public ResidentWeights {
 public:
  RandomWeights(Device& device, Shape shape) : device_(device), shape_(shape) {}
  Shape shape() const override { return shape_; }
  int copies() const override { return 1; }
  uint64_t device_bytes() const override { return 0; }
  uint64_t multiply_bytes() const override { return 0; }
  int64_t max_fused_batch() const override { return 0; }
  DType inner_dtype() const override { return DType::kF32; }
  DType activation_dtype() const override { return device_.info().compute_dtype; }
  std::vector<std::string> input_steps() const override { return {}; }
  std::vector<std::string> output_steps() const override { return {}; }
  absl::Status InputTransform(int64_t, const void*, void*, int) override { return NotHere(); }
  absl::Status OutputTransform(int64_t, void*, void*, int) override { return NotHere(); }
  absl::Status Multiply(int, int64_t, const void*, void*) override { return NotHere(); }
  absl::Status Decode(int, void*) override { return NotHere(); }
  absl::Status DecodeOriginal(void* w, DType dtype, const Progress&) override {
    const auto count = static_cast<size_t>(shape_.out_features * shape_.in_features);
    std::vector<float> values(count);
    FillNormal(1, RandomStream::kTest, 0, values);
    const std::vector<std::byte> elements = EncodeFloats(values, dtype);
    return device_.CopyToDevice(w, elements.data(), elements.size());
  }

 private:
  absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int, DType) const override {
    return NotHere();
  }

  Device& device_;
  const Shape shape_;
};

absl::StatusOr<Measurement> MeasureDense(Device& device, PreparedPath& path, const SpreadBuffer& x,
                                         const SpreadBuffer& y) {
  const StepRange range{.path = &path, .places = PairPlaces(x, y), .first_step = 0, .end_step = 1};
  QTIPD_ASSIGN_OR_RETURN(const auto sampler, MakeSampler(CacheMode::kRotate, device, range));
  Clock& clock = SystemClock();
  QTIPD_RETURN_IF_ERROR(WarmUp(*sampler, clock, kWarmUpSeconds).status());
  const auto monitor = MakeSilentMonitor();
  ConditionsWatch watch(*monitor, clock);
  watch.Begin();
  const auto rule = MakeStoppingRule(BenchmarkSpec(), sampler->runs_per_sample());
  return Measure({.sampler = *sampler,
                  .rule = *rule,
                  .watch = watch,
                  .clock = clock,
                  .is_cancelled = [] { return false; },
                  .progress = [](double) {}});
}

absl::Status Run(Device& device, const Registry& registry, Shape shape) {
  RandomWeights weights(device, shape);
  QTIPD_ASSIGN_OR_RETURN(const InferencePath* dense, registry.FindPath("dense"));
  QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, device.Memory());
  const CopyPlan plan = PlanCopies(CacheMode::kRotate, dense->WeightBytesPerCopy(weights, device),
                                   device.info(), memory.free_bytes);
  QTIPD_ASSIGN_OR_RETURN(
      const auto path,
      dense->Prepare(device, weights,
                     {.copies = plan.copies, .activations = weights.activation_dtype()}));
  std::vector<float> activations(static_cast<size_t>(shape.in_features));
  FillNormal(1, RandomStream::kActivations, 0, activations);
  const auto elements = EncodeFloats(activations, device.info().compute_dtype);
  QTIPD_ASSIGN_OR_RETURN(const auto x, SpreadBuffer::Allocate(device, elements.size()));
  QTIPD_ASSIGN_OR_RETURN(const auto y, SpreadBuffer::Allocate(device, 4 * shape.out_features));
  QTIPD_RETURN_IF_ERROR(x.CopyToDevice(device, elements.data()));
  QTIPD_ASSIGN_OR_RETURN(const Measurement measured, MeasureDense(device, *path, x, y));
  std::printf("%ldx%ld  median %.3f us  ±%.3f %%  %zu samples  %s\n", shape.out_features,
              shape.in_features, measured.statistics.median * 1e6,
              RelativeHalfWidth(measured.statistics) * 100, measured.samples.size(),
              std::string(StopReasonName(measured.stop_reason)).c_str());
  for (const auto& [name, value] : path->notes()) {
    std::printf("  %s %s\n", name.c_str(), value.c_str());
  }
  return absl::OkStatus();
}

absl::Status Main(int argc, char** argv) {
  QTIPD_ASSIGN_OR_RETURN(const auto backend, OpenBackendModule(argv[1]));
  QTIPD_ASSIGN_OR_RETURN(const auto device, backend->OpenDevice(0));
  std::printf("%s\n", device->info().name.c_str());
  Registry registry;
  RegisterBuiltinPaths(registry);
  for (int i = 2; i < argc; ++i) {
    char* rest = nullptr;
    const int64_t out = std::strtoll(argv[i], &rest, 10);
    const int64_t in = *rest == 'x' ? std::strtoll(rest + 1, &rest, 10) : 0;
    if (out < 1 || in < 1 || *rest != '\0') {
      return absl::InvalidArgumentError(std::string("shape: got ") + argv[i] + ", allowed OUTxIN");
    }
    QTIPD_RETURN_IF_ERROR(Run(*device, registry, {out, in}));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: dense_speed MODULE SHAPE...\n");
    return 2;
  }
  const absl::Status status = qtipd::Main(argc, argv);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
