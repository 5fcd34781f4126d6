#include "kernels/formats/int4/int4_cuda_weights.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cuda/upload.h"
#include "kernels/formats/int4/int4_cuda_decode.h"
#include "kernels/formats/int4/int4_cuda_fused.h"
#include "kernels/formats/int4/int4_cuda_layout.h"
#include "kernels/formats/int4/int4_cuda_warpgroup.h"

namespace qtipd {
namespace {

// Nothing is transformed: u is x, z is y.
class Int4CudaWeights final : public ResidentWeights {
 public:
  Int4CudaWeights(CudaDevice& device, Shape shape, const Int4CudaLayout& layout,
                  std::shared_ptr<const Buffer> arranged, std::vector<Buffer> copies)
      : device_(device),
        shape_(shape),
        layout_(layout),
        arranged_(std::move(arranged)),
        copies_(std::move(copies)) {}

  Shape shape() const override { return shape_; }
  int copies() const override { return static_cast<int>(copies_.size()); }
  uint64_t device_bytes() const override {
    return copies_.size() * static_cast<uint64_t>(layout_.bytes()) + arranged_->bytes();
  }
  uint64_t multiply_bytes() const override { return layout_.read_bytes(shape_); }
  int64_t max_fused_batch() const override { return kInt4CudaMaxBatch; }
  DType inner_dtype() const override { return DType::kF16; }
  DType activation_dtype() const override { return DType::kF16; }
  std::vector<std::string> input_steps() const override { return {}; }
  std::vector<std::string> output_steps() const override { return {}; }
  absl::Status InputTransform(int64_t, const void*, void*, int) override {
    return absl::OkStatus();
  }
  absl::Status OutputTransform(int64_t, void*, void*, int) override { return absl::OkStatus(); }

  absl::Status Multiply(int copy, int64_t batch, const void* u, void* z) override {
    if (batch < 1 || batch > kInt4CudaMaxBatch) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED", "batch",
                        std::to_string(batch), "1 to " + std::to_string(kInt4CudaMaxBatch));
    }
    return LaunchInt4Fused(device_, Problem(batch), copies_[copy].data(), u, inner_dtype(), z,
                           arranged_->data());
  }
  OperationCounts multiply_operations(int64_t batch) const override {
    return Int4FusedOperations(Problem(batch), device_.limits());
  }
  std::string multiply_configuration(int64_t batch) const override {
    return ChooseInt4FusedConfig(Problem(batch), device_.limits()).ToString();
  }

  // 11 bits of a scale times 5 of a difference are more than fp16 has.
  bool decodes_exactly() const override { return false; }
  absl::Status Decode(int copy, void* w) override {
    return LaunchInt4Decode(device_, shape_, layout_, copies_[copy].data(), DType::kF16, w);
  }
  OperationCounts decode_operations() const override { return {{"launch", 1}}; }

  // At most some milliseconds, so that nobody has to ask whether the result is still wanted.
  absl::Status DecodeOriginal(void* w, DType dtype, const Progress&) override {
    if (dtype != DType::kF32 && dtype != DType::kF16) {
      return InvalidField("DTYPE_UNSUPPORTED", "dtype of decoded weights", DTypeName(dtype),
                          "F32, F16");
    }
    QTIPD_RETURN_IF_ERROR(LaunchInt4Decode(device_, shape_, layout_, copies_[0].data(), dtype, w));
    return device_.Synchronize();
  }

 private:
  absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int copies, DType) const override {
    std::vector<Buffer> replicas;
    for (int i = 0; i < copies; ++i) {
      QTIPD_ASSIGN_OR_RETURN(Buffer replica, Duplicate(device_, copies_[0]));
      replicas.push_back(std::move(replica));
    }
    // The fused kernel reads weights before it waits for earlier grids: they must be there.
    QTIPD_RETURN_IF_ERROR(device_.Synchronize());
    return std::make_unique<Int4CudaWeights>(device_, shape_, layout_, arranged_,
                                             std::move(replicas));
  }

  Int4FusedProblem Problem(int64_t batch) const {
    return {.shape = shape_, .layout = layout_, .batch = batch};
  }

  CudaDevice& device_;
  const Shape shape_;
  const Int4CudaLayout layout_;
  // LaunchInt4Fused's scratch, of all replicas: all use the device's one stream.
  const std::shared_ptr<const Buffer> arranged_;
  const std::vector<Buffer> copies_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ResidentWeights>> LoadInt4OnCuda(CudaDevice& device,
                                                                const Int4Layer& layer) {
  const Int4CudaLayout layout(layer.shape(), layer.spec());
  std::vector<uint8_t> packed(layout.bytes());
  ThreadPool pool(std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  Int4CudaRepack(pool, layer, layout, packed.data());
  std::vector<Buffer> copies(1);
  QTIPD_ASSIGN_OR_RETURN(copies[0], Upload(device, packed));
  auto arranged = std::make_shared<Buffer>();
  QTIPD_ASSIGN_OR_RETURN(*arranged, device.Allocate(Int4ArrangedBytes(layout.units)));
  return std::make_unique<Int4CudaWeights>(device, layer.shape(), layout, std::move(arranged),
                                           std::move(copies));
}

}  // namespace qtipd
