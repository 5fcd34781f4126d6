// What a fused kernel tells of itself: nothing in the shipped build, where its time goes in the
// traced one. Both are compiled from the same source; the shipped machine code is the same as
// without any probe.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PROBE_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PROBE_CUH_

#include "kernels/cuda/ptx/timer.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"

namespace qtipd {

class NoProbe {
 public:
  __device__ __forceinline__ explicit NoProbe(const FusedArguments&) {}
  __device__ __forceinline__ void TableIsReady() {}
  __device__ __forceinline__ void LoopIsDone() {}
  __device__ __forceinline__ void ReductionIsDone() {}
  __device__ __forceinline__ void Finish() {}
};

// Every thread counts, the first writes: the phases begin and end at barriers of the block.
class PhaseProbe {
 public:
  __device__ __forceinline__ explicit PhaseProbe(const TracedArguments& args)
      : record_(args.records + blockIdx.x), mark_(ptx::ClockCyclesLow()) {
    if (threadIdx.x == 0) record_->begin_nanoseconds = ptx::GlobalTimerNanoseconds();
  }
  __device__ __forceinline__ void TableIsReady() {
    const uint32_t now = ptx::ClockCyclesLow();
    if (threadIdx.x == 0) record_->codebook_cycles = now - mark_;
    mark_ = now;
  }
  __device__ __forceinline__ void LoopIsDone() { loop_ += Lap(); }
  __device__ __forceinline__ void ReductionIsDone() { reduce_ += Lap(); }
  // The last reduction ends when all threads have written their sums.
  __device__ __forceinline__ void Finish() {
    __syncthreads();
    reduce_ += Lap();
    if (threadIdx.x != 0) return;
    record_->loop_cycles = loop_;
    record_->reduce_cycles = reduce_;
    record_->end_nanoseconds = ptx::GlobalTimerNanoseconds();
  }

 private:
  __device__ __forceinline__ uint32_t Lap() {
    const uint32_t before = mark_;
    mark_ = ptx::ClockCyclesLow();
    return mark_ - before;
  }

  PhaseRecord* record_;
  uint32_t mark_;
  uint32_t loop_ = 0;
  uint32_t reduce_ = 0;
};

template <typename Arguments>
struct ProbeOf;
template <>
struct ProbeOf<FusedArguments> {
  using Type = NoProbe;
};
template <>
struct ProbeOf<TracedArguments> {
  using Type = PhaseProbe;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PROBE_CUH_
