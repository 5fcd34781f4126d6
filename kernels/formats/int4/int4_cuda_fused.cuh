// Fused decode and multiply on the tensor cores: a warp makes A fragments of mma.m16n8k16 of a unit
// of 16 x 128 codes, and multiplies them with activations in B fragments, one vector a column.
//
// Weights stream through a ring in shared memory that every warp has for itself (warp_ring.cuh); it
// is filled before the kernel waits for the grids before it, and, where two blocks fit in a
// multiprocessor, while these still run. Warps share a row block by columns and add up in shared
// memory: no atomics, one order of summation.
//
// docs/performance/int4.md has the design, its floors and its versions.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_FUSED_CUH_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_FUSED_CUH_

#include <cuda_fp16.h>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/cuda/ptx/memory.h"
#include "kernels/cuda/ptx/mma.h"
#include "kernels/cuda/warp_ring.cuh"
#include "kernels/formats/int4/int4_cuda_decode.cuh"
#include "kernels/formats/int4/int4_cuda_fused.h"
#include "kernels/formats/int4/int4_cuda_fused_sizes.h"

namespace qtipd {

static_assert(kInt4SlotBarrierBytes == kRingBarrierBytes, "as the configuration has it");

// Where a warp stands in its block, and what is its own.
struct Int4Warp {
  int lane;
  int row;  // row blocks row, row + rows_at_once, ... of the block
  int slice;
  Int4Part units;  // of the slice
};

// The units that a warp reads, one row block after the other.
template <int kRecordBytes>
class Int4UnitStream {
 public:
  __device__ __forceinline__ Int4UnitStream(const Int4FusedArguments& args, const Int4Part& rows,
                                            const Int4Warp& warp)
      : record_(args.packed +
                (static_cast<int64_t>(rows.first + warp.row) * args.units + warp.units.first) *
                    kRecordBytes),
        rows_left_(rows.count - warp.row),
        units_left_(warp.units.count) {}

  // Starts copying the next unit, if there is one.
  __device__ __forceinline__ void FillNext(const Int4FusedArguments& args, const Int4Warp& warp,
                                           const WarpRing<kRecordBytes>& ring, uint32_t slot) {
    if (rows_left_ <= 0) return;
    ring.Fill(slot, record_);
    record_ += kRecordBytes;
    if (--units_left_ > 0) return;
    units_left_ = warp.units.count;
    rows_left_ -= args.config.rows_at_once;
    record_ += int64_t{args.config.rows_at_once * args.units - units_left_} * kRecordBytes;
  }

 private:
  const char* record_;
  int rows_left_;
  int units_left_;
};

// Starts copying the activations of chunk `chunk` of the warp's slice, which the warps that share
// it divide evenly; zeros beyond the last column. `to` is the shared address of the slice.
__device__ __forceinline__ void CopyInt4Activations(const Int4FusedArguments& args,
                                                    const Int4Warp& warp, int chunk, uint32_t to) {
  const Int4FusedConfig& config = args.config;
  const int unit = chunk * config.chunk_units;
  const int pieces = min(config.chunk_units, warp.units.count - unit) * kInt4UnitPieces;
  const int first_col = (warp.units.first + unit) * kInt4UnitCols;
  const int stride = Int4VectorStride(config.chunk_units);
  // A thread's pieces are as many apart in [vectors][most] as threads share the slice.
  const int most = config.chunk_units * kInt4UnitPieces;
  const int thread = 32 * warp.row + warp.lane;
  int vector = Int4Divide(thread, args.piece_inverse);
  int piece = thread - vector * most;
#pragma unroll 1
  while (vector < args.vectors) {
    const int col = first_col + piece * (kInt4PieceBytes / 2);
    const bool exists = col < args.in_features;
    if (piece < pieces) {
      ptx::CopyAsync16OrZero(
          to + vector * stride + piece * kInt4PieceBytes,
          args.u + static_cast<int64_t>(vector) * args.in_features + (exists ? col : 0), exists);
    }
    vector += args.vector_step;
    piece += args.piece_step;
    if (piece >= most) {
      piece -= most;
      ++vector;
    }
  }
}

// Sums of a warp's 16 rows and of its vectors: as accumulators of the matrix instruction, rows g +
// 8 sixteen times too large (Int4Fragment).
template <int kTiles>
struct Int4Sums {
  float value[kTiles][4] = {};
};

// Adds the product of one unit. `activations` are, of each tile, the lane's vector and first piece
// in shared memory.
template <int kTiles, int kScales, bool kHasZeros>
__device__ __forceinline__ void MultiplyInt4Unit(const Int4UnitWords<kScales, kHasZeros>& unit,
                                                 const char* const (&activations)[kTiles],
                                                 bool is_half, Int4Sums<kTiles>& sums) {
  constexpr int kChunks = 4;  // of 32 columns
  constexpr int kChunksAScale = kChunks / kScales;
  // Two chains of sums at least, since one matrix instruction waits for the one before.
  constexpr int kChains = 2;
#pragma unroll
  for (int entry = 0; entry < kScales; ++entry) {
    const Int4Bias bias = unit.BiasOf(entry);
    float chains[kChains][4] = {};
#pragma unroll
    for (int i = 0; i < kChunksAScale; ++i) {
      const int chunk = entry * kChunksAScale + i;
      uint4 b[kTiles];
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        b[tile] = *reinterpret_cast<const uint4*>(activations[tile] + chunk * 4 * kInt4PieceBytes);
      }
      uint32_t a[4];
      Int4Fragment(unit.codes[2 * chunk], bias, a);
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        ptx::MmaM16N8K16(chains[tile], a, b[tile].x, b[tile].y);
      }
      Int4Fragment(unit.codes[2 * chunk + 1], bias, a);
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        ptx::MmaM16N8K16(chains[kTiles == 1 ? 1 : tile], a, b[tile].z, b[tile].w);
      }
    }
    const float2 scale = unit.ScaleOf(entry, is_half);
#pragma unroll
    for (int chain = 0; chain < kChains; ++chain) {
      float(&sum)[4] = sums.value[kTiles == 1 ? 0 : chain];
      sum[0] = fmaf(scale.x, chains[chain][0], sum[0]);
      sum[1] = fmaf(scale.x, chains[chain][1], sum[1]);
      sum[2] = fmaf(scale.y, chains[chain][2], sum[2]);
      sum[3] = fmaf(scale.y, chains[chain][3], sum[3]);
    }
  }
}

// Stores a warp's sums as partial[vector][16 rows].
template <int kTiles>
__device__ __forceinline__ void StoreInt4Partial(const Int4Sums<kTiles>& sums, int lane,
                                                 int vectors, float* partial) {
  const int g = lane / 4;
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int vector = tile * kInt4VectorsPerTile + lane % 4 * 2 + i;
      if (vector >= vectors) continue;
      partial[vector * kInt4UnitRows + g] = sums.value[tile][i];
      partial[vector * kInt4UnitRows + g + kInt4RowPairs] =
          sums.value[tile][2 + i] * kInt4SecondRowFactor;
    }
  }
}

// z of row blocks `first` to `first + count - 1` from their partial sums [row block][slice][vector]
// [16 rows]. All threads.
__device__ __forceinline__ void ReduceInt4Partials(const Int4FusedArguments& args,
                                                   const float* partials, int first, int count) {
  const int slices = args.config.slices;
  const int slice_values = args.vectors * kInt4UnitRows;
  for (int i = threadIdx.x; i < count * slice_values; i += blockDim.x) {
    const int block = Int4Divide(i / kInt4UnitRows, args.vector_inverse);
    const int value = i - block * slice_values;
    const float* p = partials + block * slices * slice_values + value;
    float sum = 0;
#pragma unroll 4
    for (int slice = 0; slice < slices; ++slice) sum += p[slice * slice_values];
    const int row = (first + block) * kInt4UnitRows + value % kInt4UnitRows;
    if (row >= args.out_features) continue;
    const int64_t at = static_cast<int64_t>(value / kInt4UnitRows) * args.out_features + row;
    if (args.writes_half) {
      static_cast<__half*>(args.z)[at] = __float2half_rn(sum);
    } else {
      static_cast<float*>(args.z)[at] = sum;
    }
  }
}

__device__ __forceinline__ Int4Warp Int4WarpOf(const Int4FusedArguments& args) {
  const int index = static_cast<int>(threadIdx.x) / 32;
  Int4Warp warp;
  warp.lane = static_cast<int>(threadIdx.x) % 32;
  warp.row = Int4Divide(index, args.slice_inverse);
  warp.slice = index - warp.row * args.config.slices;
  warp.units = Int4PartOf(warp.slice, args.slice_quotient, args.slice_remainder);
  return warp;
}

template <int kTiles, int kScales, bool kHasZeros>
__global__ void __launch_bounds__(32 * Int4MostWarps(kTiles), 1)
    Int4Fused(const __grid_constant__ Int4FusedArguments args) {
  extern __shared__ __align__(128) char shared[];
  constexpr int kRecordBytes = Int4RecordBytes(kScales, kHasZeros);
  constexpr int kSlotBytes = WarpRing<kRecordBytes>::kSlotBytes;
  ptx::LaunchDependents();
  const Int4FusedConfig& config = args.config;
  const Int4Warp warp = Int4WarpOf(args);
  const Int4Part rows =
      Int4PartOf(static_cast<int>(blockIdx.x), args.row_quotient, args.row_remainder);
  const uint32_t base = ptx::SharedAddress(shared);
  const uint32_t slots = base + (threadIdx.x / 32) * (config.slots * kSlotBytes);
  WarpRing<kRecordBytes> ring(
      {.address = slots, .slots = config.slots, .uses_bulk = config.uses_bulk}, warp.lane);
  Int4UnitStream<kRecordBytes> stream(args, rows, warp);
#pragma unroll 1
  for (int slot = 0; slot < config.slots; ++slot) {
    stream.FillNext(args, warp, ring, slots + slot * kSlotBytes);
  }
  const int vector_stride = Int4VectorStride(config.chunk_units);
  const int buffer_bytes = config.slices * args.vectors * vector_stride;
  const char* const slice_activations =
      shared + config.activations_at + warp.slice * args.vectors * vector_stride;
  const char* of_lane[kTiles];  // in the first buffer
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
    // What comes of vectors that do not exist is not stored.
    const int vector = min(tile * kInt4VectorsPerTile + warp.lane / 4, args.vectors - 1);
    of_lane[tile] = slice_activations + vector * vector_stride + warp.lane % 4 * kInt4PieceBytes;
  }
  const uint32_t copy_to = ptx::SharedAddress(slice_activations);
  float* partials = reinterpret_cast<float*>(shared + config.partials_at);
  // Nothing so far depends on the grids before this one.
  ptx::WaitForPreviousGrids();
  CopyInt4Activations(args, warp, 0, copy_to);
  ptx::WaitForOwnCopies();
  __syncthreads();

  int buffer = 0;  // where the chunk's activations are, in bytes
#pragma unroll 1
  for (int section = 0; section < rows.count; section += config.section_rows) {
    const int section_end = min(section + config.section_rows, rows.count);
#pragma unroll 1
    for (int first_row = section; first_row < section_end; first_row += config.rows_at_once) {
      const int row = first_row + warp.row;
      Int4Sums<kTiles> sums;
#pragma unroll 1
      for (int chunk = 0; chunk < config.chunks; ++chunk) {
        const bool is_last = chunk + 1 == config.chunks;
        const bool copies =
            config.chunks > 1 && !(is_last && first_row + config.rows_at_once >= rows.count);
        if (copies) {
          CopyInt4Activations(args, warp, is_last ? 0 : chunk + 1,
                              copy_to + (buffer_bytes - buffer));
        }
        const int first_unit = chunk * config.chunk_units;
        const int units =
            row < rows.count ? min(config.chunk_units, warp.units.count - first_unit) : 0;
#pragma unroll 1
        for (int unit = 0; unit < units; ++unit) {
          const uint32_t slot = ring.Wait();
          const Int4UnitWords<kScales, kHasZeros> words =
              ReadInt4Unit<kScales, kHasZeros>(shared + (slot - base), warp.lane);
          __syncwarp();
          stream.FillNext(args, warp, ring, slot);
          ring.Advance();
          const char* activations[kTiles];
#pragma unroll
          for (int tile = 0; tile < kTiles; ++tile) {
            activations[tile] = of_lane[tile] + buffer + unit * (kInt4UnitCols * 2);
          }
          MultiplyInt4Unit(words, activations, args.is_half, sums);
        }
        if (copies) {
          ptx::WaitForOwnCopies();
          __syncthreads();
          buffer = buffer_bytes - buffer;
        }
      }
      if (config.aliases_activations) __syncthreads();
      if (row < rows.count) {
        const int place = (row - section) * config.slices + warp.slice;
        StoreInt4Partial(sums, warp.lane, args.vectors,
                         partials + place * (args.vectors * kInt4UnitRows));
      }
    }
    __syncthreads();
    ReduceInt4Partials(args, partials, rows.first + section, section_end - section);
    if (section_end < rows.count) __syncthreads();
  }
}

template <int kTiles, int kScales>
auto ChooseInt4FusedKernel(bool has_zeros) {
  return has_zeros ? Int4Fused<kTiles, kScales, true> : Int4Fused<kTiles, kScales, false>;
}

template <int kScales>
absl::Status LaunchInt4FusedKernel(const CudaDevice& device, bool has_zeros,
                                   const Int4FusedArguments& arguments) {
  const Int4FusedConfig& config = arguments.config;
  const LaunchOptions options = {.grid = static_cast<unsigned>(config.grid),
                                 .block = static_cast<unsigned>(32 * config.warps()),
                                 .shared_bytes = config.shared_bytes,
                                 .overlaps_previous = true};
  return LaunchKernel(device, options,
                      config.tiles == 1 ? ChooseInt4FusedKernel<1, kScales>(has_zeros)
                                        : ChooseInt4FusedKernel<2, kScales>(has_zeros),
                      arguments);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_FUSED_CUH_
