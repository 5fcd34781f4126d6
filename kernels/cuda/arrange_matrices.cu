#include "kernels/cuda/arrange_matrices.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"

namespace qtipd {
namespace {

constexpr int kThreads = 128;
constexpr int kSpanPairs = 32;  // of 64 columns

struct Arguments {
  const uint32_t* u;  // pairs of columns
  uint4* arranged;
  int pairs;  // of a vector
  int vectors;
  int column_tiles;
  int items;
  MatrixColumns order;
};

// A thread moves the pairs of the four lanes of one vector.
__global__ void ArrangeMatrices(const Arguments args) {
  ptx::LaunchDependents();
  const int item = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  const int vector = item / 16 % args.column_tiles * 8 + item % 8;
  const int half = item / 8 % 2;
  const int step = item / (16 * args.column_tiles);
  const int pair = step / 4 * kSpanPairs + args.order.step[step % 4] + half * args.order.half;
  ptx::WaitForPreviousGrids();
  if (item >= args.items) return;
  uint32_t lanes[4] = {};
#pragma unroll
  for (int q = 0; q < 4; ++q) {
    const int at = pair + q * args.order.quarter;
    if (vector < args.vectors && at < args.pairs) {
      lanes[q] = args.u[static_cast<int64_t>(vector) * args.pairs + at];
    }
  }
  args.arranged[item] = make_uint4(lanes[0], lanes[1], lanes[2], lanes[3]);
}

}  // namespace

absl::Status LaunchArrangeMatrices(const CudaDevice& device, const MatrixColumns& order,
                                   int64_t in_features, int64_t padded_features, int vectors,
                                   int columns, const void* u, void* arranged) {
  const auto items = static_cast<int>(padded_features / kMatrixStepCols * MatrixStepBytes(columns) /
                                      static_cast<int64_t>(sizeof(uint4)));
  const LaunchOptions options = {.grid = static_cast<unsigned>((items + kThreads - 1) / kThreads),
                                 .block = kThreads,
                                 .overlaps_previous = true};
  return LaunchKernel(device, options, ArrangeMatrices,
                      Arguments{.u = static_cast<const uint32_t*>(u),
                                .arranged = static_cast<uint4*>(arranged),
                                .pairs = static_cast<int>(in_features / 2),
                                .vectors = vectors,
                                .column_tiles = columns / 8,
                                .items = items,
                                .order = order});
}

}  // namespace qtipd
