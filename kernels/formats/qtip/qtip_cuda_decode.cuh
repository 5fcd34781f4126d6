// Device code that turns a unit's words into pairs of fp16 weights; see qtip_cuda_layout.h.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_DECODE_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_DECODE_CUH_

#include <cstdint>

#include "kernels/cuda/ptx/memory.h"
#include "kernels/formats/qtip/qtip_codebook.h"
#include "kernels/formats/qtip/qtip_cuda_layout.h"

namespace qtipd {

inline constexpr int kDecodeThreads = 512;

// Where dynamic shared memory begins in a kernel without static shared memory: from compute
// capability 9.0 after the 1 KiB that the system keeps, before that at 0. As a constant it folds
// into the load instruction; in a register it costs one more instruction for every two weights
// (8192x8192, 2 bits: 13.4 against 12.3 us on an H200).
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
inline constexpr uint32_t kTableBase = 0;
#else
inline constexpr uint32_t kTableBase = 1024;
#endif

template <int kBits>
struct UnitWords {
  uint32_t word[2 * kBits];
};

template <int kBits>
__device__ __forceinline__ UnitWords<kBits> LoadUnit(const char* unit, int lane) {
  UnitWords<kBits> words;
  if constexpr (kBits == 1) {
    const uint2 both = ptx::LoadStreaming64(unit + UnitWordOffset(kBits, lane, 0));
    words = {{both.x, both.y}};
  } else {
    const uint4 a = ptx::LoadStreaming128(unit + UnitWordOffset(kBits, lane, 0));
    words.word[0] = a.x;
    words.word[1] = a.y;
    words.word[2] = a.z;
    words.word[3] = a.w;
    if constexpr (kBits == 3) {
      const uint2 b = ptx::LoadStreaming64(unit + UnitWordOffset(kBits, lane, 4));
      words.word[4] = b.x;
      words.word[5] = b.y;
    }
    if constexpr (kBits == 4) {
      const uint4 b = ptx::LoadStreaming128(unit + UnitWordOffset(kBits, lane, 4));
      words.word[4] = b.x;
      words.word[5] = b.y;
      words.word[6] = b.z;
      words.word[7] = b.w;
    }
  }
  return words;
}

// Loads where `condition` holds, by predicated instructions.
template <int kBits>
__device__ __forceinline__ void LoadUnitIf(UnitWords<kBits>& words, const char* unit, int lane,
                                           bool condition) {
  uint32_t(&w)[2 * kBits] = words.word;
  if constexpr (kBits == 1) {
    uint2 both = make_uint2(w[0], w[1]);
    ptx::LoadStreaming64If(both, unit + UnitWordOffset(kBits, lane, 0), condition);
    words = {{both.x, both.y}};
  } else {
    uint4 a = make_uint4(w[0], w[1], w[2], w[3]);
    ptx::LoadStreaming128If(a, unit + UnitWordOffset(kBits, lane, 0), condition);
    w[0] = a.x;
    w[1] = a.y;
    w[2] = a.z;
    w[3] = a.w;
    if constexpr (kBits == 3) {
      uint2 b = make_uint2(w[4], w[5]);
      ptx::LoadStreaming64If(b, unit + UnitWordOffset(kBits, lane, 4), condition);
      w[4] = b.x;
      w[5] = b.y;
    }
    if constexpr (kBits == 4) {
      uint4 b = make_uint4(w[4], w[5], w[6], w[7]);
      ptx::LoadStreaming128If(b, unit + UnitWordOffset(kBits, lane, 4), condition);
      w[4] = b.x;
      w[5] = b.y;
      w[6] = b.z;
      w[7] = b.w;
    }
  }
}

// This thread's entry of the table [512] of fp16 pairs; issue it before other loads, so that the
// fill does not wait for them.
__device__ __forceinline__ uint32_t LoadTableEntry(const uint32_t* table) {
  return __ldg(table + threadIdx.x % kQtipLutEntries);
}

// Writes the folded table to `shared`; all kDecodeThreads threads, followed by a barrier of the
// caller's.
template <int kReplicas>
__device__ __forceinline__ void FillTable(uint32_t* shared, uint32_t pair) {
  static_assert(kDecodeThreads == kQtipLutEntries, "one entry a thread");
  constexpr int kParts = kReplicas / 4;       // 16 bytes each
  constexpr int kThreadsPerRow = 8 / kParts;  // whose entries share a row of all banks
#pragma unroll
  for (int sign = 0; sign < 2; ++sign) {
    const uint32_t value = sign == 0 ? pair : pair ^ 0x8000u;
    const uint4 four = make_uint4(value, value, value, value);
    const int entry = threadIdx.x + sign * kQtipLutEntries;
#pragma unroll
    for (int k = 0; k < kParts; ++k) {  // rotated by thread: neighbours write different banks
      const int part = (k + threadIdx.x / kThreadsPerRow) % kParts;
      reinterpret_cast<uint4*>(shared)[entry * kParts + part] = four;
    }
  }
}

// How a lane reads a table of kReplicas copies.
template <int kReplicas>
struct DecodeContext {
  uint32_t lane_offset;  // of this lane's replica
  int next_lane;         // that continues this lane's bits
};

// `shared` must be the start of dynamic shared memory.
template <int kReplicas>
__device__ __forceinline__ DecodeContext<kReplicas> MakeDecodeContext(const uint32_t* shared) {
  if (ptx::SharedAddress(shared) != kTableBase) __trap();  // a toolkit that lays memory out anew
  const uint32_t lane = threadIdx.x % 32;
  return {lane % kReplicas * 4, static_cast<int>((lane & 16) | ((lane + 4) & 15))};
}

// Hash bits 15..6 are the entry. With 32 replicas they are shifted left by one, one instruction
// more, and no bank is asked twice; with 16 they lie where the address has them, and the two half
// warps meet in the banks.
template <int kReplicas>
__device__ __forceinline__ uint32_t LookUpPair(uint32_t state,
                                               const DecodeContext<kReplicas>& context) {
  static_assert(kReplicas == 16 || kReplicas == 32);
  constexpr uint32_t kEntryMask = (kFoldedEntries - 1) * kReplicas * 4;
  const uint32_t hash = QtipHybHash(state);
  const uint32_t scaled = kReplicas == 32 ? hash << 1 : hash;
  return ptx::LoadSharedAt<kTableBase>(ptx::MaskOr<kEntryMask>(scaled, context.lane_offset));
}

// The state that starts at bit `offset` of the lane's words, garbage above bit 15.
template <int kWords>
__device__ __forceinline__ uint32_t StateAt(const uint32_t (&words)[kWords], int offset) {
  const int k = offset / 32;
  const int start = offset % 32;
  if (start <= 16) return words[k] >> (16 - start);
  return __funnelshift_r(words[k + 1 < kWords ? k + 1 : k], words[k], 48 - start);
}

// Bit of the lane's words where the state of pair j of matrix instruction i begins. At 1 bit units
// are those of the plain layout (qtip_cuda_layout.h).
template <int kBits>
__host__ __device__ constexpr int PairOffset(int i, int j) {
  return kBits == 1 ? 16 * (2 * (i >> 2) + (j & 1)) + 2 * (i & 3) + 8 * (j >> 1)
                    : (4 * i + j) * QtipStepBits(kBits);
}

// Calls sink(i, pairs) for i = 0..7: pairs[j] holds row 2 g + (i >> 2) + 8 (j & 1), columns
// 2 (i & 3) + 8 (j >> 1) + {0, 1} of the lane's tile, which is what mma.m16n8k16 takes as A; in the
// plain layout row 4 g + 2 (i >> 2) + (j & 1). All lanes of the warp.
template <int kBits, int kReplicas, typename Sink>
__device__ __forceinline__ void DecodeUnit(const UnitWords<kBits>& unit,
                                           const DecodeContext<kReplicas>& context, Sink&& sink) {
  uint32_t words[2 * kBits + 1];
#pragma unroll
  for (int i = 0; i < 2 * kBits; ++i) words[i] = unit.word[i];
  words[2 * kBits] = __shfl_sync(0xFFFFFFFFu, unit.word[0], context.next_lane);
#pragma unroll
  for (int i = 0; i < kUnitPairs / 4; ++i) {
    uint32_t pairs[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      pairs[j] = LookUpPair(StateAt(words, PairOffset<kBits>(i, j)), context);
    }
    sink(i, pairs);
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_DECODE_CUH_
