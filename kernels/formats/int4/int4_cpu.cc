#include "kernels/formats/int4/int4_cpu.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/pieces.h"
#include "kernels/formats/int4/int4_cpu_kernel.h"
#include "kernels/formats/int4/int4_cpu_layout.h"
#include "kernels/formats/int4/int4_layer.h"
#include "kernels/formats/int4/int4_options.h"
#include "kernels/formats/int4/int4_quantize.h"

namespace qtipd {
namespace {

// Work below this many elements is done by the calling thread: waking the others costs more.
constexpr int64_t kInlineElements = int64_t{1} << 15;

constexpr uint64_t kCopyAlignment = 256;
constexpr int64_t kVectorCols = kInt4CpuColsAtOnce;

uint64_t CopyBytesOf(Shape shape, const Int4CpuLayout& layout) {
  const auto bytes = static_cast<uint64_t>(shape.out_features / kInt4BlockRows) *
                     static_cast<uint64_t>(layout.row_block_bytes);
  return (bytes + kCopyAlignment - 1) / kCopyAlignment * kCopyAlignment;
}

// Device memory holds the repacked layer, `copies` times. Nothing is transformed: u is x, z is y.
class Int4CpuWeights final : public ResidentWeights {
 public:
  static absl::StatusOr<std::unique_ptr<Int4CpuWeights>> Create(CpuDevice& device,
                                                                const Int4Layer& layer) {
    std::unique_ptr<Int4CpuWeights> weights(
        new Int4CpuWeights(device, layer.shape(), layer.spec()));
    QTIPD_RETURN_IF_ERROR(weights->AllocateCopies(1));
    Int4CpuRepack(device.pool(), layer, weights->layout_, weights->CopyAt(0));
    return weights;
  }

  Shape shape() const override { return shape_; }
  int copies() const override { return copies_; }
  uint64_t device_bytes() const override { return storage_.bytes(); }
  // What the layout adds to fill up vectors and lines is not counted.
  uint64_t multiply_bytes() const override {
    const auto out = static_cast<uint64_t>(shape_.out_features);
    const uint64_t per_group = sizeof(uint16_t) + (layout_.has_zeros ? 1 : 0);
    return out * static_cast<uint64_t>(shape_.in_features) / 2 +
           out * static_cast<uint64_t>(layout_.groups) * per_group;
  }
  int64_t max_fused_batch() const override { return kInt4CpuMaxBatch; }
  DType inner_dtype() const override { return DType::kF32; }
  DType activation_dtype() const override { return DType::kF32; }
  std::vector<std::string> input_steps() const override { return {}; }
  std::vector<std::string> output_steps() const override { return {}; }
  absl::Status InputTransform(int64_t, const void*, void*, int) override {
    return absl::OkStatus();
  }
  absl::Status OutputTransform(int64_t, void*, void*, int) override { return absl::OkStatus(); }

  absl::Status Multiply(int copy, int64_t batch, const void* u, void* z) override {
    if (batch < 1 || batch > kInt4CpuMaxBatch) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED", "batch",
                        std::to_string(batch), "1 to " + std::to_string(kInt4CpuMaxBatch));
    }
    const auto* x = static_cast<const float*>(u);
    int64_t stride = shape_.in_features;
    if (stride % kVectorCols != 0) x = Widen(x, batch, stride);
    ForRowBlocks([&](int64_t begin, int64_t end) {
      Int4CpuMultiplyRows(Rows(copy, begin, end), x, stride, batch, shape_.out_features,
                          static_cast<float*>(z));
    });
    return absl::OkStatus();
  }

  absl::Status Decode(int copy, void* w) override {
    ForRowBlocks([&](int64_t begin, int64_t end) {
      Int4CpuDecodeRows(Rows(copy, begin, end), static_cast<float*>(w));
    });
    return absl::OkStatus();
  }

  absl::Status DecodeOriginal(void* w, DType dtype, const Progress& progress) override {
    if (dtype != DType::kF32) {
      return InvalidField("DTYPE_UNSUPPORTED", "dtype of decoded weights", DTypeName(dtype), "F32");
    }
    return ForPieces(device_.pool(), progress, shape_.out_features / kInt4BlockRows,
                     PieceRows(kInt4BlockRows * shape_.in_features),
                     [&](int64_t begin, int64_t end) {
                       Int4CpuDecodeRows(Rows(0, begin, end), static_cast<float*>(w));
                     });
  }

 private:
  absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int copies, DType) const override {
    std::unique_ptr<Int4CpuWeights> replica(new Int4CpuWeights(device_, shape_, spec_));
    QTIPD_RETURN_IF_ERROR(replica->AllocateCopies(copies));
    for (int copy = 0; copy < copies; ++copy) {
      std::memcpy(replica->CopyAt(copy), CopyAt(0), CopyBytes());
    }
    return replica;
  }

  Int4CpuWeights(CpuDevice& device, Shape shape, const Int4Spec& spec)
      : device_(device), shape_(shape), spec_(spec), layout_(shape, spec) {}

  uint64_t CopyBytes() const { return CopyBytesOf(shape_, layout_); }
  uint8_t* CopyAt(int copy) const { return storage_.as<uint8_t>() + copy * CopyBytes(); }

  absl::Status AllocateCopies(int count) {
    QTIPD_ASSIGN_OR_RETURN(storage_, device_.Allocate(count * CopyBytes()));
    copies_ = count;
    return absl::OkStatus();
  }

  Int4CpuRows Rows(int copy, int64_t begin, int64_t end) const {
    return {.packed = CopyAt(copy), .layout = &layout_, .begin = begin, .end = end};
  }

  // Rows of activations at a multiple of a vector, zero at their end; `stride` becomes theirs.
  const float* Widen(const float* x, int64_t batch, int64_t& stride) {
    const int64_t wide = (stride + kVectorCols - 1) / kVectorCols * kVectorCols;
    widened_.assign(std::max<size_t>(widened_.size(), batch * wide), 0.0F);
    for (int64_t b = 0; b < batch; ++b) {
      std::copy_n(x + b * stride, stride, widened_.data() + b * wide);
    }
    stride = wide;
    return widened_.data();
  }

  // body(begin, end) over parts of the blocks of rows.
  template <typename Body>
  void ForRowBlocks(const Body& body) {
    const int64_t blocks = shape_.out_features / kInt4BlockRows;
    if (shape_.out_features * shape_.in_features < kInlineElements) return body(0, blocks);
    device_.pool().ParallelFor(blocks, [&](int, int64_t begin, int64_t end) { body(begin, end); });
  }

  CpuDevice& device_;
  Shape shape_;
  Int4Spec spec_;
  Int4CpuLayout layout_;
  // All copies in one block, so that small ones lie on huge pages too.
  Buffer storage_;
  int copies_ = 0;
  std::vector<float> widened_;  // as large as the largest batch so far
};

class Int4CpuBackend final : public FormatBackend {
 public:
  std::string_view format_id() const override { return "int4"; }
  std::string_view backend_id() const override { return "cpu"; }

  absl::StatusOr<PackedLayer> Quantize(Device& device, const QuantizeProblem& problem,
                                       Progress& progress, QuantizeReport& report) const override {
    // A backend is only ever given devices of its own.
    return QuantizeInt4OnCpu(static_cast<CpuDevice&>(device).pool(), problem, progress, report);
  }

  uint64_t LoadBytes(const PackedLayer& layer) const override {
    const Int4Spec spec = Int4SpecOf(layer.options, layer.shape.in_features);
    return CopyBytesOf(layer.shape, Int4CpuLayout(layer.shape, spec));
  }

  absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device& device,
                                                        const PackedLayer& layer) const override {
    QTIPD_ASSIGN_OR_RETURN(const Int4Layer parsed, ParseInt4Layer(layer));
    // A backend is only ever given devices of its own.
    return Int4CpuWeights::Create(static_cast<CpuDevice&>(device), parsed);
  }
};

}  // namespace

std::unique_ptr<FormatBackend> MakeInt4CpuBackend() { return std::make_unique<Int4CpuBackend>(); }

}  // namespace qtipd
