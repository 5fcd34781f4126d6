// Repacking is a gather of bytes, once per load. Decoding writes 2 bytes a weight and reads bits/8:
// its floor is the time to write the matrix.
#include <cuda_fp16.h>

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/formats/qtip/qtip_cuda_decode.cuh"
#include "kernels/formats/qtip/qtip_cuda_matrix.h"
#include "kernels/formats/qtip/qtip_cuda_store_row.cuh"

namespace qtipd {
namespace {

constexpr int kRepackThreads = 256;
constexpr int kWarps = kDecodeThreads / 32;
constexpr int kUnitsAhead = 4;  // per warp: hides the latency of memory behind decoding

struct RepackArguments {
  const uint8_t* trellis;
  uint8_t* packed;
  int64_t units;
  int units_per_row;
  int tile_cols;
  int bits;
};

// Byte `byte` of the bit string of a tile in the kernel layout: byte i is byte i / bits of its lane
// chunks, which are little-endian integers whose first bit is the most significant.
struct KernelTile {
  const uint8_t* trellis;
  int64_t tile_cols, row, col;
  int bits;
  __device__ uint32_t Byte(int byte) const {
    const int64_t chunk = QtipChunkOffset(bits, tile_cols, row, col, byte / bits);
    return trellis[chunk + bits - 1 - byte % bits];
  }
};

// The same in the plain layout: 16-bit words whose most significant bit comes first.
struct PlainTile {
  const uint8_t* trellis;
  int64_t tile_cols, row, col;
  int bits;
  __device__ uint32_t Byte(int byte) const {
    return trellis[(row * tile_cols + col) * QtipTileBytes(bits) + (byte ^ 1)];
  }
};

// One thread a word of a unit.
template <typename Tile>
__global__ void RepackUnits(const RepackArguments args) {
  const int words = 2 * args.bits;
  const int64_t item = static_cast<int64_t>(blockIdx.x) * kRepackThreads + threadIdx.x;
  const int word = static_cast<int>(item % words);
  const int lane = static_cast<int>(item / words % 32);
  const int64_t unit = item / words / 32;
  if (unit >= args.units) return;
  const int64_t tile_col = unit % args.units_per_row * kUnitTiles + 4 * (lane >> 4) + (lane & 3);
  uint32_t value = 0;
  if (tile_col < args.tile_cols) {
    const Tile tile = {args.trellis, args.tile_cols, unit / args.units_per_row, tile_col,
                       args.bits};
    const int first = 8 * args.bits * ((lane >> 2) & 3) + 4 * word;
    for (int b = 0; b < 4; ++b) value = (value << 8) | tile.Byte(first + b);
  }
  uint8_t* to = args.packed + unit * UnitBytes(args.bits) + UnitWordOffset(args.bits, lane, word);
  *reinterpret_cast<uint32_t*>(to) = value;
}

struct DecodeArguments {
  const char* packed;
  const uint32_t* table;
  void* w;
  int64_t units;
  int units_per_row;
  int in_features;
};

template <int kBits, int kReplicas, typename Weight>
__device__ __forceinline__ void DecodeToMatrix(const DecodeArguments& args, int64_t unit,
                                               const UnitWords<kBits>& words,
                                               const DecodeContext<kReplicas>& context) {
  const int lane = threadIdx.x % 32;
  uint32_t rows[4][8];  // rows 2 g, 2 g + 8, 2 g + 1, 2 g + 9 of the lane's tile
  DecodeUnit(words, context, [&](int i, const uint32_t(&pairs)[4]) {
#pragma unroll
    for (int j = 0; j < 4; ++j) rows[2 * (i >> 2) + (j & 1)][(i & 3) + 4 * (j >> 1)] = pairs[j];
  });
  const int64_t column =
      unit % args.units_per_row * kUnitCols + (4 * (lane >> 4) + (lane & 3)) * kQtipTileCols;
  // Whole pairs of lanes leave: in_features is a multiple of two tiles.
  const unsigned writing = __ballot_sync(0xFFFFFFFFu, column < args.in_features);
  if (column >= args.in_features) return;
  const int64_t first_row = unit / args.units_per_row * kUnitRows + 2 * ((lane >> 2) & 3);
  Weight* w = static_cast<Weight*>(args.w) + first_row * args.in_features + column;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    StoreRow(w + static_cast<int64_t>((r >> 1) + 8 * (r & 1)) * args.in_features, rows[r], writing);
  }
}

template <int kBits, int kReplicas, typename Weight>
__global__ void __launch_bounds__(kDecodeThreads, 1) DecodeUnits(const DecodeArguments args) {
  extern __shared__ __align__(128) uint32_t shared[];
  const int lane = threadIdx.x % 32;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kWarps;
  int64_t unit = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const auto load = [&](int64_t at) {
    return LoadUnit<kBits>(args.packed + at * UnitBytes(kBits), lane);
  };

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
  UnitWords<kBits> ring[kUnitsAhead] = {};
#pragma unroll
  for (int r = 0; r < kUnitsAhead; ++r) {
    if (unit + r * stride < args.units) ring[r] = load(unit + r * stride);
  }
  FillTable<kReplicas>(shared, entry);
  const auto context = MakeDecodeContext<kReplicas>(shared);
  ptx::WaitForPreviousGrids();
  __syncthreads();
  while (unit < args.units) {
#pragma unroll
    for (int r = 0; r < kUnitsAhead; ++r) {
      if (unit < args.units) {
        DecodeToMatrix<kBits, kReplicas, Weight>(args, unit, ring[r], context);
        const int64_t ahead = unit + kUnitsAhead * stride;
        if (ahead < args.units) ring[r] = load(ahead);
      }
      unit += stride;
    }
  }
}

template <int kBits, int kReplicas>
absl::Status LaunchDecodeReplicas(const CudaDevice& device, const DecodeArguments& args,
                                  DType dtype) {
  const int64_t blocks = (args.units + kWarps - 1) / kWarps;
  const LaunchOptions options = {
      .grid = static_cast<unsigned>(std::min<int64_t>(blocks, device.multiprocessors())),
      .block = kDecodeThreads,
      .shared_bytes = FoldedBytes(kReplicas),
      .overlaps_previous = true};
  return dtype == DType::kF16
             ? LaunchKernel(device, options, DecodeUnits<kBits, kReplicas, __half>, args)
             : LaunchKernel(device, options, DecodeUnits<kBits, kReplicas, float>, args);
}

template <int kBits>
absl::Status LaunchDecodeBits(const CudaDevice& device, const DecodeArguments& args, DType dtype) {
  return ReplicasFor(device.limits().shared_bytes) == kMostReplicas
             ? LaunchDecodeReplicas<kBits, kMostReplicas>(device, args, dtype)
             : LaunchDecodeReplicas<kBits, kFewReplicas>(device, args, dtype);
}

}  // namespace

absl::Status LaunchRepack(const CudaDevice& device, Shape shape, const QtipCodeSpec& spec,
                          const void* trellis, void* packed) {
  const int64_t units_per_row = UnitsPerRow(shape.in_features);
  const int64_t units = shape.out_features / kUnitRows * units_per_row;
  const int64_t items = units * 32 * 2 * spec.bits;
  const LaunchOptions options = {
      .grid = static_cast<unsigned>((items + kRepackThreads - 1) / kRepackThreads),
      .block = kRepackThreads};
  return LaunchKernel(
      device, options, QtipHasKernelLayout(spec) ? RepackUnits<KernelTile> : RepackUnits<PlainTile>,
      RepackArguments{.trellis = static_cast<const uint8_t*>(trellis),
                      .packed = static_cast<uint8_t*>(packed),
                      .units = units,
                      .units_per_row = static_cast<int>(units_per_row),
                      .tile_cols = static_cast<int>(shape.in_features / kQtipTileCols),
                      .bits = spec.bits});
}

absl::Status LaunchDecode(const CudaDevice& device, Shape shape, int bits, const void* packed,
                          const void* table, DType dtype, void* w) {
  const int64_t units_per_row = UnitsPerRow(shape.in_features);
  const DecodeArguments args = {.packed = static_cast<const char*>(packed),
                                .table = static_cast<const uint32_t*>(table),
                                .w = w,
                                .units = shape.out_features / kUnitRows * units_per_row,
                                .units_per_row = static_cast<int>(units_per_row),
                                .in_features = static_cast<int>(shape.in_features)};
  switch (bits) {
    case 2:
      return LaunchDecodeBits<2>(device, args, dtype);
    case 3:
      return LaunchDecodeBits<3>(device, args, dtype);
    default:
      return LaunchDecodeBits<4>(device, args, dtype);
  }
}

}  // namespace qtipd
