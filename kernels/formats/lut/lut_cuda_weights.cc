#include "kernels/formats/lut/lut_cuda_weights.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cuda/upload.h"
#include "kernels/formats/lut/lut_cuda_fused.h"
#include "kernels/formats/lut/lut_cuda_matrix.h"
#include "kernels/formats/lut/lut_cuda_warpgroup.h"

namespace qtipd {
namespace {

// Bytes of the codebook that decoding reads where the fused kernels have a table instead.
int64_t CodebookBytes(const LutCudaLayout& layout) {
  return layout.is_per_channel ? 0 : int64_t{layout.entries()} * sizeof(uint16_t);
}

// The codebooks of whole row blocks, zeros for rows that do not exist.
std::vector<uint16_t> Codebooks(const LutCudaLayout& layout, const LutLayer& layer) {
  std::vector<uint16_t> books(layout.is_per_channel ? layout.table_bytes() / 2 : layout.entries());
  std::ranges::transform(layer.codebook, books.begin(), FloatToHalf);
  return books;
}

// What a multiply reads: one of it for every copy.
struct Copy {
  Buffer packed;
  Buffer table;
};

// What all copies and replicas share.
struct Shared {
  Buffer codebook;  // empty where the tables are the codebooks
  Buffer arranged;  // LaunchLutFused's scratch: all use the device's one stream
};

class LutCudaWeights final : public ResidentWeights {
 public:
  LutCudaWeights(CudaDevice& device, const LutCudaLayout& layout,
                 std::shared_ptr<const Shared> shared, std::vector<Copy> copies)
      : device_(device), layout_(layout), shared_(std::move(shared)), copies_(std::move(copies)) {}

  Shape shape() const override { return {layout_.out_features, layout_.in_features}; }
  int copies() const override { return static_cast<int>(copies_.size()); }
  uint64_t device_bytes() const override { return LutCudaResidentBytes(layout_, copies()); }
  uint64_t multiply_bytes() const override {
    return static_cast<uint64_t>(layout_.packed_bytes() + layout_.table_bytes());
  }
  int64_t max_fused_batch() const override { return kLutMaxFusedBatch; }
  // Without output transforms z is y.
  DType inner_dtype() const override { return DType::kF16; }
  DType activation_dtype() const override { return DType::kF16; }
  std::vector<std::string> input_steps() const override { return {}; }
  std::vector<std::string> output_steps() const override { return {}; }

  absl::Status InputTransform(int64_t, const void*, void*, int) override {
    return absl::OkStatus();
  }
  absl::Status OutputTransform(int64_t, void*, void*, int) override { return absl::OkStatus(); }

  absl::Status Multiply(int copy, int64_t batch, const void* u, void* z) override {
    if (batch < 1 || batch > kLutMaxFusedBatch) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED", "batch",
                        std::to_string(batch), "1 to " + std::to_string(kLutMaxFusedBatch));
    }
    return LaunchLutFused(device_, {layout_, batch}, copies_[copy].packed.data(),
                          copies_[copy].table.data(), u, z, shared_->arranged.data());
  }

  // Weights have the bits of an entry and a scale, more than fp16 has.
  bool decodes_exactly() const override { return false; }
  absl::Status Decode(int copy, void* w) override { return DecodeAs(copy, DType::kF16, w); }
  absl::Status DecodeOriginal(void* w, DType dtype, const Progress&) override {
    if (dtype != DType::kF32 && dtype != DType::kF16) {
      return InvalidField("DTYPE_UNSUPPORTED", "dtype of decoded weights", DTypeName(dtype),
                          "F32 or F16");
    }
    QTIPD_RETURN_IF_ERROR(DecodeAs(0, dtype, w));
    return device_.Synchronize();
  }

  OperationCounts multiply_operations(int64_t batch) const override {
    return LutFusedOperations({layout_, batch}, device_.limits());
  }
  std::string multiply_configuration(int64_t batch) const override {
    return ChooseLutFusedConfig({layout_, batch}, device_.limits()).ToString();
  }
  OperationCounts decode_operations() const override { return {{"launch", 1}}; }

 private:
  absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int copies, DType) const override {
    std::vector<Copy> replicas;
    for (int i = 0; i < copies; ++i) {
      Copy replica;
      QTIPD_ASSIGN_OR_RETURN(replica.packed, Duplicate(device_, copies_[0].packed));
      QTIPD_ASSIGN_OR_RETURN(replica.table, Duplicate(device_, copies_[0].table));
      replicas.push_back(std::move(replica));
    }
    // The fused kernel reads weights before it waits for earlier grids: they must be there.
    QTIPD_RETURN_IF_ERROR(device_.Synchronize());
    return std::make_unique<LutCudaWeights>(device_, layout_, shared_, std::move(replicas));
  }

  absl::Status DecodeAs(int copy, DType dtype, void* w) const {
    const Buffer& books = layout_.is_per_channel ? copies_[copy].table : shared_->codebook;
    return LaunchLutDecode(device_, layout_, copies_[copy].packed.data(), books.data(), dtype, w);
  }

  CudaDevice& device_;
  const LutCudaLayout layout_;
  const std::shared_ptr<const Shared> shared_;
  const std::vector<Copy> copies_;
};

}  // namespace

LutCudaLayout LutCudaLayoutOf(const LutSpec& spec, Shape shape) {
  return {.out_features = shape.out_features,
          .in_features = shape.in_features,
          .bits = spec.bits,
          .block = static_cast<int>(spec.block),
          .is_per_channel = spec.is_per_channel,
          .is_bfloat16 = spec.block != 0 && spec.scale_dtype == DType::kBF16};
}

uint64_t LutCudaResidentBytes(const LutCudaLayout& layout, int copies) {
  const auto copy = static_cast<uint64_t>(layout.packed_bytes() + layout.table_bytes());
  return copies * copy +
         static_cast<uint64_t>(CodebookBytes(layout) + LutArrangedBytes(layout.in_features));
}

std::vector<uint16_t> LutCudaTable(const LutCudaLayout& layout, const LutLayer& layer) {
  std::vector<uint16_t> books = Codebooks(layout, layer);
  if (layout.is_per_channel) return books;
  const int weights = layout.table_words() * 2;  // of an entry
  std::vector<uint16_t> table(layout.table_bytes() / sizeof(uint16_t));
  for (int entry = 0; entry < layout.table_entries(); ++entry) {
    for (int k = 0; k < weights; ++k) {
      const int shift = layout.bits == 8 ? 0 : k * layout.bits;
      table[entry * weights + k] = books[entry >> shift & (layout.entries() - 1)];
    }
  }
  return table;
}

absl::StatusOr<std::unique_ptr<ResidentWeights>> LoadLutOnCuda(CudaDevice& device,
                                                               const LutLayer& layer) {
  const LutCudaLayout layout = LutCudaLayoutOf(layer.spec, layer.shape);
  auto shared = std::make_shared<Shared>();
  if (!layout.is_per_channel) {
    QTIPD_ASSIGN_OR_RETURN(shared->codebook, Upload(device, Codebooks(layout, layer)));
  }
  QTIPD_ASSIGN_OR_RETURN(shared->arranged, device.Allocate(LutArrangedBytes(layout.in_features)));
  std::vector<Copy> copies(1);
  QTIPD_ASSIGN_OR_RETURN(copies[0].table, Upload(device, LutCudaTable(layout, layer)));
  QTIPD_ASSIGN_OR_RETURN(const Buffer indices, Upload(device, layer.indices.bytes()));
  QTIPD_ASSIGN_OR_RETURN(const Buffer scales, Upload(device, layer.scales));
  QTIPD_ASSIGN_OR_RETURN(copies[0].packed, device.Allocate(layout.packed_bytes()));
  QTIPD_RETURN_IF_ERROR(
      LaunchLutRepack(device, layout, indices.data(), scales.data(), copies[0].packed.data()));
  QTIPD_RETURN_IF_ERROR(device.Synchronize());
  return std::make_unique<LutCudaWeights>(device, layout, std::move(shared), std::move(copies));
}

}  // namespace qtipd
