// A ring of records in shared memory that one warp fills ahead from global memory and reads itself:
// no warp waits for another one. How weights stream through a memory-bound kernel.
#ifndef QTIPD_KERNELS_CUDA_WARP_RING_CUH_
#define QTIPD_KERNELS_CUDA_WARP_RING_CUH_

#include "kernels/cuda/ptx/async_copy.h"

namespace qtipd {

// What a slot takes beside its record: the barrier that its copies arrive at.
inline constexpr int kRingBarrierBytes = 16;

// Where the ring of one warp lies. Same on all lanes.
struct WarpRingMemory {
  uint32_t address = 0;    // of slot 0 in shared memory, a multiple of 16
  int slots = 0;           // at least 1, of the record's bytes and kRingBarrierBytes each
  bool uses_bulk = false;  // one lane's bulk copy instead of copies by all lanes; 9.0 only
};

// All methods are for all lanes of the warp at once. Records are of kRecordBytes, a multiple of 16;
// they are filled and read in the same order.
template <int kRecordBytes>
class WarpRing {
 public:
  static constexpr int kSlotBytes = kRecordBytes + kRingBarrierBytes;

  __device__ __forceinline__ WarpRing(const WarpRingMemory& memory, int lane)
      : first_(memory.address),
        end_(memory.address + memory.slots * kSlotBytes),
        uses_bulk_(memory.uses_bulk),
        lane_(lane),
        next_(memory.address) {
    if (lane == 0) {
#pragma unroll 1
      for (uint32_t slot = first_; slot < end_; slot += kSlotBytes) {
        ptx::InitBarrier(slot + kRecordBytes, memory.uses_bulk ? 1 : 32);
      }
      ptx::FenceBarriers();
    }
    __syncwarp();
  }

  // Starts copying a record to the slot at `slot`, whose last record every lane has read, and has
  // passed a __syncwarp() since.
  __device__ __forceinline__ void Fill(uint32_t slot, const char* record) const {
    if (ptx::HasBulkCopies() && uses_bulk_) {
      if (ptx::ElectOne()) ptx::CopyBulk(slot, record, kRecordBytes, slot + kRecordBytes);
      return;
    }
#pragma unroll
    for (int first = 0; first < kRecordBytes; first += kWarpBytes) {
      const int at = first + lane_ * kLaneBytes;
      if (first + kWarpBytes <= kRecordBytes || at < kRecordBytes) {
        ptx::CopyAsync16(slot + at, record + at);
      }
    }
    ptx::ArriveAfterCopies(slot + kRecordBytes);
  }

  // Waits for the next record and returns the shared address of its slot, where it begins.
  __device__ __forceinline__ uint32_t Wait() const {
    ptx::WaitBarrier(next_ + kRecordBytes, parity_);
    return next_;
  }
  // Goes on to the record after the one that Wait() returned.
  __device__ __forceinline__ void Advance() {
    next_ += kSlotBytes;
    if (next_ == end_) {
      next_ = first_;
      parity_ ^= 1;
    }
  }

  // After the last record was read: its memory may be used otherwise, by other threads after a
  // barrier of threads.
  __device__ __forceinline__ void End() const {
    if (lane_ != 0) return;
#pragma unroll 1
    for (uint32_t slot = first_; slot < end_; slot += kSlotBytes) {
      ptx::InvalidateBarrier(slot + kRecordBytes);
    }
  }

 private:
  static constexpr int kLaneBytes = 16;
  static constexpr int kWarpBytes = 32 * kLaneBytes;
  static_assert(kRecordBytes % kLaneBytes == 0, "copies are of 16 bytes");

  const uint32_t first_;
  const uint32_t end_;
  const bool uses_bulk_;
  const int lane_;
  uint32_t next_;
  uint32_t parity_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_WARP_RING_CUH_
