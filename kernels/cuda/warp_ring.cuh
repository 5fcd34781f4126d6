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
      : slots_(memory.slots),
        uses_bulk_(memory.uses_bulk),
        lane_(lane),
        next_(memory.address),
        left_(memory.slots) {
    if (lane == 0) {
#pragma unroll 1
      for (int i = 0; i < memory.slots; ++i) {
        ptx::InitBarrier(memory.address + i * kSlotBytes + kRecordBytes, memory.uses_bulk ? 1 : 32);
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
    if (--left_ > 0) return;
    next_ -= slots_ * kSlotBytes;
    left_ = slots_;
    parity_ ^= 1;
  }

 private:
  static constexpr int kLaneBytes = 16;
  static constexpr int kWarpBytes = 32 * kLaneBytes;
  static_assert(kRecordBytes % kLaneBytes == 0, "copies are of 16 bytes");

  const int slots_;
  const bool uses_bulk_;
  const int lane_;
  uint32_t next_;
  int left_;  // slots from the next one to the last
  uint32_t parity_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_WARP_RING_CUH_
