#include "kernels/formats/lut/lut_cuda_fused.h"

#include <cuda_fp16.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kernels/api/status.h"
#include "kernels/cuda/arrange_matrices.h"
#include "kernels/formats/lut/lut_cuda_warpgroup.h"

namespace qtipd {
namespace {

constexpr int kWavefrontBytes = 128;  // that shared memory takes or gives in a cycle

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Of shared memory beside the partial sums and the tables of sums.
int64_t FixedBytes(const LutCudaLayout& layout, const LutFusedConfig& config) {
  if (config.uses_sums) return 0;
  if (layout.is_per_channel) return int64_t{config.warps} * LutChannelBytes(layout.bits);
  return int64_t{layout.table_entries()} * kLutTableRow;
}

// The smallest kernel that takes the batch in one launch.
int ColumnsFor(const LutFusedProblem& problem) {
  if (problem.layout.is_per_channel) return 8;
  if (problem.batch == 1) return 1;
  return problem.batch <= 8 ? 8 : kLutMaxColumns;
}

// Partial sums of a strip.
int64_t StripBytes(int warps) { return int64_t{warps} * 32 * sizeof(float); }

// Blocks that have so few row blocks have half the warps: the next grid's begin beside them.
constexpr int64_t kFewRowBlocks = 2;
constexpr int kFewWarps = 8;

// Above this many chunks of columns making the tables takes longer than look-ups of weights.
constexpr int64_t kMostSumsChunks = 6;

// Row blocks that a thread block owns some of together.
int64_t OwnedBlocks(const LutFusedConfig& config) { return config.uses_sums ? kLutStripBlocks : 1; }

// As many tables as there is room for, in chunks of equal size.
void ChooseSums(const LutCudaLayout& layout, int64_t strips, int64_t shared_bytes,
                LutFusedConfig& config) {
  const int64_t partials = strips * StripBytes(config.warps);
  const int64_t most = (shared_bytes - partials) / LutUnitSumsBytes(layout.bits);
  const int64_t chunks = DivideUp(layout.units_per_row(), std::max<int64_t>(most, 1));
  config.chunk_units = static_cast<int>(DivideUp(layout.units_per_row(), chunks));
  config.shared_bytes =
      static_cast<size_t>(partials + config.chunk_units * int64_t{LutUnitSumsBytes(layout.bits)});
}

// The sums of all strips of a block, which nothing splits, have room beside the tables.
bool UsesSums(const LutFusedProblem& problem, const CudaLimits& limits) {
  const LutCudaLayout& layout = problem.layout;
  // At 2 bits there are twice as many look-ups and tables: no gain over look-ups of weights.
  if (layout.bits != 1 || layout.is_per_channel || problem.batch != 1) return false;
  LutFusedConfig config = {.warps = LutMostWarps(1), .columns = 1, .uses_sums = true};
  const int64_t strips =
      DivideUp(DivideUp(layout.row_blocks(), kLutStripBlocks), limits.multiprocessors);
  const auto shared_bytes = static_cast<int64_t>(limits.shared_bytes);
  if (StripBytes(config.warps) * strips * 2 > shared_bytes) return false;
  // Strips of two row blocks would leave more than half of the multiprocessors idle.
  if (layout.row_blocks() < limits.multiprocessors) return false;
  ChooseSums(layout, strips, shared_bytes, config);
  return DivideUp(layout.units_per_row(), config.chunk_units) <= kMostSumsChunks;
}

// Row blocks of a block below which half of a warpgroup's warps and more have none.
constexpr int64_t kLeastWarpgroupRows = 3;

// Above two bits only with one row block a warp: with more of them warps by themselves are faster.
bool UsesWarpgroups(const LutFusedProblem& problem, const CudaLimits& limits) {
  const int64_t rows = DivideUp(problem.layout.row_blocks(), limits.multiprocessors);
  return problem.batch > 8 && TakesLutWarpgroups(problem.layout, limits) &&
         rows >= kLeastWarpgroupRows &&
         (problem.layout.bits <= kLutBitsOfSeveralSlots || rows <= kWarpgroupWarps);
}

absl::Status LaunchWarpgroups(const CudaDevice& device, const LutCudaLayout& layout,
                              const LutFusedConfig& config, LutFusedArguments arguments,
                              void* arranged) {
  QTIPD_RETURN_IF_ERROR(LaunchArrangeMatrices(
      device, kLutMatrixColumns, layout.in_features, layout.units_per_row() * kLutUnitCols,
      arguments.columns, config.columns, arguments.u, arranged));
  arguments.u = static_cast<const uint16_t*>(arranged);
  switch (layout.bits) {
    case 1:
      return LaunchLutWarpgroupBits<1>(device, config, arguments);
    case 2:
      return LaunchLutWarpgroupBits<2>(device, config, arguments);
    case 3:
      return LaunchLutWarpgroupBits<3>(device, config, arguments);
    default:
      return LaunchLutWarpgroupBits<4>(device, config, arguments);
  }
}

absl::Status Launch(const CudaDevice& device, const LutCudaLayout& layout,
                    const LutFusedConfig& config, const LutFusedArguments& arguments,
                    void* arranged) {
  if (config.uses_warpgroups) {
    return LaunchWarpgroups(device, layout, config, arguments, arranged);
  }
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
  const std::string chunk =
      uses_sums ? absl::StrCat(", sums, chunk_units ", chunk_units)
                : absl::StrCat(uses_warpgroups ? ", warpgroups" : "", ", chunk_rows ", chunk_rows);
  return absl::StrCat("grid ", grid, ", warps ", warps, ", columns ", columns, chunk,
                      ", shared_bytes ", shared_bytes);
}

LutFusedConfig WithLutBlocks(const LutFusedProblem& problem, const CudaLimits& limits,
                             LutFusedConfig config, int warps, int per_multiprocessor) {
  // What the system keeps of each block's shared memory, from compute capability 8.0.
  constexpr int64_t kReserved = 1024;
  const int64_t owned = DivideUp(problem.layout.row_blocks(), OwnedBlocks(config));
  config.uses_warpgroups = false;
  config.warps = warps;
  config.grid = static_cast<int>(
      std::min<int64_t>(owned, int64_t{limits.multiprocessors} * per_multiprocessor));
  const int64_t rows = DivideUp(owned, config.grid);
  const int64_t fixed = FixedBytes(problem.layout, config);
  const int64_t row_bytes = int64_t{warps} * LutPartialValues(config.columns) * sizeof(float);
  const int64_t room =
      (static_cast<int64_t>(limits.shared_bytes) + kReserved) / per_multiprocessor - kReserved -
      fixed;
  if (config.uses_sums) {
    ChooseSums(problem.layout, rows, room, config);
    return config;
  }
  if (room < row_bytes && per_multiprocessor > 1) {
    return WithLutBlocks(problem, limits, config, warps, 1);
  }
  const int64_t chunks = DivideUp(rows, room / row_bytes);
  config.chunk_rows = static_cast<int>(DivideUp(rows, chunks));
  config.shared_bytes = static_cast<size_t>(fixed + config.chunk_rows * row_bytes);
  return config;
}

bool TakesLutWarpgroups(const LutCudaLayout& layout, const CudaLimits& limits) {
  return limits.has_warpgroup_mma && layout.bits <= 4 && !layout.is_per_channel &&
         layout.block != 32;
}

LutFusedConfig LutWarpgroupConfig(const LutCudaLayout& layout, const CudaLimits& limits) {
  const int64_t row_blocks = layout.row_blocks();
  LutFusedConfig config = {
      .warps = kWarpgroups * kWarpgroupWarps, .columns = kStreamVectors, .uses_warpgroups = true};
  config.grid = static_cast<int>(std::min<int64_t>(row_blocks, limits.multiprocessors));
  const int slots = layout.bits <= kLutBitsOfSeveralSlots
                        ? WarpgroupSlotsFor(DivideUp(row_blocks, config.grid))
                        : 1;
  config.chunk_rows = kWarpgroupWarps * slots;
  const int table_bytes = layout.table_entries() * kLutTableRow;
  config.shared_bytes = static_cast<size_t>(StreamSharedBytes(table_bytes, kLutUnitCols, slots));
  return config;
}

LutFusedConfig ChooseLutFusedConfig(const LutFusedProblem& problem, const CudaLimits& limits) {
  if (UsesWarpgroups(problem, limits)) return LutWarpgroupConfig(problem.layout, limits);
  LutFusedConfig config;
  config.columns = ColumnsFor(problem);
  config.uses_sums = UsesSums(problem, limits);
  const int64_t row_blocks = DivideUp(problem.layout.row_blocks(), limits.multiprocessors);
  const bool has_few = (problem.layout.bits == 4 || LutHasRowPieces(problem.layout.bits)) &&
                       config.columns == 1 && row_blocks == kFewRowBlocks && limits.has_clusters();
  return WithLutBlocks(problem, limits, config, has_few ? kFewWarps : LutMostWarps(config.columns),
                       1);
}

OperationCounts LutFusedOperations(const LutFusedProblem& problem, const CudaLimits& limits) {
  const LutCudaLayout& layout = problem.layout;
  const LutFusedConfig config = ChooseLutFusedConfig(problem, limits);
  const auto launches = static_cast<double>(DivideUp(problem.batch, config.columns));
  const bool is_single = layout.is_per_channel || layout.bits == 8;  // weights one by one
  const auto weights = static_cast<double>(layout.row_blocks() * kLutUnitRows *
                                           layout.units_per_row() * kLutUnitCols);
  // 32 lanes take 32 words in a wavefront: a weight each, two, or four bits of indices.
  const bool has_lookups = !(layout.is_per_channel && layout.bits == 8);
  const double at_once = config.uses_sums ? 4.0 / layout.bits : is_single ? 1 : 2;
  const double lookups = has_lookups ? weights / (32 * at_once) : 0;
  double fill = 0;
  if (config.uses_sums) {
    fill = static_cast<double>(config.grid * layout.units_per_row() *
                               LutUnitSumsBytes(layout.bits) / kWavefrontBytes);
  } else if (!layout.is_per_channel) {
    fill = static_cast<double>(config.grid * FixedBytes(layout, config) / kWavefrontBytes);
  }
  return {{"launch", launches * (config.uses_warpgroups ? 2 : 1)},
          {"shared_memory", launches * (lookups + fill)}};
}

absl::Status LaunchLutFusedAs(const CudaDevice& device, const LutFusedConfig& config,
                              const LutFusedProblem& problem, const void* packed, const void* table,
                              const void* u, void* z, void* arranged) {
  const LutCudaLayout& layout = problem.layout;
  const int64_t owned = DivideUp(layout.row_blocks(), OwnedBlocks(config));
  LutFusedArguments arguments = {.packed = static_cast<const char*>(packed),
                                 .table = table,
                                 .u = nullptr,
                                 .z = nullptr,
                                 .writes_half = problem.output_dtype == DType::kF16,
                                 .out_features = static_cast<int>(layout.out_features),
                                 .in_features = static_cast<int>(layout.in_features),
                                 .columns = 0,
                                 .units_per_row = static_cast<int>(layout.units_per_row()),
                                 .has_scales = layout.block != 0,
                                 .is_bfloat16 = layout.is_bfloat16,
                                 .chunk_rows = config.chunk_rows,
                                 .chunk_units = config.chunk_units,
                                 .row_quotient = static_cast<int>(owned / config.grid),
                                 .row_remainder = static_cast<int>(owned % config.grid)};
  for (int64_t first = 0; first < problem.batch; first += config.columns) {
    arguments.u = static_cast<const uint16_t*>(u) + first * layout.in_features;
    arguments.z = static_cast<char*>(z) + first * layout.out_features *
                                              static_cast<int64_t>(DTypeSize(problem.output_dtype));
    arguments.columns = static_cast<int>(std::min<int64_t>(config.columns, problem.batch - first));
    QTIPD_RETURN_IF_ERROR(Launch(device, layout, config, arguments, arranged));
  }
  return absl::OkStatus();
}

absl::Status LaunchLutFused(const CudaDevice& device, const LutFusedProblem& problem,
                            const void* packed, const void* table, const void* u, void* z,
                            void* arranged) {
  return LaunchLutFusedAs(device, ChooseLutFusedConfig(problem, device.limits()), problem, packed,
                          table, u, z, arranged);
}

}  // namespace qtipd
