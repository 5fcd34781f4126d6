// Which configuration a GPU gets: functions of numbers, tried without a GPU for every kind of one.
#include <gmock/gmock.h>

#include <bit>
#include <set>

#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"
#include "kernels/formats/qtip/qtip_cuda_linear.h"
#include "kernels/formats/qtip/qtip_cuda_plain.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.h"
#include "kernels/formats/qtip/qtip_cuda_viterbi.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "tests/kernels/formats/qtip/cuda_gpus.h"

namespace qtipd {
namespace {

constexpr int kWarps = 16;  // of a block of the fused kernels

// Every side that a layer can have.
std::vector<int64_t> AllSides() {
  std::vector<int64_t> sides;
  for (int64_t side = kQtipMinFeatures; side <= kQtipMaxFeatures; side += kQtipMinFeatures) {
    if (HadamardOrder(side).has_value()) sides.push_back(side);
  }
  return sides;
}

std::vector<FusedProblem> Problems() {
  std::vector<FusedProblem> problems;
  for (const int64_t in : {32, 128, 1024, 2048, 4096, 8192, 11008, 13824, 57344, 131072}) {
    for (const int64_t out : {32, 1024, 2528, 4096, 14336, 28672, 131072}) {
      for (const int64_t batch : {1, 2, 4, 5, 8, 9, 16, 17, 32}) {
        for (const int bits : {1, 2, 3, 4}) problems.push_back({out, in, bits, batch});
      }
    }
  }
  return problems;
}

std::string Text(const Gpu& gpu, const FusedProblem& problem) {
  return std::string(gpu.name) + " " + std::to_string(problem.out_features) + "x" +
         std::to_string(problem.in_features) + " K" + std::to_string(problem.bits) + " batch " +
         std::to_string(problem.batch) + ": ";
}

// Row blocks of the first and the last block.
std::vector<int64_t> RowCounts(int64_t row_blocks, int grid) {
  return {row_blocks / grid + (row_blocks % grid != 0 ? 1 : 0), row_blocks / grid};
}

// The same where four warps multiply together: warp `place` of a group has a row block in each
// slot.
std::vector<int> WarpgroupRowVisits(const FusedConfig& config, int64_t count) {
  std::vector<int> visits(count);
  for (int64_t chunk = 0; chunk < count; chunk += config.chunk_rows) {
    const int64_t rows = std::min<int64_t>(config.chunk_rows, count - chunk);
    for (int place = 0; place < 4; ++place) {
      const int64_t taken = (rows - place + 3) / 4;
      EXPECT_LE(taken, config.rows_in_flight) << config.ToString();
      for (int64_t r = 0; r < taken; ++r) ++visits.at(chunk + 4 * r + place);
    }
  }
  return visits;
}

// How often each row block of a block with `count` of them is written, as the kernels walk.
std::vector<int> RowVisits(const FusedConfig& config, int64_t count) {
  if (config.uses_warpgroups) return WarpgroupRowVisits(config, count);
  std::vector<int> visits(count);
  const bool is_wide_loop = config.columns > 4 && config.units_per_warp == 0;
  const int groups = is_wide_loop ? kWarps / config.warps_per_row : 1;
  for (int64_t chunk = 0; chunk < count; chunk += config.chunk_rows) {
    const int64_t rows = std::min<int64_t>(config.chunk_rows, count - chunk);
    // Shared out evenly among the groups; those of other kernels take them in rounds.
    for (int group = 0; group < groups; ++group) {
      const int64_t first = group * (rows / groups) + std::min<int64_t>(group, rows % groups);
      const int64_t taken = rows / groups + (group < rows % groups ? 1 : 0);
      EXPECT_TRUE(!is_wide_loop || taken <= config.rows_in_flight) << config.ToString();
      for (int64_t r = first; r < first + taken; ++r) ++visits.at(chunk + r);
    }
  }
  return visits;
}

// How often each unit of a row block is taken by the warps that share it.
std::vector<int> UnitVisits(const FusedConfig& config, int64_t units) {
  std::vector<int> visits(units);
  for (int warp = 0; warp < config.warps_per_row; ++warp) {
    if (config.units_per_warp > 0) {
      for (int u = 0; u < config.units_per_warp; ++u) {
        ++visits.at(warp * config.units_per_warp + u);
      }
    } else {
      for (int64_t unit = warp; unit < units; unit += config.warps_per_row) ++visits[unit];
    }
  }
  return visits;
}

TEST(FusedConfig, CoversEveryRowAndColumnOnceOnEveryGpu) {
  for (const Gpu& gpu : kGpus) {
    for (const FusedProblem& problem : Problems()) {
      const FusedConfig config = ChooseFusedConfig(problem, gpu.limits);
      const std::string text = Text(gpu, problem) + config.ToString();
      ASSERT_GT(config.chunk_rows, 0) << text;
      ASSERT_TRUE(std::has_single_bit(static_cast<unsigned>(config.warps_per_row))) << text;
      for (const int64_t count : RowCounts(problem.out_features / kUnitRows, config.grid)) {
        ASSERT_THAT(RowVisits(config, count), testing::Each(1)) << text;
      }
      ASSERT_THAT(UnitVisits(config, UnitsPerRow(problem.in_features)), testing::Each(1)) << text;
      ASSERT_LE(problem.batch, config.columns) << text;
    }
  }
}

TEST(FusedConfig, FitsEveryGpu) {
  for (const Gpu& gpu : kGpus) {
    for (const FusedProblem& problem : Problems()) {
      const FusedConfig config = ChooseFusedConfig(problem, gpu.limits);
      const std::string text = Text(gpu, problem) + config.ToString();
      ASSERT_LE(config.shared_bytes, gpu.limits.shared_bytes) << text;
      ASSERT_EQ(config.table_replicas, gpu.limits.shared_bytes < 144 * 1024 ? 16 : 32) << text;
      // One block a multiprocessor: all are resident, none waits for another.
      ASSERT_LE(config.grid, gpu.limits.multiprocessors) << text;
      ASSERT_LE(config.grid, problem.out_features / kUnitRows) << text;
      if (config.rows_in_flight > 0) {
        ASSERT_EQ(config.chunk_rows % config.rows_in_flight, 0) << text;
      }
    }
  }
}

TEST(FusedConfig, GivesEveryRowBlockToOneOfAtMostAllMultiprocessors) {
  for (const int64_t out : AllSides()) {
    const FusedConfig config = ChooseFusedConfig(
        {.out_features = out, .in_features = 4096, .bits = 2, .batch = 1}, LimitsOf("H200"));
    EXPECT_EQ(config.grid, std::min<int64_t>(132, out / 16)) << config.ToString();
  }
}

TEST(FusedConfig, KeepsActivationsOfTheColumnsThatItsKernelsAreMadeFor) {
  for (const int64_t in : AllSides()) {
    for (int64_t batch : {1, 2, 8, 16}) {
      const FusedConfig config = ChooseFusedConfig(
          {.out_features = 4096, .in_features = in, .bits = 4, .batch = batch}, LimitsOf("H200"));
      const int64_t longest = batch <= 8 ? 8192 : 4096;
      const bool is_resident = in <= longest && (in == 2048 || in == 4096 || in == 8192);
      EXPECT_EQ(config.units_per_warp, is_resident ? in / 2048 : 0) << in;
      EXPECT_TRUE(batch > 4 || config.warps_per_row == 16) << config.ToString();
      EXPECT_TRUE(is_resident || config.rows_in_flight > 0);
    }
  }
}

TEST(FusedConfig, MultipliesByFourWarpsAboveSixteenVectorsWhereRowsAreEnough) {
  for (const Gpu& gpu : kGpus) {
    for (const FusedProblem& problem : Problems()) {
      const FusedConfig config = ChooseFusedConfig(problem, gpu.limits);
      const bool has_rows = problem.out_features / kUnitRows > 4 * gpu.limits.multiprocessors;
      EXPECT_EQ(config.uses_warpgroups,
                gpu.limits.has_warpgroup_mma && problem.batch > 16 && problem.bits <= 2 && has_rows)
          << Text(gpu, problem);
      EXPECT_TRUE(!config.uses_warpgroups || config.arranges()) << Text(gpu, problem);
    }
  }
}

TEST(FusedConfig, LoopsWhereTheSumsOfABlockDoNotFitAtOnce) {
  const FusedProblem problem = {.out_features = 131072, .in_features = 4096, .bits = 2, .batch = 4};
  const FusedConfig config = ChooseFusedConfig(problem, LimitsOf("A100"));
  EXPECT_EQ(config.units_per_warp, 0);
  EXPECT_LT(config.chunk_rows, 131072 / 16 / 108);
}

TEST(FusedConfig, DecodesNoSurplusRowBlocksWhereItNeedNot) {
  for (int bits : {2, 4}) {
    for (const int64_t rows : {2, 3, 4, 6, 8, 9}) {
      const FusedProblem problem = {
          .out_features = 16 * 132 * rows, .in_features = 11008, .bits = bits, .batch = 1};
      EXPECT_EQ(rows % ChooseFusedConfig(problem, LimitsOf("H200")).rows_in_flight, 0) << rows;
    }
  }
}

// Prints of figures that are recorded with runs: a change here is a change of what was measured.
TEST(FusedConfig, PrintsTheSameForTheSame) {
  const auto print = [](FusedProblem problem, const char* gpu) {
    return ChooseFusedConfig(problem, LimitsOf(gpu)).ToString();
  };
  EXPECT_EQ(print({4096, 4096, 2, 1}, "H200"),
            "grid 132, columns 1, warps_per_row 16, table_replicas 32, resident units_per_warp 2, "
            "rows_in_flight 0, chunk_rows 2, shared_bytes 133120");
  EXPECT_EQ(print({28672, 8192, 4, 16}, "H200"),
            "grid 132, columns 16, warps_per_row 4, table_replicas 32, looping, rows_in_flight 4, "
            "chunk_rows 16, shared_bytes 196608");
  EXPECT_EQ(
      print({28672, 8192, 2, 32}, "H200"),
      "grid 132, columns 32, warps_per_row 4, table_replicas 32, warpgroups, rows_in_flight 4, "
      "chunk_rows 16, shared_bytes 229632");
  EXPECT_EQ(print({4096, 4096, 2, 1}, "RTX 4090"),
            "grid 128, columns 1, warps_per_row 16, table_replicas 16, looping, rows_in_flight 2, "
            "chunk_rows 2, shared_bytes 67584");
}

LinearProblem Linear(int64_t out, int64_t in, int bits, int64_t batch = 1) {
  return {.multiply = {out, in, bits, batch}, .input = {.size = in}, .output = {.size = out}};
}

TEST(LinearConfig, FitsEveryGpuAndLeavesRegistersForTheOutputRotation) {
  for (const Gpu& gpu : kGpus) {
    for (const int64_t out : AllSides()) {
      for (const int64_t in : {32, 2048, 4096, 8192, 11008, 28672}) {
        const LinearConfig config = ChooseLinearConfig(Linear(out, in, 2), gpu.limits);
        if (!config.is_fused) continue;
        const std::string text = Text(gpu, {out, in, 2, 1}) + config.ToString();
        ASSERT_LE(config.multiply.shared_bytes, gpu.limits.shared_bytes) << text;
        ASSERT_LE(config.finish_shared_bytes, gpu.limits.shared_bytes) << text;
        ASSERT_EQ(config.rotates_input, config.multiply.units_per_warp > 0) << text;
      }
    }
  }
}

TEST(LinearConfig, LeavesToTheStepsWhatItHasNoKernelsFor) {
  const CudaLimits h200 = LimitsOf("H200");
  EXPECT_TRUE(ChooseLinearConfig(Linear(28672, 8192, 2), h200).is_fused);
  EXPECT_EQ(ChooseLinearConfig(Linear(28672, 8192, 2, 2), h200).ToString(), "in steps");
  LinearProblem shards = Linear(4096, 4096, 2);
  shards.output.shards = 8;
  EXPECT_FALSE(ChooseLinearConfig(shards, h200).is_fused);
  // Row blocks of 16 straddle the rows of had_12's product.
  EXPECT_FALSE(ChooseLinearConfig(Linear(96, 4096, 2), h200).is_fused);
}

TEST(LinearConfig, PrintsTheSameForTheSame) {
  EXPECT_EQ(ChooseLinearConfig(Linear(28672, 8192, 2), LimitsOf("H200")).ToString(),
            "input rotated in the fused kernel, shared_bytes 196608; output by blocks 32, "
            "shared_bytes 17920");
}

std::vector<QtipCodeSpec> PlainSpecs() {
  std::vector<QtipCodeSpec> specs;
  for (const QtipCodeInfo& info : QtipCodes()) {
    for (int bits = kQtipMinBits; bits <= kQtipMaxBits; ++bits) {
      for (int vector_dim : {1, 2}) {
        if (vector_dim != info.default_vector_dim && info.code != QtipCode::kLut) continue;
        for (int table_bits : {info.table_bits < 0 ? kQtipStateBits : info.table_bits, 15}) {
          if (table_bits == 15 && info.code != QtipCode::kQuantLut) continue;
          const QtipCodeSpec spec{
              .code = info.code, .bits = bits, .vector_dim = vector_dim, .table_bits = table_bits};
          if (HasPlainKernels(spec)) specs.push_back(spec);
        }
      }
    }
  }
  return specs;
}

TEST(PlainConfig, FitsEveryGpuAndSumsBytesInIntegersWhereTheyFit) {
  for (const Gpu& gpu : kGpus) {
    for (const QtipCodeSpec& spec : PlainSpecs()) {
      for (const int64_t in : {32, 128, 1024, 11008, 131072}) {
        for (const int64_t out : {32, 2528, 4096, 131072}) {
          for (const int64_t batch : {1, 2, 16}) {
            const FusedProblem problem = {out, in, spec.bits, batch};
            const PlainConfig config = ChoosePlainConfig(problem, spec, gpu.limits);
            const std::string text =
                Text(gpu, problem) + QtipSpecText(spec) + ": " + config.ToString();
            ASSERT_LE(config.shared_bytes, gpu.limits.shared_bytes) << text;
            ASSERT_LE(config.grid, gpu.limits.multiprocessors) << text;
            ASSERT_LE(config.grid, out / kUnitRows) << text;
            ASSERT_GT(config.chunk_rows, 0) << text;
            ASSERT_EQ(config.chunk_rows % config.rows_in_flight, 0) << text;
            const bool sums_bytes = spec.code == QtipCode::k1Mad || spec.code == QtipCode::k2Mad;
            ASSERT_TRUE(!config.sums_digits || (sums_bytes && batch == 1)) << text;
            ASSERT_TRUE(config.sums_digits || !sums_bytes || batch > 1 || in > 11008) << text;
          }
        }
      }
    }
  }
}

TEST(PlainConfig, ReadsTheTableOfLutThroughTheCachesWhereItDoesNotFit) {
  const FusedProblem problem = {4096, 4096, 2, 1};
  for (const QtipCodeSpec& spec : PlainSpecs()) {
    const bool is_large = spec.code == QtipCode::kLut && spec.vector_dim == 1;
    for (const Gpu& gpu : kGpus) {
      const bool has_little = gpu.limits.shared_bytes == 99 * 1024;
      EXPECT_EQ(KeepsPlainTable(spec, gpu.limits), !(is_large && has_little))
          << gpu.name << " " << QtipSpecText(spec);
    }
  }
  const QtipCodeSpec lut{.code = QtipCode::kLut, .bits = 2, .vector_dim = 1, .table_bits = 16};
  EXPECT_EQ(ChoosePlainConfig(problem, lut, LimitsOf("H200")).ToString(),
            "grid 132, columns 1, rows_in_flight 2, chunk_rows 2, shared_bytes 133120");
  EXPECT_EQ(
      ChoosePlainConfig(problem, lut, LimitsOf("L4")).ToString(),
      "grid 58, columns 1, rows_in_flight 2, chunk_rows 6, table in L1 and L2, shared_bytes 6144");
}

// All but one bit with one weight a step, whose survivors of two tiles are 128 KiB.
TEST(EncodeConfig, IsRefusedWhereBlocksGetTooLittleSharedMemory) {
  for (const Gpu& gpu : kGpus) {
    for (const QtipCodeSpec& spec : PlainSpecs()) {
      const bool is_large = spec.bits == 1 && spec.vector_dim == 1;
      const absl::Status status = CheckEncode(spec, gpu.limits);
      EXPECT_EQ(status.ok(), !is_large || gpu.limits.shared_bytes > 99 * 1024)
          << gpu.name << " " << QtipSpecText(spec) << " " << status;
      EXPECT_EQ(status.ok(), EncodeSharedBytes(spec) <= gpu.limits.shared_bytes);
    }
    for (int bits : {2, 3, 4}) {
      EXPECT_TRUE(CheckEncode({.code = QtipCode::kHyb, .bits = bits}, gpu.limits).ok());
    }
  }
}

TEST(EncodeConfig, NamesTheRateThatFits) {
  const QtipCodeSpec spec{.code = QtipCode::k1Mad, .bits = 1, .vector_dim = 1, .table_bits = 0};
  const absl::Status status = CheckEncode(spec, LimitsOf("RTX 3090"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  const ErrorInfo info = GetErrorInfo(status);
  EXPECT_EQ(info.reason, "CODE_UNSUPPORTED");
  EXPECT_EQ(info.metadata.at("field"), "bits");
  EXPECT_EQ(info.metadata.at("got"), "1");
  EXPECT_THAT(info.metadata.at("allowed"),
              testing::StartsWith("at least 2 with code 1mad where blocks get 101376 bytes"));
}

// Elements that a configuration's blocks hold of one vector, and that its threads can take.
void CheckRotation(const Gpu& gpu, const RotationProblem& problem, const RotationConfig& config) {
  const std::string text =
      std::string(gpu.name) + " " + std::to_string(problem.size) + ": " + config.ToString();
  ASSERT_LE(config.shared_bytes, gpu.limits.shared_bytes) << text;
  ASSERT_GE(int64_t{config.local} * config.blocks, problem.size) << text;
  ASSERT_LE(config.threads, 1024) << text;
  ASSERT_GE(config.threads, 1) << text;
  const int64_t points = problem.size / HadamardOrder(problem.size).value();
  if (config.kernel == RotationKernel::kRows) {
    ASSERT_EQ(int64_t{config.local} * config.blocks, problem.size) << text;
    return;
  }
  ASSERT_TRUE(std::has_single_bit(static_cast<unsigned>(config.blocks))) << text;
  ASSERT_LE(config.blocks, gpu.limits.has_clusters() ? 8 : 1) << text;
  if (config.kernel == RotationKernel::kStages) {
    ASSERT_EQ(int64_t{config.local} * config.blocks, problem.size) << text;
    ASSERT_GE(config.threads * 16, config.local) << text;
  } else {
    ASSERT_GE(points / config.blocks, 8) << text << ": positions of a slice";
    ASSERT_EQ(config.threads % 32, 0) << text;
  }
}

TEST(RotationConfig, FitsEveryGpuOrIsRefused) {
  for (const Gpu& gpu : kGpus) {
    std::set<int64_t> refused;
    for (const int64_t size : AllSides()) {
      for (const int64_t vectors : {1, 8, 9, 64}) {
        for (const bool has_scales : {false, true}) {
          const RotationProblem problem = {size, vectors, has_scales};
          const auto config = ChooseRotationConfig(problem, gpu.limits);
          if (config.ok()) {
            CheckRotation(gpu, problem, *config);
            continue;
          }
          EXPECT_EQ(GetErrorInfo(config.status()).reason, "SHAPE_UNSUPPORTED");
          refused.insert(size);
        }
      }
    }
    // Powers of two need clusters; twelve rows of 8192 points need 139 KB for four of them.
    std::set<int64_t> expected;
    if (!gpu.limits.has_clusters()) expected = {32768, 65536, 131072};
    if (gpu.limits.shared_bytes == 99 * 1024) expected.insert(98304);
    EXPECT_EQ(refused, expected) << gpu.name;
  }
}

TEST(RotationConfig, KeepsScalesOnlyWhereTheyFit) {
  for (const int64_t size : {16384, 57344}) {
    const RotationProblem problem = {.size = size, .vectors = 1, .has_scales = true};
    EXPECT_TRUE(ChooseRotationConfig(problem, LimitsOf("A100"))->keeps_scales);
    EXPECT_FALSE(ChooseRotationConfig(problem, LimitsOf("A10"))->keeps_scales);
  }
}

TEST(RotationConfig, TakesTheRowsKernelWhereAWholeVectorDoesNotFit) {
  const RotationProblem problem = {.size = 28672, .vectors = 64};
  EXPECT_EQ(ChooseRotationConfig(problem, LimitsOf("H200"))->ToString(),
            "order, blocks 8, local 4096, threads 448, shared_bytes 32738");
  EXPECT_EQ(ChooseRotationConfig(problem, LimitsOf("A100"))->ToString(),
            "rows, blocks 7, local 4096, threads 512, shared_bytes 82958");
}

}  // namespace
}  // namespace qtipd
