// How a rotation is laid over a GPU: host code without CUDA.
#include <algorithm>
#include <bit>

#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.h"
#include "kernels/formats/qtip/qtip_cuda_rotation_layout.h"

namespace qtipd {
namespace {

constexpr int64_t kMaxLocal = 16384;       // elements of a block: its threads have 16 each
constexpr int64_t kSumsPerBlock = 100000;  // products with had_K that are worth another block
constexpr int64_t kPreferredLocal = 8192;
constexpr int64_t kFewVectors = 8;  // up to here kRows is known to be faster than kOrder

size_t RoomFor(int64_t floats) { return static_cast<size_t>(floats) * sizeof(float); }

// One block, or a cluster of up to eight.
RotationConfig SplitPowerOfTwo(const RotationProblem& problem, const CudaLimits& limits) {
  RotationConfig config{.kernel = RotationKernel::kStages};
  config.blocks =
      static_cast<int>(limits.has_clusters() ? std::clamp<int64_t>(problem.size / kPreferredLocal,
                                                                   1, kMaxClusterBlocks)
                                             : 1);
  config.local = static_cast<int>(problem.size / config.blocks);
  // One thread for every kPerThread elements: the first stages rely on it.
  config.threads = std::max(config.local / kPerThread, 32);
  const size_t part = RoomFor(PaddedCount(config.local));
  const size_t scales = RoomFor(config.local);
  config.keeps_scales =
      problem.has_scales && config.blocks == 1 && part + scales <= limits.shared_bytes;
  config.shared_bytes = part + (config.keeps_scales ? scales : 0);
  return config;
}

// Every block of a cluster has whole rows of had_K's product, then a slice of positions.
RotationConfig SplitRows(const RotationProblem& problem, int order, const CudaLimits& limits) {
  RotationConfig config{.kernel = RotationKernel::kOrder, .blocks = 1};
  const auto points = static_cast<int>(problem.size / order);
  config.local = static_cast<int>(problem.size);
  config.threads = kOrderThreads;
  if (limits.has_clusters()) {
    const auto worth =
        static_cast<uint64_t>((order * problem.size + kSumsPerBlock - 1) / kSumsPerBlock);
    const auto rows = [&] { return (order + config.blocks - 1) / config.blocks; };
    config.blocks = static_cast<int>(std::min<uint64_t>(
        {std::bit_ceil(worth), kMaxClusterBlocks, static_cast<uint64_t>(points / 8)}));
    while (rows() * points > kMaxLocal) config.blocks *= 2;
    config.local = rows() * points;
    const int sums = order / 4 * (points / config.blocks / 8) * 4;
    config.threads =
        std::clamp((std::max(config.local / kPerThread, sums) + 31) / 32 * 32, 64, kOrderThreads);
  }
  const int groups = order / kSignBlock;
  const int strip = order * SliceStride(points / config.blocks);
  config.shared_bytes =
      RoomFor(PaddedCount(config.local) + strip) + groups * groups * sizeof(uint16_t);
  return config;
}

// Every block has four rows.
RotationConfig FourRows(const RotationProblem& problem, int order, const CudaLimits& limits) {
  const auto points = static_cast<int>(problem.size / order);
  const int splits = RowSplits(points);
  RotationConfig config{.kernel = RotationKernel::kRows, .blocks = order / kSignBlock};
  config.local = kSignBlock * points;
  config.threads = std::min(kRowsThreads, points / kRowsPositions * splits);
  config.shared_bytes =
      RoomFor(PaddedCount(config.local) + (splits == 1 ? 0 : int64_t{splits} * config.local)) +
      config.blocks * sizeof(uint16_t);
  const size_t scales = RoomFor(config.local);
  config.keeps_scales = problem.has_scales && points <= kRowsScalePoints &&
                        config.shared_bytes + scales <= limits.shared_bytes;
  if (config.keeps_scales) config.shared_bytes += scales;
  return config;
}

absl::Status Unsupported(const RotationProblem& problem, const std::string& allowed) {
  return FieldError(absl::StatusCode::kUnimplemented, "SHAPE_UNSUPPORTED", "features of a rotation",
                    std::to_string(problem.size), allowed);
}

}  // namespace

absl::StatusOr<RotationConfig> ChooseRotationConfig(const RotationProblem& problem,
                                                    const CudaLimits& limits) {
  const int order = HadamardOrder(problem.size).value();
  if (order == 1) {
    if (!limits.has_clusters() && problem.size > kMaxLocal) {
      return Unsupported(problem, "powers of two up to " + std::to_string(kMaxLocal) +
                                      " below compute capability 9.0");
    }
    return SplitPowerOfTwo(problem, limits);
  }
  RotationConfig first = FourRows(problem, order, limits);
  // Without clusters a block would need memory for all of a long vector.
  RotationConfig second = SplitRows(problem, order, limits);
  if (problem.vectors > kFewVectors) std::swap(first, second);
  if (first.shared_bytes <= limits.shared_bytes) return first;
  if (second.shared_bytes <= limits.shared_bytes) return second;
  return Unsupported(problem,
                     "sizes that need at most " + std::to_string(limits.shared_bytes) +
                         " bytes of shared memory for a block; this one " +
                         std::to_string(std::min(first.shared_bytes, second.shared_bytes)));
}

std::string RotationConfig::ToString() const {
  constexpr const char* kNames[] = {"stages", "order", "rows"};
  return std::string(kNames[static_cast<int>(kernel)]) + ", blocks " + std::to_string(blocks) +
         ", local " + std::to_string(local) + ", threads " + std::to_string(threads) +
         (keeps_scales ? ", scales kept" : "") + ", shared_bytes " + std::to_string(shared_bytes);
}

}  // namespace qtipd
