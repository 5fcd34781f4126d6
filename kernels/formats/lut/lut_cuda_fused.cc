#include "kernels/formats/lut/lut_cuda_fused.h"

#include <cuda_fp16.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace qtipd {
namespace {

constexpr int kWavefrontBytes = 128;  // that shared memory takes or gives in a cycle

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Of shared memory beside the partial sums.
int64_t FixedBytes(const LutCudaLayout& layout, const LutFusedConfig& config) {
  const int warps = config.warps;
  if (config.uses_digits) return int64_t{warps} * kLutDigitWords * sizeof(uint32_t);
  if (layout.is_per_channel) return int64_t{warps} * LutChannelBytes(layout.bits);
  const int tables = layout.bits == 1 && config.columns > 8 ? 2 : 1;
  return int64_t{tables} * layout.table_entries() * kLutTableRow;
}

// The smallest kernel that takes the batch in one launch.
int ColumnsFor(const LutFusedProblem& problem) {
  if (problem.layout.is_per_channel) return 8;
  if (problem.batch == 1) return 1;
  return problem.batch <= 8 ? 8 : kLutMaxColumns;
}

// Splitting activations into digits takes a warp as long as two row blocks do by look-ups.
constexpr int64_t kLeastRowsOfDigits = 4;

bool UsesDigits(const LutFusedProblem& problem, const CudaLimits& limits) {
  const LutCudaLayout& layout = problem.layout;
  return layout.bits == 1 && !layout.is_per_channel && problem.batch == 1 && layout.block != 32 &&
         DivideUp(layout.row_blocks(), limits.multiprocessors) >= kLeastRowsOfDigits;
}

absl::Status Launch(const CudaDevice& device, const LutCudaLayout& layout,
                    const LutFusedConfig& config, const LutFusedArguments& arguments) {
  switch (layout.bits) {
    case 1:
      return LaunchLutFusedBits<1>(device, layout, config, arguments);
    case 2:
      return LaunchLutFusedBits<2>(device, layout, config, arguments);
    case 3:
      return LaunchLutFusedBits<3>(device, layout, config, arguments);
    case 4:
      return LaunchLutFusedBits<4>(device, layout, config, arguments);
    default:
      return LaunchLutFusedBits<8>(device, layout, config, arguments);
  }
}

}  // namespace

std::string LutFusedConfig::ToString() const {
  return absl::StrCat("grid ", grid, ", warps ", warps, ", columns ", columns,
                      uses_digits ? ", digits" : "", ", chunk_rows ", chunk_rows, ", shared_bytes ",
                      shared_bytes);
}

LutFusedConfig WithLutBlocks(const LutFusedProblem& problem, const CudaLimits& limits,
                             LutFusedConfig config, int warps, int per_multiprocessor) {
  // What the system keeps of each block's shared memory, from compute capability 8.0.
  constexpr int64_t kReserved = 1024;
  const int64_t row_blocks = problem.layout.row_blocks();
  config.warps = warps;
  config.grid = static_cast<int>(
      std::min<int64_t>(row_blocks, int64_t{limits.multiprocessors} * per_multiprocessor));
  const int64_t fixed = FixedBytes(problem.layout, config);
  const int64_t row_bytes = int64_t{warps} * LutPartialValues(config.columns) * sizeof(float);
  const int64_t room =
      (static_cast<int64_t>(limits.shared_bytes) + kReserved) / per_multiprocessor - kReserved -
      fixed;
  if (room < row_bytes && per_multiprocessor > 1) {
    return WithLutBlocks(problem, limits, config, warps, 1);
  }
  const int64_t rows = DivideUp(row_blocks, config.grid);
  const int64_t chunks = DivideUp(rows, room / row_bytes);
  config.chunk_rows = static_cast<int>(DivideUp(rows, chunks));
  config.shared_bytes = static_cast<size_t>(fixed + config.chunk_rows * row_bytes);
  return config;
}

LutFusedConfig ChooseLutFusedConfig(const LutFusedProblem& problem, const CudaLimits& limits) {
  LutFusedConfig config;
  config.columns = ColumnsFor(problem);
  config.uses_digits = UsesDigits(problem, limits);
  return WithLutBlocks(problem, limits, config, LutMostWarps(problem.layout.bits, config.columns),
                       1);
}

OperationCounts LutFusedOperations(const LutFusedProblem& problem, const CudaLimits& limits) {
  const LutCudaLayout& layout = problem.layout;
  const LutFusedConfig config = ChooseLutFusedConfig(problem, limits);
  const auto launches = static_cast<double>(DivideUp(problem.batch, config.columns));
  const bool is_single = layout.is_per_channel || layout.bits == 8;  // weights one by one
  const auto weights = static_cast<double>(layout.row_blocks() * kLutUnitRows *
                                           layout.units_per_row() * kLutUnitCols);
  // 32 lanes take 32 words in a wavefront, of two weights where several are looked up at once.
  const bool has_lookups = !config.uses_digits && !(layout.is_per_channel && layout.bits == 8);
  const double lookups = has_lookups ? weights / (is_single ? 32 : 64) : 0;
  const double fill =
      config.uses_digits || layout.is_per_channel
          ? 0
          : static_cast<double>(config.grid * FixedBytes(layout, config) / kWavefrontBytes);
  return {{"launch", launches}, {"shared_memory", launches * (lookups + fill)}};
}

absl::Status LaunchLutFusedAs(const CudaDevice& device, const LutFusedConfig& config,
                              const LutFusedProblem& problem, const void* packed, const void* table,
                              const void* u, void* z) {
  const LutCudaLayout& layout = problem.layout;
  const int64_t row_blocks = layout.row_blocks();
  LutFusedArguments arguments = {.packed = static_cast<const char*>(packed),
                                 .table = table,
                                 .u = nullptr,
                                 .z = nullptr,
                                 .out_features = static_cast<int>(layout.out_features),
                                 .in_features = static_cast<int>(layout.in_features),
                                 .columns = 0,
                                 .units_per_row = static_cast<int>(layout.units_per_row()),
                                 .has_scales = layout.block != 0,
                                 .is_bfloat16 = layout.is_bfloat16,
                                 .chunk_rows = config.chunk_rows,
                                 .row_quotient = static_cast<int>(row_blocks / config.grid),
                                 .row_remainder = static_cast<int>(row_blocks % config.grid)};
  for (int64_t first = 0; first < problem.batch; first += config.columns) {
    arguments.u = static_cast<const uint16_t*>(u) + first * layout.in_features;
    arguments.z = static_cast<float*>(z) + first * layout.out_features;
    arguments.columns = static_cast<int>(std::min<int64_t>(config.columns, problem.batch - first));
    QTIPD_RETURN_IF_ERROR(Launch(device, layout, config, arguments));
  }
  return absl::OkStatus();
}

absl::Status LaunchLutFused(const CudaDevice& device, const LutFusedProblem& problem,
                            const void* packed, const void* table, const void* u, void* z) {
  return LaunchLutFusedAs(device, ChooseLutFusedConfig(problem, device.limits()), problem, packed,
                          table, u, z);
}

}  // namespace qtipd
