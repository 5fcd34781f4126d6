#include "kernels/formats/qtip/qtip_cuda_fused.h"

#include <cuda_fp16.h>
#include <algorithm>

namespace qtipd {
namespace {

constexpr int kWarps = 16;
constexpr int64_t kMaxResidentUnits = 64;  // 8192 columns: activations stay in registers
constexpr int kMaxRowsInFlight = 4;
constexpr int kMaxColumns = 4;
// Partial sums share the block's memory with the 128 KiB table; 24 KiB fit beside it on every
// device that the table fits on.
constexpr int64_t kPartialBytes = 24 * 1024;

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Two column segments, 16 rows of fp32, for every warp that shares the row block.
int64_t PartialBytesPerRow(const FusedConfig& config) {
  return int64_t{config.warps_per_row} * 2 * config.columns * kUnitRows * 4;
}

}  // namespace

FusedConfig ChooseFusedConfig(const FusedProblem& problem, int multiprocessors) {
  FusedConfig config;
  const int64_t row_blocks = problem.out_features / kUnitRows;
  const int64_t units = UnitsPerRow(problem.in_features);
  const int64_t rows_per_block = DivideUp(row_blocks, multiprocessors);
  config.grid = static_cast<int>(DivideUp(row_blocks, rows_per_block));
  config.columns = problem.batch == 1 ? 1 : kMaxColumns;
  config.warps_per_row = static_cast<int>(std::min<int64_t>(units, kWarps));
  if (units <= kMaxResidentUnits) {
    config.units_per_warp = static_cast<int>(units / config.warps_per_row);
  } else {
    config.rows_in_flight =
        rows_per_block >= 3 ? kMaxRowsInFlight : static_cast<int>(rows_per_block);
  }
  const int64_t at_once =
      config.units_per_warp > 0 ? kWarps / config.warps_per_row : config.rows_in_flight;
  const int64_t fitting = kPartialBytes / PartialBytesPerRow(config) / at_once * at_once;
  config.chunk_rows = static_cast<int>(std::max(at_once, fitting));
  if (config.rows_in_flight > 0) config.chunk_rows = config.rows_in_flight;
  config.shared_bytes = kFoldedBytes + config.chunk_rows * PartialBytesPerRow(config);
  return config;
}

std::string FusedConfig::ToString() const {
  return "grid " + std::to_string(grid) + ", columns " + std::to_string(columns) +
         ", warps_per_row " + std::to_string(warps_per_row) +
         (units_per_warp > 0 ? ", resident units_per_warp " + std::to_string(units_per_warp)
                             : ", looping rows_in_flight " + std::to_string(rows_in_flight)) +
         ", chunk_rows " + std::to_string(chunk_rows) + ", shared_bytes " +
         std::to_string(shared_bytes);
}

absl::Status LaunchFused(const CudaDevice& device, const FusedProblem& problem, const void* packed,
                         const void* table, const void* u, void* z) {
  const FusedConfig config = ChooseFusedConfig(problem, device.multiprocessors());
  for (int64_t first = 0; first < problem.batch; first += config.columns) {
    const FusedArguments arguments = {
        .packed = static_cast<const char*>(packed),
        .table = static_cast<const uint32_t*>(table),
        .u = static_cast<const __half*>(u) + first * problem.in_features,
        .z = static_cast<float*>(z) + first * problem.out_features,
        .out_features = static_cast<int>(problem.out_features),
        .in_features = static_cast<int>(problem.in_features),
        .columns = static_cast<int>(std::min<int64_t>(config.columns, problem.batch - first)),
        .warps_per_row = config.warps_per_row,
        .chunk_rows = config.chunk_rows};
    const auto launch = problem.bits == 2   ? LaunchFusedBits<2>
                        : problem.bits == 3 ? LaunchFusedBits<3>
                                            : LaunchFusedBits<4>;
    QTIPD_RETURN_IF_ERROR(launch(device, config, arguments));
  }
  return absl::OkStatus();
}

}  // namespace qtipd
