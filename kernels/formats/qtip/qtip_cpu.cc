#include "kernels/formats/qtip/qtip_cpu.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/pieces.h"
#include "kernels/formats/qtip/qtip_cpu_fixed.h"
#include "kernels/formats/qtip/qtip_cpu_hadamard.h"
#include "kernels/formats/qtip/qtip_cpu_kernel.h"
#include "kernels/formats/qtip/qtip_cpu_layout.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_quantize.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

// Work below this many elements is done by the calling thread: waking the others costs more.
constexpr int64_t kInlineElements = int64_t{1} << 15;

constexpr uint64_t kCopyAlignment = 256;

// Columns that one worker transforms together: with 4096 rows half a second-level cache.
constexpr int64_t kColumnStripe = 32;

// Decoding and rotating are so many times the work of reading and writing an element.
constexpr int64_t kDecodeWork = 8;

// Both sides of a layer, and what transforms activations there: H^T going in, H coming out.
struct Sides {
  explicit Sides(const QtipLayer& layer)
      : input(layer.input_rotation()),
        output(layer.output_rotation()),
        input_transform(MakeQtipCpuTransform<float>(input.size, HadamardDirection::kTransposed)),
        output_transform(MakeQtipCpuTransform<float>(output.size, HadamardDirection::kForward)),
        su(layer.su),
        sv(layer.sv) {}

  QtipRotation input;
  QtipRotation output;
  QtipCpuTransform<float> input_transform;
  QtipCpuTransform<float> output_transform;
  std::vector<float> su;
  std::vector<float> sv;
};

// Everything in fp32. Device memory holds the repacked trellis and the codebook, `copies` times;
// the sign vectors are small and kept once.
class QtipCpuWeights final : public ResidentWeights {
 public:
  static absl::StatusOr<std::unique_ptr<QtipCpuWeights>> Create(CpuDevice& device,
                                                                const QtipLayer& layer) {
    std::unique_ptr<QtipCpuWeights> weights(
        new QtipCpuWeights(device, layer.shape, layer.spec, std::make_shared<Sides>(layer)));
    QTIPD_RETURN_IF_ERROR(weights->AllocateCopies(1));
    weights->FillCopy(layer);
    return weights;
  }

  Shape shape() const override { return shape_; }
  int copies() const override { return copies_; }
  uint64_t device_bytes() const override { return storage_.bytes() + transform_bytes(); }
  uint64_t multiply_bytes() const override {
    return TrellisBytes() + spec_.table_values() * sizeof(uint16_t);
  }
  uint64_t transform_bytes() const override {
    return (shape_.in_features + shape_.out_features) * sizeof(float);
  }
  int64_t max_fused_batch() const override { return kQtipCpuMaxBatch; }
  DType inner_dtype() const override { return DType::kF32; }
  DType activation_dtype() const override { return DType::kF32; }
  std::vector<std::string> input_steps() const override { return {"input_rotation"}; }
  std::vector<std::string> output_steps() const override {
    return {"output_rotation", "output_scale"};
  }

  absl::Status InputTransform(int64_t batch, const void* x, void* u, int step_count) override {
    const auto* input = static_cast<const float*>(x);
    auto* rotated = static_cast<float*>(u);
    ParallelFor(batch, shape_.in_features, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        float* row = rotated + b * shape_.in_features;
        Scale(input + b * shape_.in_features, sides_->su, row);
        RotateRow(sides_->input, sides_->input_transform, row);
      }
    });
    return absl::OkStatus();
  }

  // z stays as it is, so that the steps can be run again.
  absl::Status OutputTransform(int64_t batch, void* z, void* y, int step_count) override {
    const auto* inner = static_cast<const float*>(z);
    auto* output = static_cast<float*>(y);
    ParallelFor(batch, shape_.out_features, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        float* row = output + b * shape_.out_features;
        std::copy_n(inner + b * shape_.out_features, shape_.out_features, row);
        RotateRow(sides_->output, sides_->output_transform, row);
        if (step_count > 1) Scale(row, sides_->sv, row);
      }
    });
    return absl::OkStatus();
  }

  absl::Status Multiply(int copy, int64_t batch, const void* u, void* z) override {
    if (batch > kQtipCpuMaxBatch) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED", "batch",
                        std::to_string(batch), "1 to " + std::to_string(kQtipCpuMaxBatch));
    }
    arranged_.resize(std::max<size_t>(arranged_.size(), batch * shape_.in_features));
    const float* arranged = QtipCpuArrange(spec_, static_cast<const float*>(u), batch,
                                           shape_.in_features, arranged_.data());
    ForTileRows([&](int64_t begin, int64_t end) {
      QtipCpuMultiplyRows(Rows(copy, begin, end), arranged, batch, shape_.out_features,
                          static_cast<float*>(z));
    });
    return absl::OkStatus();
  }

  int64_t max_rounded_batch() const override {
    return QtipCpuHasFixedKernel(spec_) ? kQtipCpuMaxBatch : 0;
  }

  absl::Status MultiplyRounded(int copy, int64_t batch, const void* u, void* z) override {
    if (batch > max_rounded_batch()) {
      return ResidentWeights::MultiplyRounded(copy, batch, u, z);
    }
    const int64_t in = shape_.in_features;
    rounded_bytes_.resize(std::max<size_t>(rounded_bytes_.size(), 2 * batch * in));
    rounded_.resize(batch);
    ParallelFor(batch, in, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        rounded_[b].bytes = rounded_bytes_.data() + 2 * b * in;
        QtipCpuRoundActivations(static_cast<const float*>(u) + b * in, in, rounded_[b]);
      }
    });
    ForTileRows([&](int64_t begin, int64_t end) {
      QtipCpuMultiplyFixed(Rows(copy, begin, end), *FixedTable(copy), rounded_, shape_.out_features,
                           static_cast<float*>(z));
    });
    return absl::OkStatus();
  }

  absl::Status Decode(int copy, void* w) override {
    ForTileRows([&](int64_t begin, int64_t end) {
      QtipCpuDecodeRows(Rows(copy, begin, end), static_cast<float*>(w));
    });
    return absl::OkStatus();
  }

  // W_hat = diag(sv) H_out W H_in^T diag(su), rows first.
  absl::Status DecodeOriginal(void* w, DType dtype, const Progress& progress) override {
    if (dtype != DType::kF32) {
      return InvalidField("DTYPE_UNSUPPORTED", "dtype of decoded weights", DTypeName(dtype), "F32");
    }
    auto* matrix = static_cast<float*>(w);
    const int64_t cols = shape_.in_features;
    const QtipCpuTransform<float> input =
        MakeQtipCpuTransform<float>(sides_->input.size, HadamardDirection::kForward);
    const auto decode = [&](int64_t begin, int64_t end) {
      QtipCpuDecodeRows(Rows(0, begin, end), matrix);
      for (int64_t row = begin * kQtipTileRows; row < end * kQtipTileRows; ++row) {
        RotateRow(sides_->input, input, matrix + row * cols);
      }
    };
    const auto rotate_columns = [&](int64_t begin, int64_t end) {
      for (int64_t stripe = begin; stripe < end; ++stripe) {
        RotateColumns(matrix + stripe * kColumnStripe, cols, kColumnStripe);
      }
    };
    const auto scale = [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        for (int64_t col = 0; col < cols; ++col) {
          matrix[row * cols + col] *= sides_->sv[row] * sides_->su[col];
        }
      }
    };
    ThreadPool& pool = device_.pool();
    const int64_t piece_rows = PieceRows(kDecodeWork * cols);
    QTIPD_RETURN_IF_ERROR(ForPieces(pool, progress, shape_.out_features / kQtipTileRows,
                                    PieceRows(kDecodeWork * kQtipTileRows * cols), decode));
    QTIPD_RETURN_IF_ERROR(ForPieces(pool, progress, cols / kColumnStripe, 1, rotate_columns));
    return ForPieces(pool, progress, shape_.out_features, piece_rows, scale);
  }

  // Device memory of one copy: codebook tables, trellis, padding.
  static uint64_t CopyBytes(Shape shape, const QtipCodeSpec& spec) {
    const uint64_t bytes =
        TableBytes(spec) + shape.out_features * shape.in_features / 8 * spec.bits + kQtipCpuPadding;
    return (bytes + kCopyAlignment - 1) / kCopyAlignment * kCopyAlignment;
  }

 private:
  absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int copies, DType) const override {
    std::unique_ptr<QtipCpuWeights> replica(new QtipCpuWeights(device_, shape_, spec_, sides_));
    QTIPD_RETURN_IF_ERROR(replica->AllocateCopies(copies));
    for (int copy = 0; copy < copies; ++copy) {
      std::memcpy(replica->CopyAt(copy), CopyAt(0), CopyBytes());
    }
    return replica;
  }

  QtipCpuWeights(CpuDevice& device, Shape shape, const QtipCodeSpec& spec,
                 std::shared_ptr<const Sides> sides)
      : device_(device),
        shape_(shape),
        spec_(spec),
        windows_(MakeQtipPlainWindows(spec)),
        sides_(std::move(sides)) {}

  // A copy begins with its tables: a PairTable and a QtipFixedTable, or the weights of all states,
  // or nothing.
  static uint64_t TableBytes(const QtipCodeSpec& spec) {
    if (QtipHasKernelLayout(spec)) return sizeof(PairTable) + sizeof(QtipFixedTable);
    if (!QtipCpuUsesTable(spec)) return 0;
    return static_cast<uint64_t>(spec.states()) * spec.vector_dim * sizeof(float);
  }

  uint64_t TrellisBytes() const {
    return shape_.out_features * shape_.in_features / 8 * spec_.bits;
  }
  uint64_t CopyBytes() const { return CopyBytes(shape_, spec_); }
  uint8_t* CopyAt(int copy) const { return storage_.as<uint8_t>() + copy * CopyBytes(); }
  uint8_t* Packed(int copy) const { return CopyAt(copy) + TableBytes(spec_); }

  QtipFixedTable* FixedTable(int copy) const {
    return reinterpret_cast<QtipFixedTable*>(CopyAt(copy) + sizeof(PairTable));
  }

  void FillCopy(const QtipLayer& layer) {
    if (QtipHasKernelLayout(spec_)) {
      FillPairTable(layer.tlut, *reinterpret_cast<PairTable*>(CopyAt(0)));
      FillQtipFixedTable(layer.tlut, *FixedTable(0));
      return QtipCpuRepack(layer.trellis, spec_.bits, layer.shape, Packed(0));
    }
    if (QtipCpuUsesTable(spec_)) {
      const QtipTable table = MakeQtipTable(spec_, layer.tlut);
      std::ranges::copy(table.weights, reinterpret_cast<float*>(CopyAt(0)));
    }
    std::memcpy(Packed(0), layer.trellis.data(), TrellisBytes());
  }

  absl::Status AllocateCopies(int count) {
    QTIPD_ASSIGN_OR_RETURN(storage_, device_.Allocate(count * CopyBytes()));
    copies_ = count;
    for (int copy = 0; copy < count; ++copy) {
      std::memset(CopyAt(copy) + CopyBytes() - kQtipCpuPadding, 0, kQtipCpuPadding);
    }
    return absl::OkStatus();
  }

  QtipCpuRows Rows(int copy, int64_t begin, int64_t end) const {
    return {.packed = Packed(copy),
            .spec = spec_,
            .pairs = reinterpret_cast<const PairTable*>(CopyAt(copy)),
            .windows = &windows_,
            .table = reinterpret_cast<const float*>(CopyAt(copy)),
            .in_features = shape_.in_features,
            .begin = begin,
            .end = end};
  }

  // body(begin, end) over parts of [0, count); each of the `count` items is `elements` large.
  template <typename Body>
  void ParallelFor(int64_t count, int64_t elements, const Body& body) {
    if (count * elements < kInlineElements) return body(0, count);
    device_.pool().ParallelFor(count, [&](int, int64_t begin, int64_t end) { body(begin, end); });
  }

  template <typename Body>
  void ForTileRows(const Body& body) {
    ParallelFor(shape_.out_features / kQtipTileRows, kQtipTileRows * shape_.in_features, body);
  }

  static void RotateRow(const QtipRotation& rotation, const QtipCpuTransform<float>& transform,
                        float* row) {
    for (int64_t shard = 0; shard < rotation.shards; ++shard) {
      QtipCpuHadamard(transform, row + shard * rotation.size);
    }
  }

  // `columns` columns of a matrix [out_features, stride].
  void RotateColumns(float* matrix, int64_t stride, int64_t columns) const {
    for (int64_t shard = 0; shard < sides_->output.shards; ++shard) {
      QtipCpuHadamardColumns(sides_->output_transform,
                             matrix + shard * sides_->output.size * stride, stride, columns);
    }
  }

  static void Scale(const float* values, const std::vector<float>& factors, float* scaled) {
    for (size_t i = 0; i < factors.size(); ++i) scaled[i] = values[i] * factors[i];
  }

  CpuDevice& device_;
  Shape shape_;
  QtipCodeSpec spec_;
  QtipPlainWindows windows_;
  std::shared_ptr<const Sides> sides_;  // of all replicas
  // All copies in one block, so that small ones lie on huge pages too.
  Buffer storage_;
  int copies_ = 0;
  // Activations, as large as the largest batch so far.
  std::vector<float> arranged_;
  std::vector<int8_t> rounded_bytes_;
  std::vector<QtipFixedActivations> rounded_;
};

class QtipCpuBackend final : public FormatBackend {
 public:
  std::string_view format_id() const override { return "qtip"; }
  std::string_view backend_id() const override { return "cpu"; }

  absl::StatusOr<PackedLayer> Quantize(Device& device, const QuantizeProblem& problem,
                                       Progress& progress, QuantizeReport& report) const override {
    // A backend is only ever given devices of its own.
    return QuantizeQtipOnCpu(static_cast<CpuDevice&>(device).pool(), problem, progress, report);
  }

  uint64_t LoadBytes(const PackedLayer& layer) const override {
    return QtipCpuWeights::CopyBytes(layer.shape, QtipSpecOf(layer.options).value()) +
           (layer.shape.in_features + layer.shape.out_features) * sizeof(float);
  }

  absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device& device,
                                                        const PackedLayer& layer) const override {
    QTIPD_ASSIGN_OR_RETURN(const QtipLayer parsed, ParseQtipLayer(layer));
    // A backend is only ever given devices of its own.
    return QtipCpuWeights::Create(static_cast<CpuDevice&>(device), parsed);
  }
};

}  // namespace

std::unique_ptr<FormatBackend> MakeQtipCpuBackend() { return std::make_unique<QtipCpuBackend>(); }

}  // namespace qtipd
