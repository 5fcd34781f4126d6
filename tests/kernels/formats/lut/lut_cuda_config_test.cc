// The layout of format "lut" on GPUs, and which configuration a GPU gets: tried without one.
#include <gmock/gmock.h>

#include <set>

#include "kernels/formats/lut/lut_cuda_fused.h"
#include "kernels/formats/lut/lut_cuda_warpgroup.h"
#include "kernels/formats/lut/lut_cuda_weights.h"
#include "tests/kernels/formats/lut/lut_test_layers.h"
#include "tests/kernels/formats/qtip/cuda_gpus.h"

namespace qtipd {
namespace {

TEST(LutCudaLayout, PlacesEveryWeightOfABlockOnce) {
  std::set<std::pair<int, int>> places;
  for (int lane = 0; lane < 32; ++lane) {
    for (int m = 0; m < kLutStringIndices; ++m) {
      const LutPlace place = LutPlaceOf(lane, m);
      EXPECT_THAT(place.row, testing::AllOf(testing::Ge(0), testing::Lt(kLutUnitRows)));
      EXPECT_THAT(place.column, testing::AllOf(testing::Ge(0), testing::Lt(kLutBlockCols)));
      places.emplace(place.row, place.column);
    }
  }
  EXPECT_EQ(places.size(), kLutUnitRows * kLutBlockCols);
}

TEST(LutCudaLayout, GivesEveryIndexOfALaneItsBits) {
  for (int bits : {1, 2, 3, 4, 8}) {
    std::map<std::pair<int, int>, int> found;  // bits of an index by block and number
    for (int word = 0; word < 4 * bits; ++word) {
      for (int bit = 0; bit < 32;) {
        const LutIndexPlace place = LutIndexPlaceOf(bits, word, bit);
        const int end = std::min(place.shift + bits, 32);
        ASSERT_GT(end, bit);
        EXPECT_LT(place.block, kLutUnitBlocks);
        EXPECT_LT(place.m, kLutStringIndices);
        found[{place.block, place.m}] += end - std::max(place.shift, 0);
        bit = place.shift + bits;
      }
    }
    EXPECT_EQ(found.size(), kLutUnitBlocks * kLutStringIndices) << bits;
    for (const auto& [index, count] : found) EXPECT_EQ(count, bits);
  }
}

TEST(LutCudaLayout, PlacesEveryWordOfALaneOnce) {
  for (int bits : {1, 2, 3, 4, 8}) {
    std::set<int> offsets;
    for (int lane = 0; lane < 32; ++lane) {
      for (int word = 0; word < 4 * bits; ++word) offsets.insert(LutWordOffset(bits, lane, word));
    }
    EXPECT_EQ(offsets.size(), LutIndexBytes(bits) / 4);
    EXPECT_EQ(*offsets.rbegin(), LutIndexBytes(bits) / 4 - 1);
  }
}

TEST(LutCudaLayout, StoresLittleMoreThanTheFormat) {
  const Shape shape = {4096, 4096};
  for (int bits : {1, 2, 3, 4, 8}) {
    for (int64_t block : {0, 32, 64}) {
      const LutSpec spec = {.bits = bits, .block = block};
      const LutCudaLayout layout = LutCudaLayoutOf(spec, shape);
      EXPECT_EQ(layout.packed_bytes() + (2 << bits) + 16, LutPackedBytes(spec, shape));
    }
    // A block of 128 has its scale twice.
    EXPECT_EQ(LutCudaLayoutOf({.bits = bits, .block = 128}, shape).packed_bytes(),
              LutCudaLayoutOf({.bits = bits, .block = 64}, shape).packed_bytes());
  }
}

TEST(LutCudaTable, HoldsWhatEveryByteOfIndicesDecodesTo) {
  for (int bits : {1, 2, 3, 4, 8}) {
    const LutSpec spec = {.bits = bits};
    const LutLayer layer = ParseLutLayer(RandomLutLayer(spec, {16, 256})).value();
    const LutCudaLayout layout = LutCudaLayoutOf(spec, layer.shape);
    const std::vector<uint16_t> table = LutCudaTable(layout, layer);
    ASSERT_EQ(table.size() * 2, layout.table_bytes());
    const int count = static_cast<int>(table.size()) / layout.table_entries();
    for (int entry = 0; entry < layout.table_entries(); ++entry) {
      for (int k = 0; k < count; ++k) {
        const int index = bits == 8 ? entry : entry >> (k * bits) & (spec.entries() - 1);
        EXPECT_EQ(HalfToFloat(table[entry * count + k]), layer.codebook[index]);
      }
    }
  }
}

std::vector<LutFusedProblem> Problems() {
  std::vector<LutFusedProblem> problems;
  for (int bits : {1, 2, 3, 4, 8}) {
    for (const int64_t out : {1, 16, 1024, 4096, 28672, 131072}) {
      for (const int64_t in : {64, 1024, 4096, 28672}) {
        for (const bool is_per_channel : {false, true}) {
          for (const int64_t batch : {1, 2, 8, 9, 16, 64}) {
            const LutSpec spec = {.bits = bits, .is_per_channel = is_per_channel};
            problems.push_back({LutCudaLayoutOf(spec, {out, in}), batch});
          }
        }
      }
    }
  }
  return problems;
}

void CheckConfig(const LutFusedProblem& problem, const CudaLimits& limits,
                 const LutFusedConfig& config, int most_blocks) {
  const int64_t rows = problem.layout.row_blocks();
  const int blocks = (config.grid - 1) / limits.multiprocessors + 1;
  ASSERT_GE(config.grid, 1);
  ASSERT_LE(config.grid, rows);
  ASSERT_LE(blocks, most_blocks);
  ASSERT_LE((config.shared_bytes + 1024) * blocks, limits.shared_bytes + 1024);
  if (config.uses_warpgroups) {
    ASSERT_EQ(config.chunk_rows % kWarpgroupWarps, 0);
    ASSERT_LE(config.chunk_rows, kWarpgroupWarps * kWarpgroupMostSlots);
  } else if (config.uses_sums) {
    ASSERT_GE(config.chunk_units, 1);
    ASSERT_LE(config.chunk_units, problem.layout.units_per_row());
  } else {
    ASSERT_GE(config.chunk_rows, 1);
    ASSERT_LE(config.chunk_rows, (rows + config.grid - 1) / config.grid);
  }
  ASSERT_GE(config.columns * 4 * kLutMaxColumns, problem.batch);
}

TEST(LutFusedConfig, FitsEveryGpu) {
  for (const Gpu& gpu : kGpus) {
    for (const LutFusedProblem& problem : Problems()) {
      const LutFusedConfig config = ChooseLutFusedConfig(problem, gpu.limits);
      SCOPED_TRACE(std::string(gpu.name) + ": " + config.ToString());
      CheckConfig(problem, gpu.limits, config, 1);
      const LutFusedConfig halves = WithLutBlocks(problem, gpu.limits, config, 8, 2);
      SCOPED_TRACE(halves.ToString());
      CheckConfig(problem, gpu.limits, halves, 2);
    }
  }
}

TEST(LutFusedConfig, MultipliesByFourWarpsAboveEightVectorsWhereRowsAreEnough) {
  for (const Gpu& gpu : kGpus) {
    for (const LutFusedProblem& problem : Problems()) {
      const bool is_wide = problem.batch > 8 && problem.layout.bits <= 4;
      const int64_t rows = (problem.layout.row_blocks() + gpu.limits.multiprocessors - 1) /
                           gpu.limits.multiprocessors;
      const bool has_rows = rows > 2 && (rows <= 4 || problem.layout.bits <= 2);
      EXPECT_EQ(
          ChooseLutFusedConfig(problem, gpu.limits).uses_warpgroups,
          gpu.limits.has_warpgroup_mma && is_wide && has_rows && !problem.layout.is_per_channel)
          << gpu.name;
    }
  }
  const LutSpec halves = {.bits = 2, .block = 32};
  EXPECT_FALSE(ChooseLutFusedConfig({LutCudaLayoutOf(halves, {28672, 8192}), 16}, LimitsOf("H200"))
                   .uses_warpgroups);
}

TEST(LutFusedOperations, AreOneWavefrontForTwoWeightsOfEachLane) {
  const auto count = [](int bits, int64_t batch) {
    const LutSpec spec = {.bits = bits};
    return LutFusedOperations({LutCudaLayoutOf(spec, {28672, 8192}), batch}, LimitsOf("H200"));
  };
  const double fill = 132 * 32 * 1024 / 128;
  EXPECT_EQ(count(4, 1), (OperationCounts{{"launch", 1}, {"shared_memory", 28672 * 128 + fill}}));
  // Activations are arranged before.
  EXPECT_EQ(count(2, 33),
            (OperationCounts{{"launch", 6}, {"shared_memory", 3 * (28672 * 128 + fill)}}));
  EXPECT_EQ(count(8, 8), (OperationCounts{{"launch", 1}, {"shared_memory", 28672 * 256 + fill}}));
  // Four bits of indices, and the tables of 8192 columns in every block.
  EXPECT_EQ(count(1, 1),
            (OperationCounts{{"launch", 1}, {"shared_memory", 28672 * 64 + 132 * 32 * 32}}));
}

// Prints of figures that are recorded with runs: a change here is a change of what was measured.
TEST(LutFusedConfig, PrintsTheSameForTheSame) {
  const auto print = [](int bits, Shape shape, int64_t batch, const char* gpu) {
    return ChooseLutFusedConfig({LutCudaLayoutOf({.bits = bits}, shape), batch}, LimitsOf(gpu))
        .ToString();
  };
  EXPECT_EQ(print(4, {4096, 4096}, 1, "H200"),
            "grid 132, warps 8, columns 1, chunk_rows 2, shared_bytes 33792");
  EXPECT_EQ(print(1, {28672, 8192}, 1, "H200"),
            "grid 132, warps 16, columns 1, sums, chunk_units 32, shared_bytes 145408");
  EXPECT_EQ(print(2, {28672, 8192}, 1, "H200"),
            "grid 132, warps 16, columns 1, chunk_rows 14, shared_bytes 47104");
  EXPECT_EQ(print(2, {28672, 8192}, 16, "H200"),
            "grid 132, warps 16, columns 16, warpgroups, chunk_rows 16, shared_bytes 147648");
  EXPECT_EQ(print(4, {28672, 8192}, 16, "L4"),
            "grid 58, warps 12, columns 16, chunk_rows 5, shared_bytes 94208");
}

}  // namespace
}  // namespace qtipd
