// A ring of records in shared memory that a warpgroup reads by its matrix instructions, filled
// ahead from global memory by bulk copies. Compute capability 9.0.
#ifndef QTIPD_KERNELS_CUDA_WARPGROUP_RING_CUH_
#define QTIPD_KERNELS_CUDA_WARPGROUP_RING_CUH_

#include "kernels/cuda/ptx/async_copy.h"
#include "kernels/cuda/ptx/warpgroup_mma.h"

namespace qtipd {

// All methods are for all lanes of the warpgroup at once. Addresses are the same on all lanes, and
// the compiler should know it (ptx::UniformWarp): descriptors of matrix instructions lie in uniform
// registers.
template <int kRecordBytes, int kSlots, int kTogether>
class WarpgroupRing {
 public:
  static constexpr int kBytes = kRecordBytes * kSlots;
  static constexpr int kBarrierBytes = 2 * 8 * kSlots;

  // `memory` of kBytes, a multiple of 128, and `barriers`, a multiple of 8, in shared memory. One
  // warp of the group, where `fills`, makes the barriers; others go on after a barrier of the
  // caller's.
  __device__ __forceinline__ WarpgroupRing(uint32_t memory, uint32_t barriers, bool fills)
      : memory_(memory), full_(barriers), empty_(barriers + 8 * kSlots), fills_(fills) {
    if (fills_ && ptx::ElectOne()) {
#pragma unroll
      for (int i = 0; i < kSlots; ++i) {
        ptx::InitBarrier(full_ + 8 * i, 1);
        ptx::InitBarrier(empty_ + 8 * i, kWarps);
      }
      ptx::FenceBarriers();
    }
    __syncwarp();
  }

  // Begins to copy `count` records, a multiple of kTogether: so many lie side by side from `first`
  // on, and so many again `stride` bytes after those. All earlier ones have been released by all.
  __device__ __forceinline__ void Start(const char* first, int stride, int count) {
    source_ = first;
    stride_ = stride - (kTogether - 1) * kRecordBytes;
    left_ = count;
    int slot = slot_;
#pragma unroll 1
    for (int i = 0; i < kSlots && left_ > 0; ++i) {
      Fill(slot);
      slot = slot + 1 < kSlots ? slot + 1 : 0;
    }
  }

  // Waits for the next record and returns its shared address.
  __device__ __forceinline__ uint32_t Wait() const {
    ptx::WaitBarrier(full_ + 8 * slot_, parity_);
    return memory_ + slot_ * kRecordBytes;
  }
  // Goes on to the record after the one that Wait() returned.
  __device__ __forceinline__ void Advance() {
    if (++slot_ < kSlots) return;
    slot_ = 0;
    parity_ ^= 1;
  }
  // The warp has read the record before the next one: once for every record.
  __device__ __forceinline__ void ReleasePrevious() const {
    if (ptx::ElectOne()) ptx::Arrive(empty_ + 8 * previous());
  }
  // Once all warps have released that record, another one takes its place, while there are any.
  __device__ __forceinline__ void RefillPrevious() {
    if (left_ <= 0) return;
    if (fills_) ptx::WaitBarrier(empty_ + 8 * previous(), slot_ == 0 ? parity_ ^ 1 : parity_);
    Fill(previous());
  }

 private:
  static constexpr int kWarps = 4;

  __device__ __forceinline__ int previous() const { return slot_ == 0 ? kSlots - 1 : slot_ - 1; }
  __device__ __forceinline__ void Fill(int slot) {
    if (fills_ && ptx::ElectOne()) {
      ptx::CopyBulk(memory_ + slot * kRecordBytes, source_, kRecordBytes, full_ + 8 * slot);
    }
    --left_;
    source_ += left_ % kTogether == 0 ? stride_ : kRecordBytes;
  }

  const uint32_t memory_;
  const uint32_t full_;   // kSlots barriers: the record is there
  const uint32_t empty_;  // kSlots barriers: it has been read
  const bool fills_;
  const char* source_ = nullptr;
  int stride_ = 0;
  int left_ = 0;
  int slot_ = 0;
  uint32_t parity_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_WARPGROUP_RING_CUH_
