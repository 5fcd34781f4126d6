// A warp's way through the units of a block's row blocks.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_STREAM_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_STREAM_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_common.cuh"

namespace qtipd {

// Warp w takes units w, w + 16, ... of kRows row blocks, then of the next kRows, one unit loaded
// ahead. Some warps have one unit more than others, or none. Row blocks that do not exist are not
// loaded; what is decoded in their place is not to be stored.
template <int kBits, int kRows>
class UnitStream {
 public:
  __device__ UnitStream(const FusedArguments& args, const RowRange& rows, int warp, int lane)
      : rows_(rows.count),
        row_bytes_(static_cast<int>(UnitsPerRow(args.in_features)) * UnitBytes(kBits)),
        steps_((static_cast<int>(UnitsPerRow(args.in_features)) - warp + kFusedWarps - 1) /
               kFusedWarps),
        lane_(lane),
        to_next_rows_(static_cast<int64_t>(kRows) * row_bytes_ - steps_ * kStepBytes),
        at_(args.packed + static_cast<int64_t>(rows.first) * row_bytes_ + warp * UnitBytes(kBits)) {
  }

  __device__ int steps() const { return steps_; }  // units of a row block
  __device__ __forceinline__ const UnitWords<kBits>& words(int r) const { return next_[r]; }

  __device__ __forceinline__ void LoadFirst() {
    if (steps_ == 0) return;
#pragma unroll
    for (int r = 0; r < kRows; ++r) LoadFrom(r, 0);
    at_ += kStepBytes;
  }

  // Before a unit: `is_last` of its row blocks, the first of which is `row`.
  __device__ __forceinline__ void Begin(int row, bool is_last) {
    if (is_last) at_ += to_next_rows_;
    next_row_ = is_last ? row + kRows : row;
  }
  // Once words(r) are not needed any more: loads those of the next unit.
  __device__ __forceinline__ void Load(int r) {
    LoadFrom(r, next_row_);
    __syncwarp();  // keeps the load here
  }
  // After a unit.
  __device__ __forceinline__ void End() { at_ += kStepBytes; }

 private:
  static constexpr int kStepBytes = kFusedWarps * UnitBytes(kBits);
  __device__ __forceinline__ void LoadFrom(int r, int first_row) {
    LoadUnitIf(next_[r], at_ + static_cast<int64_t>(r) * row_bytes_, lane_, first_row + r < rows_);
  }

  const int rows_;
  const int row_bytes_;
  const int steps_;
  const int lane_;
  const int64_t to_next_rows_;
  const char* at_;  // the unit that is loaded next, of the first row block
  int next_row_ = 0;
  UnitWords<kBits> next_[kRows] = {};
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_STREAM_CUH_
