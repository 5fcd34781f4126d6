// Adding up what the warpgroups of a block have, in an order that is the same on every run.
// Compute capability 9.0.
#ifndef QTIPD_KERNELS_CUDA_WARPGROUP_SUMS_CUH_
#define QTIPD_KERNELS_CUDA_WARPGROUP_SUMS_CUH_

namespace qtipd {

// The turns of kGroups warpgroups, one after the other and round again, as named barriers.
template <int kGroups>
class WarpgroupTurns {
 public:
  __device__ __forceinline__ explicit WarpgroupTurns(int group) : group_(group) {}
  // Waits for the group before; not for the first turn of all.
  __device__ __forceinline__ void Wait() const {
    const int before = kFirst + (group_ + kGroups - 1) % kGroups;
    asm volatile("bar.sync %0, %1;" ::"r"(before), "n"(2 * kThreads) : "memory");
  }
  // Lets the next group go on; not after the last turn.
  __device__ __forceinline__ void Pass() const {
    asm volatile("bar.arrive %0, %1;" ::"r"(kFirst + group_), "n"(2 * kThreads) : "memory");
  }

 private:
  static constexpr int kThreads = 128;
  static constexpr int kFirst = 1;  // 0 is that of __syncthreads()
  const int group_;
};

// Sums of 16 rows and 8 kTiles columns in shared memory, in an order in which the accumulators of
// mma.m16n8k16, rows g and g + 8 of columns 2 q and 2 q + 1, go to all banks.
template <int kTiles>
struct TileSums {
  static constexpr int kRows = 16;
  static constexpr int kValues = 8 * kTiles * kRows;

  static __device__ __forceinline__ int At(int column, int row) {
    return (column ^ (column >> 2 & 1)) * kRows + (row ^ (column >> 1 & 1) * 8);
  }
  // Writes a lane's accumulators of rows `first` and `second`, or adds them to what is there.
  static __device__ __forceinline__ void Put(float* sums, const float (&values)[kTiles][4],
                                             int first, int second, bool adds) {
    const int q = threadIdx.x % 4;
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& to = sums[At(8 * t + 2 * q + i % 2, i < 2 ? first : second)];
        to = adds ? to + values[t][i] : values[t][i];
      }
    }
  }
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_WARPGROUP_SUMS_CUH_
