#include "kernels/formats/qtip/qtip_cuda_arrange.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"

namespace qtipd {
namespace {

constexpr int kThreads = 128;

struct ArrangeArguments {
  const uint32_t* u;  // pairs of columns
  uint2* arranged;    // four columns of one vector each
  int pairs;          // of a vector
  int vectors;
  int column_tiles;  // columns / 8
  int items;
};

// A thread moves four columns of one vector.
__global__ void Arrange(const ArrangeArguments args) {
  ptx::LaunchDependents();
  const int item = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  const int lane = item / 2 % 32;
  const int load = item / 64;  // of a warp, of two vector tiles
  const int loads_of_step = args.column_tiles / 2;
  const int step = load / loads_of_step;
  const int tile = load % loads_of_step * 2 + item % 2;
  const int vector = 8 * tile + (lane >> 2);
  const int pair = step / 4 * (kUnitCols / 4) + (lane & 3) * (kQtipTileCols / 2) + step % 4;
  const bool exists = item < args.items && vector < args.vectors && pair < args.pairs;
  ptx::WaitForPreviousGrids();
  uint2 columns = make_uint2(0, 0);
  if (exists) {
    const uint32_t* from = args.u + static_cast<int64_t>(vector) * args.pairs + pair;
    columns = make_uint2(from[0], from[kQtipTileCols / 4]);
  }
  if (item < args.items) args.arranged[item] = columns;
}

}  // namespace

absl::Status LaunchArrange(const CudaDevice& device, int64_t in_features, int vectors, int columns,
                           const void* u, void* arranged) {
  const auto items =
      static_cast<int>(ArrangedBytes(in_features, columns) / static_cast<int64_t>(sizeof(uint2)));
  const LaunchOptions options = {.grid = static_cast<unsigned>((items + kThreads - 1) / kThreads),
                                 .block = kThreads,
                                 .overlaps_previous = true};
  return LaunchKernel(device, options, Arrange,
                      ArrangeArguments{.u = static_cast<const uint32_t*>(u),
                                       .arranged = static_cast<uint2*>(arranged),
                                       .pairs = static_cast<int>(in_features / 2),
                                       .vectors = vectors,
                                       .column_tiles = columns / 8,
                                       .items = items});
}

}  // namespace qtipd
