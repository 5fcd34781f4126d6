#include "kernels/formats/qtip/qtip_cuda_fused.h"

#include <cuda_fp16.h>
#include <algorithm>
#include <bit>

namespace qtipd {
namespace {

constexpr int kWarps = 16;
constexpr int64_t kMaxResidentUnits = 64;  // 8192 columns: activations stay in registers
constexpr int kMaxRowsInFlight = 4;
constexpr int kSegmentColumns = 4;  // up to here activations stay in registers
constexpr int kWideRowsInFlight = 2;
// Partial sums share the block's memory with the 128 KiB table; 24 KiB fit beside it on every
// device that the table fits on.
constexpr int64_t kPartialBytes = 24 * 1024;

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// 16 rows of fp32 for every column and every warp that shares the row block, twice over where its
// two column segments are summed apart.
int64_t PartialBytesPerRow(const FusedConfig& config) {
  const int64_t parts = config.warps_per_row * (config.columns <= kSegmentColumns ? 2 : 1);
  return parts * config.columns * kUnitRows * 4;
}

// The smallest kernel that takes the batch in one launch.
int ColumnsFor(int64_t batch) {
  if (batch == 1) return 1;
  if (batch <= kSegmentColumns) return kSegmentColumns;
  return batch <= 8 ? 8 : 16;
}

}  // namespace

FusedConfig ChooseFusedConfig(const FusedProblem& problem, int multiprocessors) {
  FusedConfig config;
  const int64_t row_blocks = problem.out_features / kUnitRows;
  const int64_t units = UnitsPerRow(problem.in_features);
  const int64_t rows_per_block = DivideUp(row_blocks, multiprocessors);
  config.grid = static_cast<int>(DivideUp(row_blocks, rows_per_block));
  config.columns = ColumnsFor(problem.batch);
  config.warps_per_row = static_cast<int>(std::min<int64_t>(units, kWarps));
  const int row_groups = kWarps / config.warps_per_row;
  int at_once = row_groups;
  if (config.columns > kSegmentColumns) {
    config.rows_in_flight = rows_per_block > row_groups ? kWideRowsInFlight : 1;
    at_once = row_groups * config.rows_in_flight;
    config.chunk_rows = at_once;
  } else if (units <= kMaxResidentUnits) {
    config.units_per_warp = static_cast<int>(units / config.warps_per_row);
    at_once = row_groups * (kUnitsInFlight / config.units_per_warp);
    const int64_t fitting = kPartialBytes / PartialBytesPerRow(config) / at_once * at_once;
    config.chunk_rows = static_cast<int>(std::max<int64_t>(at_once, fitting));
  } else {
    config.rows_in_flight =
        rows_per_block >= 3 ? kMaxRowsInFlight : static_cast<int>(rows_per_block);
    config.chunk_rows = config.rows_in_flight;
  }
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
        .warps_per_row_log2 = std::countr_zero(static_cast<unsigned>(config.warps_per_row)),
        .chunk_rows = config.chunk_rows,
        .row_quotient = static_cast<int>(problem.out_features / kUnitRows) / config.grid,
        .row_remainder = static_cast<int>(problem.out_features / kUnitRows) % config.grid};
    const auto launch = problem.bits == 2   ? LaunchFusedBits<2>
                        : problem.bits == 3 ? LaunchFusedBits<3>
                                            : LaunchFusedBits<4>;
    QTIPD_RETURN_IF_ERROR(launch(device, config, arguments));
  }
  return absl::OkStatus();
}

}  // namespace qtipd
