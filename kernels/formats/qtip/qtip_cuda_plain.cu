#include "kernels/formats/qtip/qtip_cuda_plain.h"

#include <cuda_fp16.h>

#include <algorithm>
#include <bit>

#include "kernels/cuda/launch.h"

namespace qtipd {
namespace {

constexpr int kWarps = 16;
constexpr int kSegmentColumns = 4;

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
  return table + PartialBytes(kSegmentColumns) <= limits.shared_bytes;
}

// Grid and warps: ChooseFusedConfig's rules without its kernels.
PlainConfig ChoosePlainConfig(const FusedProblem& problem, const QtipCodeSpec& spec,
                              const CudaLimits& limits) {
  const int64_t row_blocks = problem.out_features / kUnitRows;
  const int64_t units = UnitsPerRow(problem.in_features);
  const int64_t rows_per_block = (row_blocks + limits.multiprocessors - 1) / limits.multiprocessors;
  PlainConfig config;
  config.grid = static_cast<int>((row_blocks + rows_per_block - 1) / rows_per_block);
  config.columns = problem.batch == 1 ? 1 : kSegmentColumns;
  config.warps_per_row =
      static_cast<int>(std::bit_floor(static_cast<uint64_t>(std::min<int64_t>(units, kWarps))));
  config.keeps_table = KeepsPlainTable(spec, limits);
  config.shared_bytes =
      KernelsOf(spec, limits).table_bytes(spec.table_bits) + PartialBytes(config.columns);
  return config;
}

std::string PlainConfig::ToString() const {
  return "grid " + std::to_string(grid) + ", columns " + std::to_string(columns) +
         ", warps_per_row " + std::to_string(warps_per_row) +
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
    arguments.warps_per_row_log2 = std::countr_zero(static_cast<unsigned>(config.warps_per_row));
    arguments.row_quotient = row_blocks / config.grid;
    arguments.row_remainder = row_blocks % config.grid;
    arguments.tlut = static_cast<const uint16_t*>(tlut);
    arguments.table_bits = spec.table_bits;
    QTIPD_RETURN_IF_ERROR(KernelsOf(spec, as).fused(device, config, arguments));
  }
  return absl::OkStatus();
}

}  // namespace qtipd
