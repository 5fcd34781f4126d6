// A ring of records in shared memory that one warp fills ahead from global memory and reads itself:
// no warp waits for another one. How weights stream through a memory-bound kernel.
#ifndef QTIPD_KERNELS_CUDA_WARP_RING_CUH_
#define QTIPD_KERNELS_CUDA_WARP_RING_CUH_

#include "kernels/cuda/ptx/async_copy.h"

namespace qtipd {

// Bytes of a barrier; a ring takes one a slot.
inline constexpr int kRingBarrierBytes = 8;

// Where the ring of one warp lies. Same on all lanes.
struct WarpRingMemory {
  uint32_t slots = 0;      // shared address of slot 0, a multiple of 16
  uint32_t barriers = 0;   // shared address of slot 0's barrier, a multiple of 8
  int count = 0;           // slots, at least 1
  bool uses_bulk = false;  // one lane's bulk copy instead of copies by all lanes; 9.0 only
};

// All methods are for all lanes of the warp at once. Records are of kRecordBytes, a multiple of 16;
// they are filled and read in the same order.
template <int kRecordBytes>
class WarpRing {
 public:
  __device__ __forceinline__ WarpRing(const WarpRingMemory& memory, int lane)
      : memory_(memory), lane_(lane) {
    if (lane == 0) {
      for (int i = 0; i < memory.count; ++i) {
        ptx::InitBarrier(memory.barriers + i * kRingBarrierBytes, memory.uses_bulk ? 1 : 32);
      }
      ptx::FenceBarriers();
    }
    __syncwarp();
  }

  // Starts copying a record to slot `slot`, whose last record every lane has read, and has passed a
  // __syncwarp() since.
  __device__ __forceinline__ void Fill(int slot, const char* record) const {
    const uint32_t to = memory_.slots + slot * kRecordBytes;
    const uint32_t barrier = memory_.barriers + slot * kRingBarrierBytes;
    if (ptx::HasBulkCopies() && memory_.uses_bulk) {
      if (lane_ == 0) ptx::CopyBulk(to, record, kRecordBytes, barrier);
      return;
    }
#pragma unroll
    for (int first = 0; first < kRecordBytes; first += kWarpBytes) {
      const int at = first + lane_ * kLaneBytes;
      if (first + kWarpBytes <= kRecordBytes || at < kRecordBytes) {
        ptx::CopyAsync16(to + at, record + at);
      }
    }
    ptx::ArriveAfterCopies(barrier);
  }

  // Waits for the next record and returns its slot.
  __device__ __forceinline__ int Wait() const {
    ptx::WaitBarrier(memory_.barriers + next_ * kRingBarrierBytes, parity_);
    return next_;
  }
  // Goes on to the record after the one that Wait() returned.
  __device__ __forceinline__ void Advance() {
    if (++next_ == memory_.count) {
      next_ = 0;
      parity_ ^= 1;
    }
  }

 private:
  static constexpr int kLaneBytes = 16;
  static constexpr int kWarpBytes = 32 * kLaneBytes;
  static_assert(kRecordBytes % kLaneBytes == 0, "copies are of 16 bytes");

  const WarpRingMemory memory_;
  const int lane_;
  int next_ = 0;
  uint32_t parity_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_WARP_RING_CUH_
