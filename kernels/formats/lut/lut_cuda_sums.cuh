// The fused kernel of format "lut" for one vector at 1 bit, or to compare at 2 bits, with one
// codebook: tables of sums of activations, not of weights.
//
// For the columns of four bits of indices - four at 1 bit, two at 2 bits - a table in shared memory
// has what each of the 16 values contributes to a row's sum, in fp32. A lane has a row; all lanes
// of a warp read one table at a time, whose 16 floats lie in different banks. A look-up and an
// addition stand for four bits of weights: no product and no tensor core, of which one vector uses
// an eighth. A thread block fills the tables itself once it has the activations, as many columns
// at a time as there is room for, and owns whole strips of 32 rows, whose units its warps share
// evenly.
//
// Source: T-MAC (Wei et al., 2024, arXiv 2407.00088) and LUT-GEMM (Park et al., 2022, arXiv
// 2206.09557); there for uniform and binary codes.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_SUMS_CUH_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_SUMS_CUH_

#include <cuda_fp16.h>

#include <utility>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/cuda/ptx/memory.h"
#include "kernels/formats/lut/lut_cuda_fused.h"
#include "kernels/formats/lut/lut_cuda_step.cuh"
#include "kernels/formats/lut/lut_cuda_walk.cuh"

namespace qtipd {

// Units of a strip that a warp loads ahead.
__host__ __device__ constexpr int LutSumsAhead(int bits) { return bits == 1 ? 3 : 2; }

// A lane's row of a unit.
template <int kBits, int kScaleWords>
struct LutRow {
  uint32_t word[4 * LutUnitPieces(kBits)];
  uint32_t scale[kScaleWords];
};

// What a thread fills tables with: entry i + 4 j of a table is the sum of a low and a high part, i
// and j two bits of the indices each. Threads write their j in different orders, so that neighbours
// write different banks.
template <int kBits>
class LutSumsFiller {
 public:
  __device__ __forceinline__ explicit LutSumsFiller(const void* table) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int j = High(k);
      if constexpr (kBits == 1) {
        high_[k] = Entry(table, j % 2);
        second_[k] = Entry(table, j / 2);
      } else {
        high_[k] = Entry(table, j);
      }
      if (k < 2 * kBits) low_[k] = Entry(table, k);
    }
  }

  static constexpr int kAtOnce = kBits == 1 ? 5 : 6;  // tables of a thread

  // Activations of a table: two at 2 bits, four at 1 bit.
  struct alignas(8 / kBits) Activations {
    uint32_t word[2 / kBits];
  };

  // What a thread needs for its tables from number `begin` on: up to kAtOnce, blockDim apart. They
  // are loaded before any of these is written: the compiler cannot tell that writing changes no
  // activations, and would wait for each.
  struct Batch {
    Activations x[kAtOnce];
  };

  __device__ __forceinline__ Batch Load(const LutFusedArguments& args, int first, int units,
                                        int begin) const {
    Batch batch;
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int i = begin + k * blockDim.x;
      const int column = (first + i / kUnitTables) * kLutUnitCols + FirstColumn(i % kUnitTables);
      batch.x[k] = {};
      if (i < units * kUnitTables && column < args.in_features) {
        batch.x[k] = *reinterpret_cast<const Activations*>(args.u + column);
      }
    }
    return batch;
  }

  __device__ __forceinline__ void Write(const Batch& batch, int units, int begin,
                                        float* tables) const {
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int i = begin + k * blockDim.x;
      if (i < units * kUnitTables) {
        WriteTable(batch.x[k], reinterpret_cast<float4*>(tables + i * kLutSumsEntries));
      }
    }
  }

  // Tables of units [first, first + units), the first batch of them loaded before; all threads,
  // between barriers.
  __device__ __forceinline__ void Fill(const LutFusedArguments& args, const Batch& loaded,
                                       int first, int units, float* tables) const {
    int begin = threadIdx.x;
    Write(loaded, units, begin, tables);
    for (begin += kAtOnce * blockDim.x; begin < units * kUnitTables;
         begin += kAtOnce * blockDim.x) {
      Write(Load(args, first, units, begin), units, begin, tables);
    }
  }

 private:
  static constexpr int kUnitTables = LutUnitPieces(kBits) * kLutPieceTables;

  // Entry `index` of the codebook: the first weight of that entry of the table of pairs.
  static __device__ __forceinline__ float Entry(const void* table, int index) {
    constexpr int kHalves = kBits == 1 ? 8 : 4;  // of an entry
    return __half2float(static_cast<const __half*>(table)[index * kHalves]);
  }

  static __device__ __forceinline__ int High(int k) {
    return static_cast<int>(threadIdx.x / 2 + k) % 4;
  }

  // Of table `place` of a unit: of four bits n of word q of a piece.
  static __device__ __forceinline__ int FirstColumn(int place) {
    const int n = place % 8;
    const int index = n * (4 / kBits);  // of the word's
    const int block = place / kLutPieceTables * (2 / kBits) + index / 16;
    const int step = index % 16 / 4;
    return block * kLutBlockCols + 32 * (step / 2) + 8 * (place / 8 % 4) + 4 * (step % 2) +
           index % 4;
  }

  __device__ __forceinline__ void WriteTable(const Activations& pairs, float4* to) const {
    float x[4 / kBits];
#pragma unroll
    for (int k = 0; k < 2 / kBits; ++k) {
      const float2 two = __half22float2(*reinterpret_cast<const __half2*>(&pairs.word[k]));
      x[2 * k] = two.x;
      x[2 * k + 1] = two.y;
    }
    float low[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if constexpr (kBits == 1) {
        low[k] = low_[k % 2] * x[0] + low_[k / 2] * x[1];
      } else {
        low[k] = low_[k] * x[0];
      }
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float high;
      if constexpr (kBits == 1) {
        high = high_[k] * x[2] + second_[k] * x[3];
      } else {
        high = high_[k] * x[1];
      }
      to[High(k)] = make_float4(low[0] + high, low[1] + high, low[2] + high, low[3] + high);
    }
  }

  float low_[2 * kBits];
  float high_[4];
  float second_[4];
};

// A warp's way through the units of a chunk of columns, strip by strip: an equal share of
// neighbouring ones. Loads run ahead of it.
template <int kBits, int kScaleWords>
class LutStripWalk {
 public:
  using Row = LutRow<kBits, kScaleWords>;

  __device__ __forceinline__ explicit LutStripWalk(const LutFusedArguments& args) : args_(args) {
    const int block = static_cast<int>(blockIdx.x);
    first_strip_ = block * args.row_quotient + min(block, args.row_remainder);
    strips_ = args.row_quotient + (block < args.row_remainder ? 1 : 0);
    record_bytes_ = LutRecordBytes(kBits, args.has_scales ? kScaleWords : 0);
    const int row = static_cast<int>(threadIdx.x) % kLutUnitRows;
    row_offset_ = row * 16;
    scales_offset_ = LutIndexBytes(kBits) + row % (kLutUnitRows / 2) * (4 * kScaleWords);
  }

  __device__ __forceinline__ int first_strip() const { return first_strip_; }
  __device__ __forceinline__ int strips() const { return strips_; }

  // Begins the chunk of `units` units from unit `first` on.
  __device__ __forceinline__ void StartChunk(int first, int units) {
    first_unit_ = first;
    units_ = max(units, 1);
    const int items = strips_ * max(units, 0);
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int warps = static_cast<int>(blockDim.x) / 32;
    const int begin = items * warp / warps;
    left_ = ahead_left_ = items * (warp + 1) / warps - begin;
    strip_ = ahead_strip_ = begin / units_;
    unit_ = ahead_unit_ = begin % units_;
    Place();
  }

  __device__ __forceinline__ bool has_units() const { return left_ > 0; }
  __device__ __forceinline__ int strip() const { return strip_; }  // of the thread block's
  __device__ __forceinline__ int unit() const { return unit_; }    // of the chunk's
  // Whether this is the warp's last unit of the strip in this chunk.
  __device__ __forceinline__ bool is_last_of_strip() const {
    return left_ == 1 || unit_ + 1 == units_;
  }
  __device__ __forceinline__ void Advance() {
    --left_;
    if (++unit_ == units_) {
      unit_ = 0;
      ++strip_;
    }
  }

  // Loads what comes next, if anything does.
  __device__ __forceinline__ void LoadAhead(Row& to) {
    const bool exists = ahead_left_ > 0 && is_row_there_;
#pragma unroll
    for (int p = 0; p < LutUnitPieces(kBits); ++p) {
      LutLoadFourIf(to.word + 4 * p, ahead_ + row_offset_ + p * (kLutUnitRows * 16), exists);
    }
#pragma unroll
    for (int i = 0; i < kScaleWords; i += 4) {
      LutLoadFourIf(to.scale + i, ahead_ + scales_offset_ + 4 * i, exists && args_.has_scales);
    }
    --ahead_left_;
    ahead_ += record_bytes_;
    if (++ahead_unit_ == units_) {
      ahead_unit_ = 0;
      ++ahead_strip_;
      Place();
    }
  }

 private:
  __device__ __forceinline__ void Place() {
    const int half = static_cast<int>(threadIdx.x) % 32 / kLutUnitRows;
    const int64_t row_block = (first_strip_ + ahead_strip_) * int64_t{kLutStripBlocks} + half;
    is_row_there_ = row_block * kLutUnitRows < args_.out_features;
    ahead_ = args_.packed +
             (row_block * args_.units_per_row + first_unit_ + ahead_unit_) * record_bytes_;
  }

  const LutFusedArguments& args_;
  int first_strip_;
  int strips_;
  int record_bytes_;
  int row_offset_;
  int scales_offset_;
  int first_unit_ = 0;
  int units_ = 1;
  int left_ = 0;
  int strip_ = 0;
  int unit_ = 0;
  int ahead_left_ = 0;
  int ahead_strip_ = 0;
  int ahead_unit_ = 0;
  bool is_row_there_ = false;
  const char* ahead_ = nullptr;
};

// sums[block][half] += what word kWord of a row's words of a unit looks up. The offsets of its
// eight tables are part of the load instructions.
template <int kBits, int kWord, int... kFour>
__device__ __forceinline__ void SumLutWord(uint32_t word, uint32_t tables,
                                           float (&sums)[2 / kBits][2],
                                           std::integer_sequence<int, kFour...>) {
  constexpr uint32_t kFourBits = 0x3C3C3C3C;
  constexpr int kIndices = 4 / kBits;  // of four bits
  const uint32_t even = word & kFourBits;
  const uint32_t odd = __funnelshift_r(word, word, 4) & kFourBits;
  // The lowest byte of the address of a table is 0: it becomes that of the entry.
  ((sums[kFour * kIndices / 16][kFour * kIndices % 16 / 8] +=
    __uint_as_float(ptx::LoadSharedAt<(8 * kWord + kFour) * kLutSumsEntries * 4>(
        __byte_perm(kFour % 2 == 0 ? even : odd, tables, 0x7650 + kFour / 2)))),
   ...);
}

// total += piece kPiece of a row.
template <int kPiece, int kBits, int kScaleWords>
__device__ __forceinline__ void SumLutPiece(const LutRow<kBits, kScaleWords>& row, uint32_t tables,
                                            bool is_bfloat16, float& total) {
  constexpr int kBlocks = 2 / kBits;  // of a piece
  const bool is_upper = threadIdx.x % kLutUnitRows >= kLutUnitRows / 2;
  const auto scale = [&](int i) {
    const float2 two = LutScales(row.scale[i], is_bfloat16);
    return is_upper ? two.y : two.x;
  };
  float sums[kBlocks][2] = {};  // of the halves of blocks
  constexpr std::make_integer_sequence<int, 8> kFours;
  SumLutWord<kBits, 4 * kPiece>(row.word[4 * kPiece], tables, sums, kFours);
  SumLutWord<kBits, 4 * kPiece + 1>(row.word[4 * kPiece + 1], tables, sums, kFours);
  SumLutWord<kBits, 4 * kPiece + 2>(row.word[4 * kPiece + 2], tables, sums, kFours);
  SumLutWord<kBits, 4 * kPiece + 3>(row.word[4 * kPiece + 3], tables, sums, kFours);
#pragma unroll
  for (int b = 0; b < kBlocks; ++b) {
    const int block = kPiece * kBlocks + b;
    if constexpr (kScaleWords == 8) {
      total += scale(2 * block) * sums[b][0];
      total += scale(2 * block + 1) * sums[b][1];
    } else {
      total += scale(block) * (sums[b][0] + sums[b][1]);
    }
  }
}

// The sum of a row and a unit on top of `total`; `tables` is the shared-memory address of the
// unit's.
template <int kBits, int kScaleWords>
__device__ __forceinline__ float SumLutRow(const LutRow<kBits, kScaleWords>& row, uint32_t tables,
                                           bool is_bfloat16, float total) {
  SumLutPiece<0>(row, tables, is_bfloat16, total);
  SumLutPiece<1>(row, tables, is_bfloat16, total);
  if constexpr (kBits == 2) {
    SumLutPiece<2>(row, tables, is_bfloat16, total);
    SumLutPiece<3>(row, tables, is_bfloat16, total);
  }
  return total;
}

template <int kBits, int kScaleWords>
__global__ void __launch_bounds__(LutMostWarps(1) * 32, 1)
    FusedLutSums(const __grid_constant__ LutFusedArguments args) {
  extern __shared__ __align__(256) float tables[];
  constexpr int kAhead = LutSumsAhead(kBits);
  using Row = LutRow<kBits, kScaleWords>;
  const int lane = threadIdx.x % 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  LutStripWalk<kBits, kScaleWords> walk(args);

  ptx::LaunchDependents();
  const LutSumsFiller<kBits> filler(args.table);
  Row ring[kAhead];
#pragma unroll
  for (int k = 0; k < kAhead; ++k) {
#pragma unroll
    for (uint32_t& word : ring[k].word) word = 0;
#pragma unroll
    for (uint32_t& scale : ring[k].scale) {
      scale = args.is_bfloat16 ? 0x3F803F80u : 0x3C003C00u;  // ones, without blocks
    }
  }
  walk.StartChunk(0, min(args.chunk_units, args.units_per_row));
#pragma unroll
  for (int k = 0; k < kAhead; ++k) walk.LoadAhead(ring[k]);
  // [strip][warp][32 rows], each warp's its own until all have summed up.
  float* partials = tables + args.chunk_units * (LutUnitSumsBytes(kBits) / 4);
  float* of_lane = partials + threadIdx.x;
  for (int strip = 0; strip < walk.strips(); ++strip) of_lane[strip * warps * 32] = 0;
  const uint32_t address = ptx::SharedAddress(tables);
  if (address % 256 != 0) __trap();
  // Nothing so far depends on the grids before this one.
  ptx::WaitForPreviousGrids();

  const auto units_from = [&](int first) {
    return min(args.chunk_units, args.units_per_row - first);
  };
  auto activations = filler.Load(args, 0, units_from(0), threadIdx.x);
  for (int first = 0; first < args.units_per_row; first += args.chunk_units) {
    const int next = first + args.chunk_units;
    filler.Fill(args, activations, first, units_from(first), tables);
    __syncthreads();
    activations = filler.Load(args, next, units_from(next), threadIdx.x);
    float total = 0;
    while (walk.has_units()) {
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        if (walk.has_units()) {
          total = SumLutRow(ring[k], address + walk.unit() * LutUnitSumsBytes(kBits),
                            args.is_bfloat16 != 0, total);
          walk.LoadAhead(ring[k]);
          __syncwarp();  // keeps the load here
          if (walk.is_last_of_strip()) {
            of_lane[walk.strip() * warps * 32] += total;
            total = 0;
          }
          walk.Advance();
        }
      }
    }
    walk.StartChunk(next, units_from(next));
#pragma unroll
    for (int k = 0; k < kAhead; ++k) walk.LoadAhead(ring[k]);
    __syncthreads();
  }
  for (int i = threadIdx.x; i < walk.strips() * 32; i += blockDim.x) {
    const float* p = partials + i / 32 * warps * 32 + lane;
    float sums[4] = {};
#pragma unroll
    for (int warp = 0; warp < LutMostWarps(1); ++warp) {
      if (warp < warps) sums[warp % 4] += p[warp * 32];
    }
    const int row = walk.first_strip() * 32 + i;
    if (row < args.out_features) {
      StoreLutSum(args, row, (sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_SUMS_CUH_
