// What a linear consists of between the format's input and output transforms.
#ifndef QTIPD_KERNELS_PATHS_INNER_MULTIPLY_H_
#define QTIPD_KERNELS_PATHS_INNER_MULTIPLY_H_

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

namespace qtipd {

// Both together, kind by kind.
inline OperationCounts Sum(OperationCounts a, const OperationCounts& b) {
  for (const auto& [kind, amount] : b) a[kind] += amount;
  return a;
}

// z = W_inner u of one batch, in one or more steps; any layer of the shape it was made for.
class InnerMultiply {
 public:
  explicit InnerMultiply(int64_t batch) : batch_(batch) {}
  virtual ~InnerMultiply() = default;
  int64_t batch() const { return batch_; }
  virtual std::vector<std::string> steps() const = 0;
  // Enqueues one step. Pointers as in ResidentWeights.
  virtual absl::Status Run(ResidentWeights& weights, int copy, int step, const void* u,
                           void* z) = 0;
  // Enqueues the whole linear where that is another thing than its steps one after the other, else
  // says so: false.
  virtual absl::StatusOr<bool> RunLinear(ResidentWeights& /*weights*/, int /*copy*/,
                                         const void* /*x*/, void* /*u*/, void* /*z*/, void* /*y*/) {
    return false;
  }
  virtual OperationCounts operations(const ResidentWeights& weights) const = 0;
  // As in PreparedPath.
  virtual uint64_t scratch_bytes() const { return 0; }
  virtual std::map<std::string, std::string> notes(const ResidentWeights& /*weights*/) const {
    return {};
  }
  virtual bool has_phases() const { return false; }

 private:
  const int64_t batch_;
};

// One kernel that decodes and multiplies.
class FusedMultiply final : public InnerMultiply {
 public:
  using InnerMultiply::InnerMultiply;
  std::vector<std::string> steps() const override { return {"fused_decode"}; }
  absl::Status Run(ResidentWeights& weights, int copy, int, const void* u, void* z) override {
    return weights.Multiply(copy, batch(), u, z);
  }
  absl::StatusOr<bool> RunLinear(ResidentWeights& weights, int copy, const void* x, void* u,
                                 void* z, void* y) override {
    QTIPD_RETURN_IF_ERROR(weights.Linear(copy, batch(), x, u, z, y));
    return true;
  }
  OperationCounts operations(const ResidentWeights& weights) const override {
    return weights.multiply_operations(batch());
  }
  // `fused_configuration`, where the format has one.
  std::map<std::string, std::string> notes(const ResidentWeights& weights) const override {
    const std::string configuration = weights.multiply_configuration(batch());
    if (configuration.empty()) return {};
    return {{"fused_configuration", configuration}};
  }
  bool has_phases() const override { return true; }
};

// Decodes the whole matrix to scratch memory, then multiplies it densely.
class DecodeMultiply final : public InnerMultiply {
 public:
  // Errors: ResourceExhausted/DEVICE_MEMORY_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<DecodeMultiply>> Create(Device& device,
                                                                const ResidentWeights& weights,
                                                                int64_t batch) {
    const Shape shape = weights.shape();
    QTIPD_ASSIGN_OR_RETURN(Buffer decoded, device.Allocate(shape.out_features * shape.in_features *
                                                           DTypeSize(device.info().compute_dtype)));
    QTIPD_ASSIGN_OR_RETURN(auto multiply,
                           device.PrepareDense({.out_features = shape.out_features,
                                                .in_features = shape.in_features,
                                                .batch = batch,
                                                .output_dtype = weights.inner_dtype()}));
    return std::make_unique<DecodeMultiply>(batch, std::move(decoded), std::move(multiply));
  }
  DecodeMultiply(int64_t batch, Buffer decoded, std::unique_ptr<DenseMultiply> multiply)
      : InnerMultiply(batch), decoded_(std::move(decoded)), multiply_(std::move(multiply)) {}

  std::vector<std::string> steps() const override { return {"decode", "gemv"}; }
  absl::Status Run(ResidentWeights& weights, int copy, int step, const void* u, void* z) override {
    return step == 0 ? weights.Decode(copy, decoded_.data())
                     : multiply_->Run(decoded_.data(), u, z);
  }
  OperationCounts operations(const ResidentWeights& weights) const override {
    return Sum(weights.decode_operations(), {{"launch", 1}});  // the library's, at least
  }
  uint64_t scratch_bytes() const override { return decoded_.bytes(); }
  std::map<std::string, std::string> notes(const ResidentWeights&) const override {
    return {{"dense_multiply", multiply_->description()}};
  }

 private:
  Buffer decoded_;  // [out_features, in_features], device compute dtype
  std::unique_ptr<DenseMultiply> multiply_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_PATHS_INNER_MULTIPLY_H_
