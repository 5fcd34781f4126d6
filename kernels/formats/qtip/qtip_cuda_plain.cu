#include "kernels/formats/qtip/qtip_cuda_plain.h"

#include <cuda_fp16.h>

#include <algorithm>

#include "kernels/cuda/launch.h"

namespace qtipd {
namespace {

constexpr int kWarps = 16;
constexpr int kSegmentColumns = 4;
constexpr int kMostRowsInFlight = 2;

const PlainKernels& KernelsOf(const QtipCodeSpec& spec) {
  const int rate = spec.bits - 1;
  switch (spec.code) {
    case QtipCode::k1Mad:
      return k1MadKernels[rate];
    case QtipCode::k2Mad:
      return k2MadKernels[rate];
    case QtipCode::k3Inst:
      return k3InstKernels[rate];
    case QtipCode::kLut:
      return spec.vector_dim == 1 ? kLut1Kernels[rate] : kLut2Kernels[rate];
    case QtipCode::kQuantLut:
      return kQuantLutKernels[rate];
    case QtipCode::kHyb:
      break;
  }
  return kHyb1Kernel;
}

// Codes whose weights are sums of bytes.
bool SumsBytes(const QtipCodeSpec& spec) {
  return spec.code == QtipCode::k1Mad || spec.code == QtipCode::k2Mad;
}

// Of a row block.
size_t PartialBytes(int columns) {
  return sizeof(float) * kWarps * static_cast<size_t>(columns) * kUnitRows;
}

const PlainKernels& KernelsOf(const QtipCodeSpec& spec, const CudaLimits& limits) {
  if (KeepsPlainTable(spec, limits)) return KernelsOf(spec);
  return kCachedLut1Kernels[spec.bits - 1];  // no other table is too large for any device
}

}  // namespace

bool HasPlainKernels(const QtipCodeSpec& spec) {
  return spec.state_bits == kQtipStateBits && !QtipHasKernelLayout(spec);
}

bool KeepsPlainTable(const QtipCodeSpec& spec, const CudaLimits& limits) {
  const size_t table = KernelsOf(spec).table_bytes(spec.table_bits);
  return table + kMostRowsInFlight * PartialBytes(kSegmentColumns) <= limits.shared_bytes;
}

// Grid and warps: those of ChooseFusedConfig's looping kernel.
PlainConfig ChoosePlainConfig(const FusedProblem& problem, const QtipCodeSpec& spec,
                              const CudaLimits& limits) {
  const int64_t row_blocks = problem.out_features / kUnitRows;
  const int64_t rows_per_block = (row_blocks + limits.multiprocessors - 1) / limits.multiprocessors;
  PlainConfig config;
  config.grid = static_cast<int>(std::min<int64_t>(row_blocks, limits.multiprocessors));
  config.columns = problem.batch == 1 ? 1 : kSegmentColumns;
  config.rows_in_flight = rows_per_block == 1 ? 1 : kMostRowsInFlight;
  config.keeps_table = KeepsPlainTable(spec, limits);
  size_t before_sums = KernelsOf(spec, limits).table_bytes(spec.table_bits);
  if (SumsBytes(spec) && problem.batch == 1) {
    const size_t digits = sizeof(uint32_t) * UnitsPerRow(problem.in_features) * kUnitCols;
    config.sums_digits =
        digits + config.rows_in_flight * PartialBytes(config.columns) <= limits.shared_bytes;
    if (config.sums_digits) before_sums = digits;
  }
  const auto rounds = static_cast<int64_t>((limits.shared_bytes - before_sums) /
                                           PartialBytes(config.columns) / config.rows_in_flight);
  const int64_t needed = (rows_per_block + config.rows_in_flight - 1) / config.rows_in_flight;
  config.chunk_rows = static_cast<int>(std::min(rounds, needed)) * config.rows_in_flight;
  config.shared_bytes = before_sums + config.chunk_rows * PartialBytes(config.columns);
  return config;
}

std::string PlainConfig::ToString() const {
  return "grid " + std::to_string(grid) + ", columns " + std::to_string(columns) +
         ", rows_in_flight " + std::to_string(rows_in_flight) + ", chunk_rows " +
         std::to_string(chunk_rows) + (sums_digits ? ", activations in integers" : "") +
         (keeps_table ? "" : ", table in L1 and L2") + ", shared_bytes " +
         std::to_string(shared_bytes);
}

absl::Status LaunchPlainDecode(const CudaDevice& device, Shape shape, const QtipCodeSpec& spec,
                               const void* packed, const void* tlut, DType dtype, void* w) {
  return LaunchPlainDecodeAs(device, device.limits(), shape, spec, packed, tlut, dtype, w);
}

absl::Status LaunchPlainDecodeAs(const CudaDevice& device, const CudaLimits& as, Shape shape,
                                 const QtipCodeSpec& spec, const void* packed, const void* tlut,
                                 DType dtype, void* w) {
  const int64_t units_per_row = UnitsPerRow(shape.in_features);
  return KernelsOf(spec, as).decode(device,
                                    {.packed = static_cast<const char*>(packed),
                                     .tlut = static_cast<const uint16_t*>(tlut),
                                     .w = w,
                                     .units = shape.out_features / kUnitRows * units_per_row,
                                     .units_per_row = static_cast<int>(units_per_row),
                                     .in_features = static_cast<int>(shape.in_features),
                                     .is_wide = dtype == DType::kF32,
                                     .table_bits = spec.table_bits});
}

int64_t PlainFusedLaunches(int64_t batch) {
  return (batch + kSegmentColumns - 1) / kSegmentColumns;
}

absl::Status LaunchPlainFused(const CudaDevice& device, const FusedProblem& problem,
                              const QtipCodeSpec& spec, const void* packed, const void* tlut,
                              const void* u, void* z) {
  return LaunchPlainFusedAs(device, device.limits(), problem, spec, packed, tlut, u, z);
}

absl::Status LaunchPlainFusedAs(const CudaDevice& device, const CudaLimits& as,
                                const FusedProblem& problem, const QtipCodeSpec& spec,
                                const void* packed, const void* tlut, const void* u, void* z) {
  const PlainConfig config = ChoosePlainConfig(problem, spec, as);
  const auto row_blocks = static_cast<int>(problem.out_features / kUnitRows);
  for (int64_t first = 0; first < problem.batch; first += config.columns) {
    PlainFusedArguments arguments = {};
    arguments.packed = static_cast<const char*>(packed);
    arguments.u = static_cast<const __half*>(u) + first * problem.in_features;
    arguments.z = static_cast<float*>(z) + first * problem.out_features;
    arguments.out_features = static_cast<int>(problem.out_features);
    arguments.in_features = static_cast<int>(problem.in_features);
    arguments.columns = static_cast<int>(std::min<int64_t>(config.columns, problem.batch - first));
    arguments.chunk_rows = config.chunk_rows;
    arguments.row_quotient = row_blocks / config.grid;
    arguments.row_remainder = row_blocks % config.grid;
    arguments.tlut = static_cast<const uint16_t*>(tlut);
    arguments.table_bits = spec.table_bits;
    QTIPD_RETURN_IF_ERROR(KernelsOf(spec, as).fused(device, config, arguments));
  }
  return absl::OkStatus();
}

}  // namespace qtipd
