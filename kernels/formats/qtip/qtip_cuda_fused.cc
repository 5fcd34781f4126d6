#include "kernels/formats/qtip/qtip_cuda_fused.h"

#include <cuda_fp16.h>
#include <algorithm>
#include <array>
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

constexpr int kWavefrontBytes = 128;  // that shared memory takes or gives in a cycle

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

constexpr int kCountedCapability = 9;  // major number of the machine code counted below

// Instructions that a lane issues for one weight in the loop of the kernel that `config` names, at
// 2, 3 and 4 bits. Counted in the machine code (sm_90, CUDA 13.0) by
// tests/kernels/cuda/count_instructions.py: of every family the shape with the fewest, which is the
// one with most units or row blocks in flight.
double InstructionsPerWeight(const FusedConfig& config, int bits) {
  using Counts = std::array<double, 3>;
  constexpr Counts kResident1 = {2.770, 2.883, 2.723}, kResident4 = {2.777, 2.805, 2.766};
  constexpr Counts kLooping1 = {3.000, 3.164, 3.094}, kLooping4 = {3.023, 3.219, 3.121};
  constexpr Counts kWide8 = {4.016, 4.734, 3.898}, kWide16 = {4.578, 5.328, 4.516};
  if (config.columns > 8) return kWide16[bits - 2];
  if (config.columns > kSegmentColumns) return kWide8[bits - 2];
  const bool is_single = config.columns == 1;
  if (config.units_per_warp > 0) return (is_single ? kResident1 : kResident4)[bits - 2];
  return (is_single ? kLooping1 : kLooping4)[bits - 2];
}

// All but the vectors.
FusedArguments Describe(const FusedProblem& problem, const FusedConfig& config, const void* packed,
                        const void* table) {
  const auto row_blocks = static_cast<int>(problem.out_features / kUnitRows);
  return {.packed = static_cast<const char*>(packed),
          .table = static_cast<const uint32_t*>(table),
          .out_features = static_cast<int>(problem.out_features),
          .in_features = static_cast<int>(problem.in_features),
          .warps_per_row_log2 = std::countr_zero(static_cast<unsigned>(config.warps_per_row)),
          .chunk_rows = config.chunk_rows,
          .row_quotient = row_blocks / config.grid,
          .row_remainder = row_blocks % config.grid};
}

template <typename Arguments>
absl::Status Launch(const CudaDevice& device, int bits, const FusedConfig& config,
                    const Arguments& arguments) {
  const auto launch = bits == 2   ? LaunchFusedBits<2, Arguments>
                      : bits == 3 ? LaunchFusedBits<3, Arguments>
                                  : LaunchFusedBits<4, Arguments>;
  return launch(device, config, arguments);
}

}  // namespace

FusedConfig ChooseFusedConfig(const FusedProblem& problem, int multiprocessors) {
  FusedConfig config;
  const int64_t row_blocks = problem.out_features / kUnitRows;
  const int64_t units = UnitsPerRow(problem.in_features);
  const int64_t rows_per_block = DivideUp(row_blocks, multiprocessors);
  config.grid = static_cast<int>(DivideUp(row_blocks, rows_per_block));
  config.columns = ColumnsFor(problem.batch);
  config.warps_per_row =
      static_cast<int>(std::min<uint64_t>(std::bit_ceil(static_cast<uint64_t>(units)), kWarps));
  const int row_groups = kWarps / config.warps_per_row;
  int at_once = row_groups;
  if (config.columns > kSegmentColumns) {
    config.rows_in_flight = rows_per_block > row_groups ? kWideRowsInFlight : 1;
    at_once = row_groups * config.rows_in_flight;
    config.chunk_rows = at_once;
  } else if (units <= kMaxResidentUnits && std::has_single_bit(static_cast<uint64_t>(units))) {
    config.units_per_warp = static_cast<int>(units / config.warps_per_row);
    at_once = row_groups * (kUnitsInFlight / config.units_per_warp);
    const int64_t fitting = kPartialBytes / PartialBytesPerRow(config) / at_once * at_once;
    config.chunk_rows = static_cast<int>(std::max<int64_t>(at_once, fitting));
  } else {
    config.warps_per_row = kWarps;
    // As few rounds as possible, each of which ends in a reduction, and no surplus rows in them.
    const int64_t rounds = DivideUp(rows_per_block, kMaxRowsInFlight);
    config.rows_in_flight = static_cast<int>(DivideUp(rows_per_block, rounds));
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

OperationCounts FusedOperations(const FusedProblem& problem, int multiprocessors,
                                int compute_capability) {
  const FusedConfig config = ChooseFusedConfig(problem, multiprocessors);
  const auto launches = static_cast<double>(DivideUp(problem.batch, config.columns));
  const auto weights =
      static_cast<double>(problem.out_features * UnitsPerRow(problem.in_features) * kUnitCols);
  const double fill = static_cast<double>(config.grid) * kFoldedBytes / kWavefrontBytes;
  OperationCounts operations = {{"launch", launches},
                                {"shared_memory", launches * (weights / 2 / 32 + fill)}};
  if (compute_capability / 10 == kCountedCapability) {
    operations["issue"] = launches * weights / 32 * InstructionsPerWeight(config, problem.bits);
  }
  return operations;
}

absl::Status LaunchFused(const CudaDevice& device, const FusedProblem& problem, const void* packed,
                         const void* table, const void* u, void* z) {
  const FusedConfig config = ChooseFusedConfig(problem, device.multiprocessors());
  for (int64_t first = 0; first < problem.batch; first += config.columns) {
    FusedArguments arguments = Describe(problem, config, packed, table);
    arguments.u = static_cast<const __half*>(u) + first * problem.in_features;
    arguments.z = static_cast<float*>(z) + first * problem.out_features;
    arguments.columns = static_cast<int>(std::min<int64_t>(config.columns, problem.batch - first));
    QTIPD_RETURN_IF_ERROR(Launch(device, problem.bits, config, arguments));
  }
  return absl::OkStatus();
}

absl::Status LaunchFusedAlone(const CudaDevice& device, const FusedProblem& problem,
                              const void* packed, const void* table, const void* u, void* z,
                              PhaseRecord* records) {
  FusedConfig config = ChooseFusedConfig(problem, device.multiprocessors());
  config.waits_for_previous = true;
  FusedArguments arguments = Describe(problem, config, packed, table);
  arguments.u = u;
  arguments.z = static_cast<float*>(z);
  arguments.columns = static_cast<int>(problem.batch);
  if (records == nullptr) return Launch(device, problem.bits, config, arguments);
  return Launch(device, problem.bits, config, TracedArguments{arguments, records});
}

}  // namespace qtipd
