#include "kernels/formats/qtip/qtip_cuda_fused.h"

#include <cuda_fp16.h>
#include <algorithm>
#include <array>
#include <bit>

#include "kernels/api/status.h"
#include "kernels/cuda/arrange_matrices.h"
#include "kernels/formats/qtip/qtip_cuda_arrange.h"
#include "kernels/formats/qtip/qtip_cuda_fused_warpgroup.h"

namespace qtipd {
namespace {

constexpr int kWarps = 16;
// Above 2 bits the words of four row blocks do not fit in registers beside their sums.
constexpr int kMaxBitsOfFourRows = 2;
constexpr int kSegmentColumns = 4;  // up to here activations stay in registers
constexpr int kWideColumns = 8;
// Whose activations fit in the registers of a warp.
constexpr int kUnitsOf8Vectors = 4;
constexpr int kUnitsOf16Vectors = 2;
constexpr int kWideRows = 4;
constexpr int kWideRowsOfManyColumns = 2;
constexpr int kLeastWideWarps = 4;          // that share a row block: one on every scheduler
constexpr int kMostColumnsOfFourRows = 16;  // whose sums of four row blocks fit in registers
constexpr int kFewReplicasRows = 2;
// Row blocks of a block below which what a warpgroup's kernel takes beside its loop is too much:
// two a warp.
constexpr int64_t kLeastWarpgroupRows = 5;
constexpr int kWavefrontBytes = 128;  // that shared memory takes or gives in a cycle

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// 16 rows of fp32 for every column and every warp that shares the row block.
int64_t PartialBytesPerRow(const FusedConfig& config) {
  return int64_t{config.warps_per_row} * config.columns * kUnitRows * 4;
}

// Row blocks that the looping kernel reduces at once: as many as fit beside the table, a multiple
// of those in flight.
int ChunkRows(const FusedConfig& config, int64_t rows_per_block, size_t shared_bytes) {
  const auto room = static_cast<int64_t>(shared_bytes) - FoldedBytes(config.table_replicas);
  const int64_t rounds = room / PartialBytesPerRow(config) / config.rows_in_flight;
  return static_cast<int>(std::min(rounds, DivideUp(rows_per_block, config.rows_in_flight))) *
         config.rows_in_flight;
}

// Units of a row block that one of 16 warps keeps the activations of; 0 for rows that no kernel
// with resident activations is made for.
int ResidentUnits(int64_t in_features) {
  for (const int per_warp : {1, 2, 4}) {
    if (in_features == int64_t{per_warp} * kWarps * kUnitCols) return per_warp;
  }
  return 0;
}

// The smallest kernel that takes the batch in one launch.
int ColumnsFor(int64_t batch) {
  if (batch == 1) return 1;
  for (const int columns : {kSegmentColumns, kWideColumns, 16}) {
    if (batch <= columns) return columns;
  }
  return kMaxFusedColumns;
}

// Row blocks that a warp sums at once as it loops over columns: as few surplus ones as possible,
// and then as many at once as registers are good for. With one at once loads come late.
int LoopingRows(const FusedProblem& problem, int64_t rows_per_block) {
  if (rows_per_block == 1) return 1;
  const bool has_many_bits = problem.bits > kMaxBitsOfFourRows;
  int best = 2;
  for (const int rows : {3, 4}) {
    const int64_t surplus = DivideUp(rows_per_block, rows) * rows;
    const int64_t least = DivideUp(rows_per_block, best) * best;
    if (surplus < least || (surplus == least && !has_many_bits)) best = rows;
  }
  return best;
}

// Where four warps multiply together: as few slots as take the block's row blocks at once.
void ChooseWarpgroups(int64_t rows_per_block, FusedConfig& config) {
  config.uses_warpgroups = true;
  config.warps_per_row = kWarpgroups;
  config.rows_in_flight = std::max(kLeastWarpgroupSlots, WarpgroupSlotsFor(rows_per_block));
  config.chunk_rows = kWarpgroupWarps * config.rows_in_flight;
  config.shared_bytes = static_cast<size_t>(WarpgroupSharedBytes(config.rows_in_flight));
}

// Row blocks at once, and warps that share one: so that the block goes through the activations as
// few times as possible, and rather with more row blocks a warp, which load them once.
void ChooseWide(const FusedProblem& problem, int64_t rows_per_block, size_t shared_bytes,
                FusedConfig& config) {
  const auto room = static_cast<int64_t>(shared_bytes) - FoldedBytes(config.table_replicas);
  config.units_per_warp = ResidentUnits(problem.in_features);
  const int most_units = config.columns > kMostColumnsOfFourRows ? 0
                         : config.columns > kWideColumns         ? kUnitsOf16Vectors
                                                                 : kUnitsOf8Vectors;
  if (config.units_per_warp > most_units || config.table_replicas == kFewReplicas) {
    config.units_per_warp = 0;
  }
  if (config.units_per_warp > 0) {
    config.warps_per_row = kWarps;
    const int64_t chunks = DivideUp(rows_per_block, room / PartialBytesPerRow(config));
    config.chunk_rows = static_cast<int>(DivideUp(rows_per_block, chunks));
    return;
  }
  const auto units = static_cast<uint64_t>(UnitsPerRow(problem.in_features));
  config.warps_per_row = static_cast<int>(std::min<uint64_t>(std::bit_ceil(units), kWarps));
  int64_t groups = kWarps / config.warps_per_row;
  const bool is_crowded = config.columns > kMostColumnsOfFourRows;
  int most = is_crowded ? kWideRowsOfManyColumns : kWideRows;
  const int least_warps = is_crowded ? kLeastWideWarps / 2 : kLeastWideWarps;
  while (kWarps * config.columns * kUnitRows * 4 * most > room) most /= 2;
  if (config.table_replicas == kFewReplicas) most = 1;
  config.rows_in_flight = 1;
  while (config.rows_in_flight < most && groups * config.rows_in_flight < rows_per_block) {
    config.rows_in_flight *= 2;
  }
  while (config.warps_per_row > least_warps && groups * config.rows_in_flight < rows_per_block) {
    config.warps_per_row /= 2;
    groups *= 2;
  }
  config.chunk_rows = static_cast<int>(groups) * config.rows_in_flight;
}

constexpr int kCountedCapability = 9;  // major number of the machine code counted below

// Instructions that a lane issues for one weight in the loop of the kernel that `config` names, at
// 1 to 4 bits; 0 for those of warpgroups, which are not counted. Counted in the machine code
// (sm_90, CUDA 13.0) by tests/kernels/cuda/count_instructions.py: of every family the shape with
// the fewest, which is the one with most units or row blocks in flight.
double InstructionsPerWeight(const FusedConfig& config, int bits) {
  using Counts = std::array<double, 4>;
  constexpr Counts kResident1 = {2.711, 2.684, 2.777, 2.637},
                   kResident4 = {2.773, 2.746, 2.844, 2.699},
                   kResident8 = {2.801, 2.773, 2.973, 2.781},
                   kResident16 = {3.055, 3.000, 3.289, 2.953};
  constexpr Counts kLooping1 = {2.832, 2.801, 2.883, 2.781},
                   kLooping4 = {2.848, 2.812, 2.898, 2.809},
                   kLooping8 = {2.961, 2.938, 3.188, 2.914},
                   kLooping16 = {3.000, 2.992, 3.223, 2.965},
                   kLooping32 = {3.445, 3.430, 3.688, 3.398};
  if (config.uses_warpgroups) return 0;
  const bool is_resident = config.units_per_warp > 0;
  if (config.columns == 1) return (is_resident ? kResident1 : kLooping1)[bits - 1];
  if (config.columns == kSegmentColumns) return (is_resident ? kResident4 : kLooping4)[bits - 1];
  if (config.columns == kWideColumns) return (is_resident ? kResident8 : kLooping8)[bits - 1];
  if (config.columns == 16) return (is_resident ? kResident16 : kLooping16)[bits - 1];
  return kLooping32[bits - 1];
}

// The vectors from `first` on that one launch takes.
FusedProblem OneLaunch(FusedProblem problem, int64_t first) {
  problem.batch = std::min<int64_t>(kMaxFusedColumns, problem.batch - first);
  return problem;
}

// Where the kernel of `config` finds the activations `u`.
absl::StatusOr<const void*> Arranged(const CudaDevice& device, const FusedProblem& problem,
                                     const FusedConfig& config, const void* u, void* arranged) {
  if (!config.arranges()) return u;
  if (config.uses_warpgroups) {
    QTIPD_RETURN_IF_ERROR(LaunchArrangeMatrices(
        device, kHalfUnitColumns, problem.in_features, UnitsPerRow(problem.in_features) * kUnitCols,
        static_cast<int>(problem.batch), config.columns, u, arranged));
  } else {
    QTIPD_RETURN_IF_ERROR(LaunchArrange(
        device, problem.in_features, static_cast<int>(problem.batch), config.columns, u, arranged));
  }
  return arranged;
}

template <int kBits, typename Arguments>
absl::Status LaunchBits(const CudaDevice& device, const FusedConfig& config,
                        const Arguments& arguments) {
  if constexpr (kBits <= kWarpgroupMostBits) {
    if (config.uses_warpgroups) return LaunchWarpgroupBits<kBits>(device, config, arguments);
  }
  return LaunchFusedBits<kBits>(device, config, arguments);
}

template <typename Arguments>
absl::Status Launch(const CudaDevice& device, int bits, const FusedConfig& config,
                    const Arguments& arguments) {
  switch (bits) {
    case 1:
      return LaunchBits<1>(device, config, arguments);
    case 2:
      return LaunchBits<2>(device, config, arguments);
    case 3:
      return LaunchBits<3>(device, config, arguments);
    default:
      return LaunchBits<4>(device, config, arguments);
  }
}

}  // namespace

FusedConfig ChooseFusedConfig(const FusedProblem& problem, const CudaLimits& limits) {
  FusedConfig config;
  const int64_t row_blocks = problem.out_features / kUnitRows;
  const int64_t rows_per_block = DivideUp(row_blocks, limits.multiprocessors);
  config.grid = static_cast<int>(std::min<int64_t>(row_blocks, limits.multiprocessors));
  config.columns = ColumnsFor(problem.batch);
  config.table_replicas = ReplicasFor(limits.shared_bytes);
  const bool has_few_replicas = config.table_replicas == kFewReplicas;
  if (config.columns == kWarpgroupColumns && limits.has_warpgroup_mma &&
      problem.bits <= kWarpgroupMostBits && rows_per_block >= kLeastWarpgroupRows) {
    ChooseWarpgroups(rows_per_block, config);
    return config;
  }
  if (config.columns > kSegmentColumns) {
    ChooseWide(problem, rows_per_block, limits.shared_bytes, config);
  } else {
    config.warps_per_row = kWarps;
    config.units_per_warp = ResidentUnits(problem.in_features);
    config.chunk_rows = static_cast<int>(rows_per_block);
    const int64_t bytes = rows_per_block * PartialBytesPerRow(config);
    const auto room = static_cast<int64_t>(limits.shared_bytes) - FoldedBytes(kMostReplicas);
    if (has_few_replicas || bytes > room) config.units_per_warp = 0;
  }
  if (config.columns <= kSegmentColumns && config.units_per_warp == 0) {
    config.rows_in_flight =
        has_few_replicas ? kFewReplicasRows : LoopingRows(problem, rows_per_block);
    config.chunk_rows = ChunkRows(config, rows_per_block, limits.shared_bytes);
  }
  config.shared_bytes =
      FoldedBytes(config.table_replicas) + config.chunk_rows * PartialBytesPerRow(config);
  return config;
}

FusedArguments DescribeFused(const FusedProblem& problem, const FusedConfig& config,
                             const void* packed, const void* table) {
  const auto row_blocks = static_cast<int>(problem.out_features / kUnitRows);
  return {.packed = static_cast<const char*>(packed),
          .table = static_cast<const uint32_t*>(table),
          .out_features = static_cast<int>(problem.out_features),
          .in_features = static_cast<int>(problem.in_features),
          .columns = static_cast<int>(problem.batch),
          .warps_per_row_log2 = std::countr_zero(static_cast<unsigned>(config.warps_per_row)),
          .chunk_rows = config.chunk_rows,
          .row_quotient = row_blocks / config.grid,
          .row_remainder = row_blocks % config.grid};
}

std::string FusedConfig::ToString() const {
  return "grid " + std::to_string(grid) + ", columns " + std::to_string(columns) +
         ", warps_per_row " + std::to_string(warps_per_row) + ", table_replicas " +
         std::to_string(table_replicas) +
         (units_per_warp > 0 ? ", resident units_per_warp " + std::to_string(units_per_warp)
          : uses_warpgroups  ? ", warpgroups"
                             : ", looping") +
         ", rows_in_flight " + std::to_string(rows_in_flight) + ", chunk_rows " +
         std::to_string(chunk_rows) + ", shared_bytes " + std::to_string(shared_bytes);
}

OperationCounts FusedOperations(const FusedProblem& problem, const CudaLimits& limits) {
  OperationCounts operations;
  for (int64_t first = 0; first < problem.batch; first += kMaxFusedColumns) {
    const FusedProblem part = OneLaunch(problem, first);
    const FusedConfig config = ChooseFusedConfig(part, limits);
    const auto weights =
        static_cast<double>(problem.out_features * UnitsPerRow(problem.in_features) * kUnitCols);
    const double fill =
        static_cast<double>(config.grid) * FoldedBytes(config.table_replicas) / kWavefrontBytes;
    operations["launch"] += config.arranges() ? 2 : 1;
    operations["shared_memory"] += weights / 2 / 32 + fill;
    const double instructions = InstructionsPerWeight(config, problem.bits);
    if (limits.compute_capability / 10 == kCountedCapability && instructions > 0) {
      operations["issue"] += weights / 32 * instructions;
    }
  }
  return operations;
}

absl::Status LaunchFused(const CudaDevice& device, const FusedProblem& problem, const void* packed,
                         const void* table, const void* u, void* z, void* arranged) {
  return LaunchFusedAs(device, device.limits(), problem, packed, table, u, z, arranged);
}

absl::Status LaunchFusedAs(const CudaDevice& device, const CudaLimits& as,
                           const FusedProblem& problem, const void* packed, const void* table,
                           const void* u, void* z, void* arranged) {
  for (int64_t first = 0; first < problem.batch; first += kMaxFusedColumns) {
    const FusedProblem part = OneLaunch(problem, first);
    const FusedConfig config = ChooseFusedConfig(part, as);
    FusedArguments arguments = DescribeFused(part, config, packed, table);
    arguments.z = static_cast<float*>(z) + first * problem.out_features;
    QTIPD_ASSIGN_OR_RETURN(
        arguments.u,
        Arranged(device, part, config, static_cast<const __half*>(u) + first * problem.in_features,
                 arranged));
    QTIPD_RETURN_IF_ERROR(Launch(device, problem.bits, config, arguments));
  }
  return absl::OkStatus();
}

absl::Status LaunchFusedAlone(const CudaDevice& device, const FusedProblem& problem,
                              const void* packed, const void* table, const void* u, void* z,
                              void* arranged, PhaseRecord* records) {
  FusedConfig config = ChooseFusedConfig(problem, device.limits());
  config.waits_for_previous = true;
  FusedArguments arguments = DescribeFused(problem, config, packed, table);
  arguments.z = static_cast<float*>(z);
  QTIPD_ASSIGN_OR_RETURN(arguments.u, Arranged(device, problem, config, u, arranged));
  if (records == nullptr) return Launch(device, problem.bits, config, arguments);
  return Launch(device, problem.bits, config, TracedArguments{arguments, records});
}

}  // namespace qtipd
