#include "kernels/formats/lut/lut_cpu.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/huge_array.h"
#include "kernels/api/status.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/pieces.h"
#include "kernels/formats/lut/lut_cpu_kernel.h"
#include "kernels/formats/lut/lut_cpu_layout.h"
#include "kernels/formats/lut/lut_cpu_panel.h"
#include "kernels/formats/lut/lut_layer.h"
#include "kernels/formats/lut/lut_quantize.h"

namespace qtipd {
namespace {

// Work below this many weights is done by the calling thread: waking the others costs more.
constexpr int64_t kInlineWeights = int64_t{1} << 15;

constexpr uint64_t kCopyAlignment = 256;

// Decoding is so many times the work of reading and writing an element.
constexpr int64_t kDecodeWork = 4;

// Everything in fp32. Device memory holds the codebook and the weights in the kernels' order,
// `copies` times.
class LutCpuWeights final : public ResidentWeights {
 public:
  static absl::StatusOr<std::unique_ptr<LutCpuWeights>> Create(CpuDevice& device,
                                                               const LutLayer& layer) {
    std::unique_ptr<LutCpuWeights> weights(new LutCpuWeights(device, layer.spec, layer.shape));
    QTIPD_RETURN_IF_ERROR(weights->AllocateCopies(1));
    weights->FillCopy(layer);
    return weights;
  }

  Shape shape() const override { return layout_.shape; }
  int copies() const override { return copies_; }
  uint64_t device_bytes() const override { return storage_.bytes(); }
  uint64_t multiply_bytes() const override { return PackedBytes() + TableBytes(layout_.spec); }
  int64_t max_fused_batch() const override { return kLutCpuMaxBatch; }
  DType inner_dtype() const override { return DType::kF32; }
  DType activation_dtype() const override { return DType::kF32; }
  std::vector<std::string> input_steps() const override { return {}; }
  std::vector<std::string> output_steps() const override { return {}; }

  absl::Status InputTransform(int64_t, const void*, void*, int) override {
    return absl::OkStatus();
  }
  absl::Status OutputTransform(int64_t, void*, void*, int) override { return absl::OkStatus(); }

  absl::Status Multiply(int copy, int64_t batch, const void* u, void* z) override {
    if (batch < 1 || batch > kLutCpuMaxBatch) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED", "batch",
                        std::to_string(batch), "1 to " + std::to_string(kLutCpuMaxBatch));
    }
    const float* padded = Pad(static_cast<const float*>(u), batch);
    auto* output = static_cast<float*>(z);
    ForParts([&](int64_t begin, int64_t end) {
      if (uses_panels_) return LutPanelMultiply(Panels(copy, begin, end), padded, batch, output);
      LutCpuMultiply(Rows(copy, begin, end), padded, batch, output);
    });
    return absl::OkStatus();
  }

  absl::Status Decode(int copy, void* w) override {
    ForParts([&](int64_t begin, int64_t end) { DecodeParts(copy, begin, end, w); });
    return absl::OkStatus();
  }

  absl::Status DecodeOriginal(void* w, DType dtype, const Progress& progress) override {
    if (dtype != DType::kF32) {
      return InvalidField("DTYPE_UNSUPPORTED", "dtype of decoded weights", DTypeName(dtype), "F32");
    }
    const int64_t rows = layout_.shape.out_features / parts() + 1;
    const int64_t piece = PieceRows(kDecodeWork * rows * layout_.shape.in_features);
    return ForPieces(device_.pool(), progress, parts(), piece,
                     [&](int64_t begin, int64_t end) { DecodeParts(0, begin, end, w); });
  }

  // Device memory of one copy: the one codebook, the weights, padding.
  static uint64_t CopyBytes(const LutSpec& spec, Shape shape) {
    const int64_t packed = LutUsesPanels(spec) ? LutPanelLayout(spec, shape, 1).bytes()
                                               : LutCpuLayout(spec, shape).bytes();
    return RoundUp(TableRoom(spec) + packed + kLutCpuPadding, kCopyAlignment);
  }

 private:
  absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int copies, DType) const override {
    std::unique_ptr<LutCpuWeights> replica(new LutCpuWeights(device_, layout_.spec, layout_.shape));
    QTIPD_RETURN_IF_ERROR(replica->AllocateCopies(copies));
    for (int copy = 0; copy < copies; ++copy) {
      std::memcpy(replica->CopyAt(copy), CopyAt(0), CopyBytes(layout_.spec, layout_.shape));
    }
    return replica;
  }

  LutCpuWeights(CpuDevice& device, const LutSpec& spec, Shape shape)
      : device_(device),
        layout_(spec, shape),
        panels_(spec, shape, device.pool().threads()),
        uses_panels_(LutUsesPanels(spec)) {}

  static int64_t TableBytes(const LutSpec& spec) {
    return spec.is_per_channel ? 0 : LutTableBytes(spec.bits);
  }
  static int64_t TableRoom(const LutSpec& spec) { return RoundUp(TableBytes(spec), kLutAlignment); }

  uint8_t* CopyAt(int copy) const {
    return storage_.as<uint8_t>() + copy * CopyBytes(layout_.spec, layout_.shape);
  }
  uint8_t* Packed(int copy) const { return CopyAt(copy) + TableRoom(layout_.spec); }

  absl::Status AllocateCopies(int count) {
    QTIPD_ASSIGN_OR_RETURN(storage_,
                           device_.Allocate(count * CopyBytes(layout_.spec, layout_.shape)));
    copies_ = count;
    return absl::OkStatus();
  }

  void FillCopy(const LutLayer& layer) {
    std::memset(CopyAt(0), 0, TableRoom(layout_.spec));
    if (!layer.spec.is_per_channel) WriteLutTable(layer.spec, layer.codebook.data(), CopyAt(0));
    ForParts([&](int64_t begin, int64_t end) {
      if (uses_panels_) return RepackLutPanels(layer, panels_, begin, end, Packed(0));
      RepackLut(layer, layout_, begin, end, Packed(0));
    });
    const int64_t filled = TableRoom(layout_.spec) + PackedBytes();
    std::memset(CopyAt(0) + filled, 0, CopyBytes(layout_.spec, layout_.shape) - filled);
  }

  LutCpuRows Rows(int copy, int64_t begin, int64_t end) const {
    return {.layout = &layout_,
            .packed = Packed(copy),
            .table = CopyAt(copy),
            .begin = begin,
            .end = end};
  }

  LutPanels Panels(int copy, int64_t begin, int64_t end) const {
    return {.layout = &panels_,
            .packed = Packed(copy),
            .table = CopyAt(copy),
            .begin = begin,
            .end = end};
  }

  void DecodeParts(int copy, int64_t begin, int64_t end, void* w) const {
    auto* weights = static_cast<float*>(w);
    if (uses_panels_) return LutPanelDecode(Panels(copy, begin, end), weights);
    LutCpuDecode(Rows(copy, begin, end), weights);
  }

  // Rows that are multiplied together: what threads share.
  int64_t parts() const { return uses_panels_ ? panels_.panels : layout_.groups; }
  int64_t PackedBytes() const { return uses_panels_ ? panels_.bytes() : layout_.bytes(); }
  int64_t PaddedCols() const { return uses_panels_ ? panels_.padded_cols : layout_.padded_cols; }

  // u [batch, in_features] with zeros up to whole chunks, on a boundary of vectors: two cache lines
  // for each would be the time of a look-up.
  const float* Pad(const float* u, int64_t batch) {
    const int64_t cols = PaddedCols();
    const int64_t in = layout_.shape.in_features;
    if (cols == in && reinterpret_cast<uintptr_t>(u) % kLutAlignment == 0) return u;
    if (padded_size_ < batch * cols) {
      padded_ = AllocateHuge<float>(batch * cols);
      padded_size_ = batch * cols;
    }
    for (int64_t b = 0; b < batch; ++b) {
      std::copy_n(u + b * in, in, padded_.get() + b * cols);
      std::fill_n(padded_.get() + b * cols + in, cols - in, 0.0f);
    }
    return padded_.get();
  }

  template <typename Body>
  void ForParts(const Body& body) {
    if (layout_.shape.out_features * layout_.shape.in_features < kInlineWeights) {
      return body(0, parts());
    }
    device_.pool().ParallelFor(parts(), [&](int, int64_t begin, int64_t end) { body(begin, end); });
  }

  CpuDevice& device_;
  LutCpuLayout layout_;
  LutPanelLayout panels_;
  bool uses_panels_;
  // All copies in one block, so that small ones lie on huge pages too.
  Buffer storage_;
  int copies_ = 0;
  HugeArray<float> padded_;  // as large as the largest batch so far
  int64_t padded_size_ = 0;
};

class LutCpuBackend final : public FormatBackend {
 public:
  std::string_view format_id() const override { return "lut"; }
  std::string_view backend_id() const override { return "cpu"; }

  absl::StatusOr<PackedLayer> Quantize(Device& device, const QuantizeProblem& problem,
                                       Progress& progress, QuantizeReport& report) const override {
    // A backend is only ever given devices of its own.
    return QuantizeLutOnCpu(static_cast<CpuDevice&>(device).pool(), problem, progress, report);
  }

  uint64_t LoadBytes(const PackedLayer& layer) const override {
    return LutCpuWeights::CopyBytes(LutSpecOf(layer.options), layer.shape);
  }

  absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device& device,
                                                        const PackedLayer& layer) const override {
    QTIPD_ASSIGN_OR_RETURN(const LutLayer parsed, ParseLutLayer(layer));
    // A backend is only ever given devices of its own.
    return LutCpuWeights::Create(static_cast<CpuDevice&>(device), parsed);
  }
};

}  // namespace

std::unique_ptr<FormatBackend> MakeLutCpuBackend() { return std::make_unique<LutCpuBackend>(); }

}  // namespace qtipd
