#include "kernels/formats/int4/int4_cuda_fused.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "kernels/api/status.h"
#include "kernels/formats/int4/int4_cuda_fused_sizes.h"
#include "kernels/formats/int4/int4_cuda_warpgroup.h"

namespace qtipd {
namespace {

constexpr int kSchedulers = 4;
constexpr int64_t kAlignment = 128;
constexpr int64_t kReservedBytes = 1024;  // of a multiprocessor's shared memory, for each block
// Of some columns at a time: more only make the first ones come late.
constexpr int64_t kMostActivationBytes = 128 * 1024;
// Partial sums of several rounds at once.
constexpr int64_t kPartialBytes = 16 * 1024;

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t Align(int64_t bytes) { return DivideUp(bytes, kAlignment) * kAlignment; }

// What a choice is made from.
struct Work {
  int64_t rows = 0;   // row blocks of a block
  int64_t units = 0;  // of a row block
  int64_t vectors = 0;
  int64_t record_bytes = 0;
};

Work WorkOf(const Int4FusedProblem& problem, int grid) {
  return {.rows = DivideUp(problem.layout.row_blocks, grid),
          .units = problem.layout.units,
          .vectors = std::min<int64_t>(problem.batch, kInt4MostVectors),
          .record_bytes = problem.layout.record_bytes()};
}

// In all buffers.
int64_t ActivationBytes(const Work& work, const Int4FusedConfig& config) {
  const int64_t buffers = config.chunks > 1 ? 2 : 1;
  return buffers * config.slices * work.vectors * Int4VectorStride(config.chunk_units);
}

// Where everything lies, with as many slots as `room` bytes have place for, up to `most_slots`.
// No slots where there is not enough.
Int4FusedConfig LayOut(const Work& work, Int4FusedConfig config, int64_t room, int most_slots) {
  const int64_t warps = config.warps();
  const int64_t rounds = DivideUp(work.rows, config.rows_at_once);
  const int64_t slice_units = DivideUp(work.units, config.slices);
  config.chunks = static_cast<int>(DivideUp(slice_units, config.chunk_units));
  const int64_t activations = Align(ActivationBytes(work, config));
  const int64_t of_round =
      warps * work.vectors * kInt4UnitRows * static_cast<int64_t>(sizeof(float));
  config.aliases_activations = rounds == 1;
  const int64_t rounds_at_once = std::min(rounds, std::max<int64_t>(1, kPartialBytes / of_round));
  config.section_rows = static_cast<int>(rounds_at_once * config.rows_at_once);
  const int64_t partials = rounds_at_once * of_round;
  const int64_t behind_rings =
      config.aliases_activations ? std::max(activations, partials) : activations + partials;
  const int64_t a_slot = warps * (work.record_bytes + kInt4SlotBarrierBytes);
  const int64_t left = room - behind_rings - kAlignment;
  config.slots =
      static_cast<int>(std::min({left / a_slot, int64_t{most_slots}, rounds * slice_units}));
  if (left < 0) config.slots = 0;
  config.activations_at = static_cast<uint32_t>(Align(config.slots * a_slot));
  config.partials_at =
      config.activations_at + (config.aliases_activations ? 0 : static_cast<uint32_t>(activations));
  config.shared_bytes = config.activations_at + static_cast<size_t>(behind_rings);
  return config;
}

// How often the block reads the activations, how long its schedulers and its longest warp are busy:
// the less the better; where all agree, fewer slices make longer streams and fewer partial sums.
using Cost = std::tuple<int64_t, int64_t, int64_t, int64_t>;

// Records that a warp reads at most.
int64_t RecordsOf(const Work& work, const Int4FusedConfig& config) {
  return DivideUp(work.rows, config.rows_at_once) * DivideUp(work.units, config.slices);
}

Cost CostOf(const Work& work, const Int4FusedConfig& config) {
  const int64_t reads = config.chunks > 1 ? DivideUp(work.rows, config.rows_at_once) : 1;
  const int64_t records = RecordsOf(work, config);
  return {reads, DivideUp(config.warps(), kSchedulers) * records, records, config.slices};
}

// What a choice may spend.
struct Limits {
  int64_t room = 0;  // bytes of shared memory
  int warps = 0;
  int least_slots = 0;  // of a warp, or all that it reads
  int most_slots = 0;
  bool keeps_activations = false;
};

// The configuration of a number of slices, with the activations of as many units at a time as leave
// room for the slots; nothing where none do.
std::optional<Int4FusedConfig> WithSlices(const Work& work, const Limits& limits,
                                          Int4FusedConfig config, int slices) {
  const int64_t units = DivideUp(work.units, slices);
  config.slices = slices;
  config.rows_at_once = static_cast<int>(std::min<int64_t>(work.rows, limits.warps / slices));
  for (int64_t chunk = units; chunk > 0; chunk = chunk == 1 ? 0 : DivideUp(chunk, 2)) {
    config.chunk_units = static_cast<int>(chunk);
    const Int4FusedConfig made = LayOut(work, config, limits.room, limits.most_slots);
    const bool starts_late = !limits.keeps_activations && chunk > 1 &&
                             ActivationBytes(work, made) > kMostActivationBytes;
    if (starts_late) continue;
    if (made.slots >= std::min<int64_t>(limits.least_slots, RecordsOf(work, made))) return made;
    if (limits.keeps_activations) break;
  }
  return std::nullopt;
}

// The best of all ways to share rows and columns among the warps.
std::optional<Int4FusedConfig> BestOf(const Work& work, const Limits& limits,
                                      const Int4FusedConfig& common) {
  std::optional<Int4FusedConfig> best;
  for (int slices = 1; slices <= std::min<int64_t>(limits.warps, work.units); ++slices) {
    const auto config = WithSlices(work, limits, common, slices);
    if (config && (!best || CostOf(work, *config) < CostOf(work, *best))) best = config;
  }
  return best;
}

// Row blocks of a block below which half of a warpgroup's warps and more have none, and above which
// a warp has several: warps by themselves are faster then.
constexpr int64_t kLeastWarpgroupRows = 3;
constexpr int64_t kMostWarpgroupRows = kWarpgroupWarps * kInt4StreamSlots;

bool UsesWarpgroups(const Int4FusedProblem& problem, const CudaLimits& limits,
                    const Int4FusedTuning& tuning) {
  const int64_t rows = DivideUp(problem.layout.row_blocks, limits.multiprocessors);
  return tuning.uses_warpgroups && limits.has_warpgroup_mma &&
         problem.batch > kInt4VectorsPerTile && rows >= kLeastWarpgroupRows &&
         rows <= kMostWarpgroupRows;
}

absl::Status LaunchWarpgroups(const CudaDevice& device, const Int4FusedProblem& problem,
                              const Int4FusedConfig& config, const void* u,
                              Int4StreamArguments arguments, void* arranged) {
  const Int4CudaLayout& layout = problem.layout;
  QTIPD_RETURN_IF_ERROR(LaunchArrangeMatrices(device, kInt4MatrixColumns, problem.shape.in_features,
                                              layout.units * kInt4UnitCols, arguments.vectors,
                                              kStreamVectors, u, arranged));
  arguments.stream.activations = static_cast<const char*>(arranged);
  switch (layout.scales_per_unit) {
    case 1:
      return LaunchInt4StreamKernel<1>(device, layout.has_zeros, config, arguments);
    case 2:
      return LaunchInt4StreamKernel<2>(device, layout.has_zeros, config, arguments);
    default:
      return LaunchInt4StreamKernel<4>(device, layout.has_zeros, config, arguments);
  }
}

absl::Status LaunchOne(const CudaDevice& device, const Int4CudaLayout& layout,
                       const Int4FusedArguments& arguments) {
  switch (layout.scales_per_unit) {
    case 1:
      return LaunchInt4FusedKernel<1>(device, layout.has_zeros, arguments);
    case 2:
      return LaunchInt4FusedKernel<2>(device, layout.has_zeros, arguments);
    default:
      return LaunchInt4FusedKernel<4>(device, layout.has_zeros, arguments);
  }
}

// Of the kernel without warpgroups, but for vectors.
Int4FusedArguments Describe(const Int4FusedProblem& problem, const Int4FusedConfig& config) {
  const auto row_blocks = static_cast<int>(problem.layout.row_blocks);
  const auto units = static_cast<int>(problem.layout.units);
  const int pieces = config.chunk_units * kInt4UnitPieces;
  const int threads = 32 * config.rows_at_once;  // that share a slice
  return {.out_features = static_cast<int>(problem.shape.out_features),
          .in_features = static_cast<int>(problem.shape.in_features),
          .units = units,
          .is_half = problem.layout.is_half,
          .row_quotient = row_blocks / config.grid,
          .row_remainder = row_blocks % config.grid,
          .slice_quotient = units / config.slices,
          .slice_remainder = units % config.slices,
          .piece_inverse = Int4Inverse(pieces),
          .vector_step = threads / pieces,
          .piece_step = threads % pieces,
          .slice_inverse = Int4Inverse(config.slices),
          .config = config};
}

}  // namespace

Int4FusedConfig ChooseInt4FusedConfig(const Int4FusedProblem& problem, const CudaLimits& limits,
                                      const Int4FusedTuning& tuning) {
  Int4FusedConfig common;
  common.grid =
      static_cast<int>(std::min<int64_t>(problem.layout.row_blocks, limits.multiprocessors));
  common.tiles = problem.batch > kInt4VectorsPerTile ? 2 : 1;
  if (UsesWarpgroups(problem, limits, tuning)) {
    common.uses_warpgroups = true;
    common.section_rows = kWarpgroupWarps * kInt4StreamSlots;
    common.shared_bytes =
        static_cast<size_t>(StreamSharedBytes(0, kInt4UnitCols, kInt4StreamSlots));
    return common;
  }
  common.uses_bulk = tuning.uses_bulk && limits.compute_capability >= 90;
  const Work work = WorkOf(problem, common.grid);
  const auto whole = static_cast<int64_t>(limits.shared_bytes);
  const int64_t blocks = limits.has_clusters() ? tuning.blocks_a_processor : 1;
  const int most_warps = Int4MostWarps(common.tiles);
  const Limits resident = {.room = (whole + kReservedBytes) / blocks - kReservedBytes,
                           .warps = std::min(tuning.resident_warps, most_warps),
                           .least_slots = tuning.least_slots,
                           .most_slots = tuning.most_slots,
                           .keeps_activations = true};
  if (tuning.keeps_activations) {
    if (const auto config = BestOf(work, resident, common)) return *config;
    // Where all weights are on the way at once, time goes by waiting: rather once than in turns.
    Limits alone = resident;
    alone.room = whole;
    alone.least_slots = alone.most_slots;
    if (const auto config = BestOf(work, alone, common);
        config && config->slots == RecordsOf(work, *config)) {
      return *config;
    }
  }
  Limits chunked = {.room = whole, .most_slots = tuning.most_slots};
  for (chunked.least_slots = tuning.least_slots; chunked.least_slots > 0; --chunked.least_slots) {
    for (const int warps : {tuning.chunked_warps, tuning.resident_warps, kSchedulers}) {
      chunked.warps = std::min(warps, most_warps);
      if (const auto config = BestOf(work, chunked, common)) return *config;
    }
  }
  return common;  // no slots: less shared memory than any GPU has that this code runs on
}

std::string Int4FusedConfig::ToString() const {
  if (uses_warpgroups) {
    return "grid " + std::to_string(grid) + ", vectors " +
           std::to_string(tiles * kInt4VectorsPerTile) + ", warpgroups, section_rows " +
           std::to_string(section_rows) + ", shared_bytes " + std::to_string(shared_bytes);
  }
  return "grid " + std::to_string(grid) + ", vectors " +
         std::to_string(tiles * kInt4VectorsPerTile) + ", rows_at_once " +
         std::to_string(rows_at_once) + ", slices " + std::to_string(slices) + ", slots " +
         std::to_string(slots) + (uses_bulk ? " bulk" : " async") + ", chunks " +
         std::to_string(chunks) + " of " + std::to_string(chunk_units) + " units, section_rows " +
         std::to_string(section_rows) + ", shared_bytes " + std::to_string(shared_bytes);
}

OperationCounts Int4FusedOperations(const Int4FusedProblem& problem, const CudaLimits& limits) {
  const int64_t kernels = ChooseInt4FusedConfig(problem, limits).uses_warpgroups ? 2 : 1;
  return {{"launch", static_cast<double>(kernels * DivideUp(problem.batch, kInt4MostVectors))}};
}

absl::Status LaunchInt4Fused(const CudaDevice& device, const Int4FusedProblem& problem,
                             const void* packed, const void* u, DType z_dtype, void* z,
                             void* arranged) {
  return LaunchInt4FusedAs(device, device.limits(), {}, problem, packed, u, z_dtype, z, arranged);
}

absl::Status LaunchInt4FusedAs(const CudaDevice& device, const CudaLimits& as,
                               const Int4FusedTuning& tuning, const Int4FusedProblem& problem,
                               const void* packed, const void* u, DType z_dtype, void* z,
                               void* arranged) {
  const auto [out, in] = problem.shape;
  const Int4FusedConfig config = ChooseInt4FusedConfig(problem, as, tuning);
  const auto* weights = static_cast<const char*>(packed);
  const bool writes_half = z_dtype == DType::kF16;
  for (int64_t first = 0; first < problem.batch; first += kInt4MostVectors) {
    const auto vectors =
        static_cast<int>(std::min<int64_t>(kInt4MostVectors, problem.batch - first));
    const uint16_t* from = static_cast<const uint16_t*>(u) + first * in;
    void* to = static_cast<char*>(z) + first * out * static_cast<int64_t>(DTypeSize(z_dtype));
    if (config.uses_warpgroups) {
      const auto row_blocks = static_cast<int>(problem.layout.row_blocks);
      const Int4StreamArguments arguments = {
          .stream = {.packed = weights,
                     .units = static_cast<int>(problem.layout.units),
                     .chunk_rows = config.section_rows,
                     .row_quotient = row_blocks / config.grid,
                     .row_remainder = row_blocks % config.grid},
          .z = to,
          .out_features = static_cast<int>(out),
          .vectors = vectors,
          .is_half = problem.layout.is_half,
          .writes_half = writes_half};
      QTIPD_RETURN_IF_ERROR(LaunchWarpgroups(device, problem, config, from, arguments, arranged));
      continue;
    }
    Int4FusedArguments arguments = Describe(problem, config);
    arguments.packed = weights;
    arguments.u = from;
    arguments.z = to;
    arguments.vectors = vectors;
    arguments.writes_half = writes_half;
    arguments.vector_inverse = Int4Inverse(vectors);
    QTIPD_RETURN_IF_ERROR(LaunchOne(device, problem.layout, arguments));
  }
  return absl::OkStatus();
}

}  // namespace qtipd
