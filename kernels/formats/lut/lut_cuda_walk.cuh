// Which steps the warps of a block of the fused kernels of format "lut" take, and where their sums
// go.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WALK_CUH_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WALK_CUH_

#include <cuda_fp16.h>

#include "kernels/formats/lut/lut_cuda_fused.h"
#include "kernels/formats/lut/lut_cuda_layout.h"

namespace qtipd {

// A warp's way through a chunk of row blocks: steps are numbered column by column, all row blocks
// of a column after each other, and each warp takes an equal share of neighbouring numbers. Loads
// run ahead of it.
template <int kBits, int kBlocks, int kScaleWords>
class LutWalk {
 public:
  __device__ __forceinline__ LutWalk(const LutFusedArguments& args, int lane) : args_(args) {
    const int block = static_cast<int>(blockIdx.x);
    first_row_ = block * args.row_quotient + min(block, args.row_remainder);
    rows_of_block_ = args.row_quotient + (block < args.row_remainder ? 1 : 0);
    record_bytes_ = LutRecordBytes(kBits, args.has_scales ? kScaleWords : 0);
    row_bytes_ = static_cast<int64_t>(args.units_per_row) * record_bytes_;
    scales_offset_ = LutIndexBytes(kBits) + lane / 4 * (4 * kScaleWords);
  }

  // Row blocks of the thread block, and of the chunk.
  __device__ __forceinline__ int rows_of_block() const { return rows_of_block_; }
  __device__ __forceinline__ int first_row_of_block() const { return first_row_; }
  __device__ __forceinline__ int rows() const { return rows_; }

  // Begins the chunk whose first row block is `chunk`; one that does not exist has no steps.
  __device__ __forceinline__ void StartChunk(int chunk) {
    rows_ = max(min(args_.chunk_rows, rows_of_block_ - chunk), 0);
    first_row_of_chunk_ = first_row_ + chunk;
    const int steps = rows_ * args_.units_per_row * kParts;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int warps = static_cast<int>(blockDim.x) / 32;
    const int64_t begin = int64_t{steps} * warp / warps;
    const int64_t end = int64_t{steps} * (warp + 1) / warps;
    left_ = ahead_left_ = static_cast<int>(end - begin);
    count_ = left_;
    const int rows = max(rows_, 1);
    step_ = static_cast<int>(begin / rows);
    row_ = first_ = static_cast<int>(begin % rows);
    is_new_column_ = true;
    ahead_row_ = row_;
    ahead_step_ = step_;
    Place();
  }

  __device__ __forceinline__ bool has_steps() const { return left_ > 0; }
  __device__ __forceinline__ int step() const { return step_; }  // of a row block
  __device__ __forceinline__ int row() const { return row_; }    // row block of the chunk
  __device__ __forceinline__ int row_block() const { return first_row_of_chunk_ + row_; }
  __device__ __forceinline__ bool is_new_column() const { return is_new_column_; }
  // Whether the warp has no sums of this row block yet.
  __device__ __forceinline__ bool is_first_of_row() const { return count_ - left_ < rows_; }
  __device__ __forceinline__ void Advance() {
    --left_;
    is_new_column_ = ++row_ == rows_;
    if (is_new_column_) {
      row_ = 0;
      ++step_;
    }
  }

  // Row blocks of the chunk that the warp has no step of: how many, and the first one; the others
  // follow, after the last one the first of the chunk. Before the first Advance().
  __device__ __forceinline__ int untouched_rows() const { return max(rows_ - count_, 0); }
  __device__ __forceinline__ int first_untouched_row() const {
    return (first_ + count_) % max(rows_, 1);
  }

  // What is loaded next.
  __device__ __forceinline__ bool is_ahead_valid() const { return ahead_left_ > 0; }
  __device__ __forceinline__ const char* ahead_words() const {
    return ahead_ + (kParts == 1 ? 0 : ahead_step_ % kParts * (LutIndexBytes(kBits) / kParts));
  }
  __device__ __forceinline__ const char* ahead_scales() const {
    return ahead_ + scales_offset_ +
           (kParts == 1 ? 0 : ahead_step_ % kParts * (4 * kScaleWords / kParts));
  }
  __device__ __forceinline__ void AdvanceAhead() {
    --ahead_left_;
    ahead_ += row_bytes_;
    if (++ahead_row_ == rows_) {
      ahead_row_ = 0;
      ++ahead_step_;
      Place();
    }
  }

 private:
  static constexpr int kParts = kLutUnitBlocks / kBlocks;  // steps of a unit

  __device__ __forceinline__ void Place() {
    ahead_ = args_.packed + (first_row_of_chunk_ + ahead_row_) * row_bytes_ +
             static_cast<int64_t>(ahead_step_ / kParts) * record_bytes_;
  }

  const LutFusedArguments& args_;
  int first_row_;
  int rows_of_block_;
  int record_bytes_;
  int scales_offset_;
  int64_t row_bytes_;
  int first_row_of_chunk_ = 0;
  int rows_ = 0;
  int count_ = 0;
  int left_ = 0;
  int first_ = 0;
  int row_ = 0;
  int step_ = 0;
  bool is_new_column_ = true;
  int ahead_left_ = 0;
  int ahead_row_ = 0;
  int ahead_step_ = 0;
  const char* ahead_ = nullptr;
};

// A warp's sums, [row block of the chunk][warp][LutPartialValues]; of one vector one value a row,
// of more of them [tile of eight][lane][4].
template <int kColumns>
class LutPartials {
 public:
  static constexpr int kValues = LutPartialValues(kColumns);

  __device__ __forceinline__ LutPartials(float* partials, int rows, int lane)
      : rows_(rows), lane_(lane) {
    const int warps = static_cast<int>(blockDim.x) / 32;
    row_stride_ = warps * kValues;
    of_lane_ = partials + threadIdx.x / 32 * kValues;
    if constexpr (kColumns == 1) {
      of_lane_ += lane / 4 + lane % 2 * (kLutUnitRows / 2);
    } else {
      of_lane_ += lane * 4;
    }
  }

  template <typename Walk>
  __device__ __forceinline__ void ClearUntouched(const Walk& walk) const {
    int row = walk.first_untouched_row();
    for (int i = 0; i < walk.untouched_rows(); ++i) {
      const float zero[kColumns > 8 ? 2 : 1][4] = {};
      Add(zero, row, true);
      row = row + 1 == rows_ ? 0 : row + 1;
    }
  }

  // Of one vector all columns of the fragment are equal, and two lanes of four write.
  template <int kTiles>
  __device__ __forceinline__ void Add(const float (&totals)[kTiles][4], int row,
                                      bool is_first) const {
    float* to = of_lane_ + row * row_stride_;
    if constexpr (kColumns == 1) {
      if (lane_ % 4 >= 2) return;
      const float v = lane_ % 2 != 0 ? totals[0][2] : totals[0][0];
      *to = is_first ? v : *to + v;
    } else {
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        float4* four = reinterpret_cast<float4*>(to + n * 128);
        float4 v = make_float4(totals[n][0], totals[n][1], totals[n][2], totals[n][3]);
        if (!is_first) {
          const float4 old = *four;
          v = make_float4(old.x + v.x, old.y + v.y, old.z + v.z, old.w + v.w);
        }
        *four = v;
      }
    }
  }

 private:
  int rows_;
  int lane_;
  int row_stride_;
  float* of_lane_;
};

// Writes element `i` of z.
__device__ __forceinline__ void StoreLutSum(const LutFusedArguments& args, int64_t i, float sum) {
  if (args.writes_half) {
    static_cast<__half*>(args.z)[i] = __float2half_rn(sum);
  } else {
    static_cast<float*>(args.z)[i] = sum;
  }
}

// z of `rows` row blocks from their partial sums; all threads, between barriers.
template <int kColumns>
__device__ __forceinline__ void ReduceLutPartials(const LutFusedArguments& args,
                                                  const float* partials, int first_row, int rows) {
  constexpr int kValues = LutPartialValues(kColumns);
  const int warps = static_cast<int>(blockDim.x) / 32;
#pragma unroll 1
  for (int i = threadIdx.x; i < rows * kValues; i += blockDim.x) {
    const int value = i % kValues;
    const float* p = partials + i / kValues * warps * kValues + value;
    float sums[4] = {};
#pragma unroll
    for (int warp = 0; warp < LutMostWarps(1); ++warp) {
      if (warp < warps) sums[warp % 4] += p[warp * kValues];
    }
    int row = value;
    int column = 0;
    if constexpr (kColumns > 1) {
      const int lane = value / 4 % 32;
      row = lane / 4 + value % 4 / 2 * (kLutUnitRows / 2);
      column = value / 128 * 8 + lane % 4 * 2 + value % 2;
    }
    row += (first_row + i / kValues) * kLutUnitRows;
    if (column < args.columns && row < args.out_features) {
      StoreLutSum(args, static_cast<int64_t>(column) * args.out_features + row,
                  (sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WALK_CUH_
