// Which configuration a GPU gets: a function of numbers, tried without a GPU for every kind of one.
#include <gmock/gmock.h>

#include <algorithm>

#include "kernels/cuda/warpgroup_layout.h"
#include "kernels/formats/int4/int4_cuda_fused.h"
#include "kernels/formats/int4/int4_cuda_fused_sizes.h"
#include "tests/kernels/formats/qtip/cuda_gpus.h"

namespace qtipd {
namespace {

constexpr int64_t kMultiprocessorBytes = 228 * 1024;  // of shared memory, compute capability 9.0
constexpr int64_t kReservedBytes = 1024;              // of it, for each block
constexpr int kRegisters = 64 * 1024;                 // of a multiprocessor

Int4FusedProblem Problem(Shape shape, int64_t batch, const Int4Spec& spec = {}) {
  return {.shape = shape, .layout = Int4CudaLayout(shape, spec), .batch = batch};
}

std::vector<Int4FusedProblem> Problems() {
  std::vector<Int4FusedProblem> problems;
  for (const int64_t in : {8, 32, 128, 1024, 2496, 4096, 8192, 11008, 28672, 131072}) {
    for (const int64_t out : {8, 32, 1000, 1024, 4096, 28672, 131072, 1000000}) {
      for (const int64_t batch : {1, 2, 3, 4, 8, 9, 16, 64}) {
        problems.push_back(Problem({out, in}, batch));
        problems.push_back(Problem({out, in}, batch, {.group_size = 32, .is_symmetric = false}));
      }
    }
  }
  return problems;
}

std::string Text(const Gpu& gpu, const Int4FusedProblem& problem, const Int4FusedConfig& config) {
  return std::string(gpu.name) + " " + std::to_string(problem.shape.out_features) + "x" +
         std::to_string(problem.shape.in_features) + " batch " + std::to_string(problem.batch) +
         ": " + config.ToString();
}

// Where every warp multiplies by itself.
constexpr Int4FusedTuning kByThemselves = {.uses_warpgroups = false};

template <typename Check>
void ForEveryChoice(const Check& check) {
  for (const Gpu& gpu : kGpus) {
    for (const Int4FusedProblem& problem : Problems()) {
      const Int4FusedConfig config = ChooseInt4FusedConfig(problem, gpu.limits, kByThemselves);
      SCOPED_TRACE(Text(gpu, problem, config));
      check(gpu, problem, config);
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(Int4FusedConfig, FitsEveryGpu) {
  ForEveryChoice([](const Gpu& gpu, const Int4FusedProblem& problem, const Int4FusedConfig& c) {
    EXPECT_GE(c.slots, 1);
    EXPECT_LE(c.shared_bytes, gpu.limits.shared_bytes);
    EXPECT_LE(c.grid, gpu.limits.multiprocessors);
    EXPECT_LE(c.grid, problem.layout.row_blocks);
    EXPECT_GE(c.warps(), 1);
    EXPECT_LE(c.warps(), Int4MostWarps(c.tiles));
    EXPECT_LE(std::min<int64_t>(problem.batch, kInt4MostVectors), c.tiles * kInt4VectorsPerTile);
    EXPECT_EQ(c.uses_bulk, gpu.limits.compute_capability >= 90);
  });
}

TEST(Int4FusedConfig, CoversAllRowsAndColumns) {
  ForEveryChoice([](const Gpu&, const Int4FusedProblem& problem, const Int4FusedConfig& c) {
    const int64_t units = problem.layout.units;
    EXPECT_LE(c.slices, units) << "a slice without columns";
    const int64_t longest = (units + c.slices - 1) / c.slices;
    EXPECT_GE(int64_t{c.chunks} * c.chunk_units, longest);
    EXPECT_LT(int64_t{c.chunks - 1} * c.chunk_units, longest);
    EXPECT_GE(c.section_rows, c.rows_at_once);
    EXPECT_EQ(c.section_rows % c.rows_at_once, 0);
    const int64_t rows = (problem.layout.row_blocks + c.grid - 1) / c.grid;
    EXPECT_LE(c.rows_at_once, rows);
    EXPECT_TRUE(!c.aliases_activations || c.rows_at_once == rows);
  });
}

// As the kernel walks: blocks over row blocks, warps over rounds and over a slice of the units.
TEST(Int4FusedConfig, EveryUnitIsReadOnce) {
  for (const Gpu& gpu : kGpus) {
    for (const Shape shape : {Shape{8, 8}, Shape{1000, 2496}, Shape{4096, 4096}, Shape{72, 28672},
                              Shape{28672, 8192}, Shape{70000, 128}}) {
      for (const int64_t batch : {1, 4, 16}) {
        const Int4FusedProblem problem = Problem(shape, batch);
        const Int4FusedConfig c = ChooseInt4FusedConfig(problem, gpu.limits, kByThemselves);
        const auto blocks = static_cast<int>(problem.layout.row_blocks);
        const auto units = static_cast<int>(problem.layout.units);
        std::vector<int> visits(blocks * units);
        for (int block = 0; block < c.grid; ++block) {
          const Int4Part rows = Int4PartOf(block, blocks / c.grid, blocks % c.grid);
          for (int warp = 0; warp < c.warps(); ++warp) {
            const Int4Part slice = Int4PartOf(warp % c.slices, units / c.slices, units % c.slices);
            for (int row = warp / c.slices; row < rows.count; row += c.rows_at_once) {
              for (int unit = 0; unit < slice.count; ++unit) {
                ++visits.at((rows.first + row) * units + slice.first + unit);
              }
            }
          }
        }
        EXPECT_THAT(visits, testing::Each(1)) << Text(gpu, problem, c);
      }
    }
  }
}

TEST(Int4FusedConfig, RegionsOfSharedMemoryDoNotOverlap) {
  ForEveryChoice([](const Gpu&, const Int4FusedProblem& problem, const Int4FusedConfig& c) {
    const int64_t vectors = std::min<int64_t>(problem.batch, kInt4MostVectors);
    const int64_t ring =
        int64_t{c.warps()} * c.slots * (problem.layout.record_bytes() + kInt4SlotBarrierBytes);
    const int64_t activations =
        (c.chunks > 1 ? 2 : 1) * c.slices * vectors * Int4VectorStride(c.chunk_units);
    const int64_t partials = int64_t{c.section_rows} * c.slices * vectors * kInt4UnitRows * 4;
    EXPECT_GE(c.activations_at, ring);
    EXPECT_GE(static_cast<int64_t>(c.shared_bytes), c.activations_at + activations);
    EXPECT_GE(static_cast<int64_t>(c.shared_bytes), c.partials_at + partials);
    EXPECT_GE(c.partials_at, c.activations_at + (c.aliases_activations ? 0 : activations));
    for (const uint32_t at : {c.activations_at, c.partials_at}) EXPECT_EQ(at % 16, 0U);
  });
}

// What the next grid's loads overlap with this grid by.
TEST(Int4FusedConfig, TwoBlocksOfOneVectorFitAMultiprocessorOfHopper) {
  for (const Shape shape : {Shape{1024, 4096}, Shape{4096, 4096}, Shape{14336, 4096},
                            Shape{28672, 8192}, Shape{8192, 28672}}) {
    const Int4FusedProblem problem = Problem(shape, 1);
    const Int4FusedConfig c = ChooseInt4FusedConfig(problem, LimitsOf("H200"));
    SCOPED_TRACE(Text({"H200", {}}, problem, c));
    EXPECT_LE(2 * (static_cast<int64_t>(c.shared_bytes) + kReservedBytes), kMultiprocessorBytes);
    EXPECT_LE(2 * c.warps() * 32 * 64, kRegisters);
    // All that the block reads, or 40 KB: bandwidth times latency, a multiprocessor's share.
    const int64_t rows = (problem.layout.row_blocks + c.grid - 1) / c.grid;
    const int64_t all = rows * problem.layout.units * problem.layout.record_bytes();
    EXPECT_GE(int64_t{c.warps()} * c.slots * problem.layout.record_bytes(),
              std::min<int64_t>(all, 40'000));
  }
}

TEST(Int4Divide, IsExact) {
  for (int divisor = 1; divisor < 3000; ++divisor) {
    const uint32_t inverse = Int4Inverse(divisor);
    for (int n = 0; n < 1024; ++n) ASSERT_EQ(Int4Divide(n, inverse), n / divisor) << divisor;
  }
  for (int divisor = 1; divisor <= 16; ++divisor) {
    const uint32_t inverse = Int4Inverse(divisor);
    for (int n = 0; n < 1 << 16; ++n) ASSERT_EQ(Int4Divide(n, inverse), n / divisor) << divisor;
  }
}

TEST(Int4FusedConfig, MultipliesByFourWarpsAboveEightVectorsWhereEachHasOneRowBlock) {
  for (const Gpu& gpu : kGpus) {
    for (const Int4FusedProblem& problem : Problems()) {
      const Int4FusedConfig c = ChooseInt4FusedConfig(problem, gpu.limits);
      SCOPED_TRACE(Text(gpu, problem, c));
      const int64_t rows =
          (problem.layout.row_blocks + gpu.limits.multiprocessors - 1) / gpu.limits.multiprocessors;
      const bool has_rows = rows == 3 || rows == 4;
      EXPECT_EQ(c.uses_warpgroups, gpu.limits.has_warpgroup_mma && problem.batch > 8 && has_rows);
      if (!c.uses_warpgroups) continue;
      EXPECT_LE(c.shared_bytes, gpu.limits.shared_bytes);
      EXPECT_EQ(c.grid, gpu.limits.multiprocessors);
      EXPECT_EQ(c.section_rows, kWarpgroupWarps);
    }
  }
}

// As few slots as go through the rows in as few rounds as possible.
TEST(WarpgroupLayout, SharesRowsOut) {
  EXPECT_EQ(WarpgroupSlotsFor(1), 1);
  EXPECT_EQ(WarpgroupSlotsFor(4), 1);
  EXPECT_EQ(WarpgroupSlotsFor(5), 2);
  EXPECT_EQ(WarpgroupSlotsFor(14), 4);
  EXPECT_EQ(WarpgroupSlotsFor(16), 4);
  EXPECT_EQ(WarpgroupSlotsFor(17), 3);
  EXPECT_EQ(WarpgroupSlotsFor(26), 4);
}

TEST(Int4FusedConfig, SaysWhatItIs) {
  const Int4FusedConfig c = ChooseInt4FusedConfig(Problem({28672, 8192}, 1), LimitsOf("H200"));
  EXPECT_THAT(c.ToString(), testing::HasSubstr("grid 132"));
  EXPECT_THAT(c.ToString(), testing::HasSubstr("bulk"));
  EXPECT_EQ(ChooseInt4FusedConfig(Problem({8192, 28672}, 16), LimitsOf("H200")).ToString(),
            "grid 132, vectors 16, warpgroups, section_rows 4, shared_bytes 53440");
}

}  // namespace
}  // namespace qtipd
