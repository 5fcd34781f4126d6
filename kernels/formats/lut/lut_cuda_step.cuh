// What a warp of the fused kernels of format "lut" loads and looks up: steps of two or four blocks
// of 64 columns, see lut_cuda_layout.h.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_STEP_CUH_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_STEP_CUH_

#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/cuda/ptx/memory.h"
#include "kernels/cuda/ptx/shared_vector.h"
#include "kernels/formats/lut/lut_cuda_layout.h"

namespace qtipd {

// Blocks of a step: as many as fit in registers beside their activations, a whole unit or half of
// one.
__host__ __device__ constexpr int LutStepBlocks(int bits) { return bits == 8 ? 2 : 4; }

// Steps that a warp loads ahead: with 16 warps 32 to 68 KiB a multiprocessor where registers allow.
__host__ __device__ constexpr int LutStepsAhead(int bits, int columns, int scale_words) {
  if (bits == 8) return 1;
  if (columns > 8) return bits == 1 ? 3 : 2;
  if (scale_words == 8 && bits % 3 == 1) return bits == 1 ? 2 : 1;  // twice the scales
  return bits == 1 ? 4 : 2;
}

template <int kBits, int kBlocks, int kScaleWords>
struct LutStep {
  static constexpr int kIndexBits = kBits;
  static constexpr int kVectors = kBits * kBlocks / kLutUnitBlocks;  // of four words
  static constexpr int kScales = kScaleWords * kBlocks / kLutUnitBlocks;
  uint32_t word[4 * kVectors];
  uint32_t scale[kScales];
};

// Threads of a block at least.
inline constexpr int kLutLeastThreads = 256;

// Four words from `p` on where `condition` holds.
__device__ __forceinline__ void LutLoadFourIf(uint32_t* words, const char* p, bool condition) {
  uint4 v = make_uint4(words[0], words[1], words[2], words[3]);
  ptx::LoadStreaming128If(v, p, condition);
  words[0] = v.x;
  words[1] = v.y;
  words[2] = v.z;
  words[3] = v.w;
}

// Vector j of a step's words; `step` points to its part of a record, kVectors * 512 bytes a part.
template <typename Step>
__device__ __forceinline__ void LutLoadVectorIf(Step& to, int j, const char* step, int lane,
                                                bool condition) {
  if constexpr (LutHasRowPieces(Step::kIndexBits)) {
#pragma unroll
    for (int k = 4 * j; k < 4 * j + 4; ++k) {
      ptx::LoadStreaming32If(to.word[k], step + k * 128 + lane * 4, condition);
    }
  } else {
    LutLoadFourIf(to.word + 4 * j, step + j * 512 + lane * 16, condition);
  }
}

// The scales of a step, `scales` pointing to those of the lane's row.
template <typename Step>
__device__ __forceinline__ void LutLoadScalesIf(Step& to, const char* scales, bool condition) {
  if constexpr (Step::kScales == 2) {
    uint2 v = make_uint2(to.scale[0], to.scale[1]);
    ptx::LoadStreaming64If(v, scales, condition);
    to.scale[0] = v.x;
    to.scale[1] = v.y;
  } else {
#pragma unroll
    for (int i = 0; i < Step::kScales; i += 4) {
      LutLoadFourIf(to.scale + i, scales + 4 * i, condition);
    }
  }
}

// The scales of rows g and g + 8.
__device__ __forceinline__ float2 LutScales(uint32_t pair, bool is_bfloat16) {
  if (is_bfloat16) {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xFFFF0000u));
  }
  return __half22float2(*reinterpret_cast<const __half2*>(&pair));
}

// Index `m` of the lane's string of `block`; both known when compiling.
template <int kBits, int kCount>
__device__ __forceinline__ uint32_t LutIndexInWords(const uint32_t (&words)[kCount], int block,
                                                    int m) {
  constexpr uint32_t kMask = (1u << kBits) - 1;
  int word = block * kBits + m * kBits / 32;
  int bit = m * kBits % 32;
  if constexpr (LutHasRowPieces(kBits)) {
    const int pair = m / 2;
    word = 2 * (block * kBits / 2) + pair % 2;
    bit = (block * kBits % 2 * 16 + pair / 4 * 4 + pair % 4 / 2 * 2 + m % 2) * kBits;
  }
  if (kBits == 3 && bit + kBits > 32) {
    return __funnelshift_r(words[word], words[word + 1], bit) & kMask;
  }
  // A word that is rotated left by r has bit b at b + r.
  const int at = (bit + LutWordRotation(kBits)) % 32;
  if (at + kBits > 32) return __funnelshift_r(words[word], words[word], at) & kMask;
  return words[word] >> at & kMask;
}

// Offset in a table of what byte `i` of a word looks up, of the replica at `replica`.
template <int kBits>
__device__ __forceinline__ uint32_t LutAddressOfByte(uint32_t word, int i, uint32_t replica) {
  const int at = 8 * i + LutWordRotation(kBits);  // its first bit
  uint32_t byte = word;
  if (at > 24) {
    byte = __funnelshift_l(word, word, 32 + kLutTableShift - at);
  } else if (at > kLutTableShift) {
    byte = word >> (at - kLutTableShift);
  } else if (at < kLutTableShift) {
    byte = word << (kLutTableShift - at);
  }
  return ptx::MaskOr<255u * kLutTableRow>(byte, replica);
}

// One codebook: a table in shared memory whose entries, of 128 bytes, hold what a byte of indices
// (at 3 bits two indices) decodes to as often as fits, so that no bank is asked twice.
template <int kBits>
struct LutTensorTable {
  // Steps of a block that one look-up gives weights of.
  static constexpr int kStepsAtOnce = kBits == 1 ? 2 : 1;
  static constexpr int kEntries = kBits == 3 ? 64 : 256;
  static constexpr int kWords = kBits == 1 ? 4 : kBits == 2 ? 2 : 1;
  static constexpr int kBytes = kEntries * kLutTableRow;
  static constexpr int kPieces = kBytes / 16;  // of four words, eight of them an entry
  static constexpr int kMostPieces = kPieces / kLutLeastThreads;

  // What a thread writes. To be issued before other loads, so that the fill does not wait for them.
  struct Values {
    uint32_t word[kMostPieces][kWords];
  };

  static __device__ __forceinline__ Values Load(const void* table) {
    Values values;
#pragma unroll
    for (int i = 0; i < kMostPieces; ++i) {
      const int piece = threadIdx.x + i * blockDim.x;
      if (piece >= kPieces) continue;
      const auto* entry = static_cast<const uint32_t*>(table) + piece / 8 * kWords;
#pragma unroll
      for (int k = 0; k < kWords; ++k) values.word[i][k] = __ldg(entry + k);
    }
    return values;
  }

  // Fills the table at the start of dynamic shared memory; all threads, followed by a barrier of
  // the caller's.
  static __device__ __forceinline__ void Fill(uint32_t* shared, const Values& values) {
#pragma unroll
    for (int i = 0; i < kMostPieces; ++i) {
      const int piece = threadIdx.x + i * blockDim.x;
      if (piece >= kPieces) continue;
      const uint32_t(&w)[kWords] = values.word[i];
      reinterpret_cast<uint4*>(shared)[piece] =
          make_uint4(w[0], w[1 % kWords], w[2 % kWords], w[3 % kWords]);
    }
  }

  __device__ __forceinline__ explicit LutTensorTable(const uint32_t* shared) {
    if (ptx::SharedAddress(shared) != ptx::kDynamicSharedBase) __trap();
    offset = threadIdx.x % (32 / kWords) * (4 * kWords);
  }

  // The A fragments of step `t` of a block, and at 1 bit of the next one.
  template <int kCount>
  __device__ __forceinline__ void Fragments(const uint32_t (&word)[kCount], int block, int t,
                                            uint32_t (&fragments)[kStepsAtOnce][4]) const {
    constexpr uint32_t kBase = ptx::kDynamicSharedBase;
    const int first = block * kBits;
    uint32_t(&a)[4] = fragments[0];
    if constexpr (kBits == 4) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        a[i] = ptx::LoadSharedAt<kBase>(LutAddressOfByte<kBits>(word[first + t], i, offset));
      }
    } else if constexpr (kBits == 2) {
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        const uint2 two =
            ptx::LoadSharedAt64<kBase>(LutAddressOfByte<kBits>(word[first + row], t, offset));
        a[row] = two.x;
        a[2 + row] = two.y;
      }
    } else if constexpr (kBits == 1) {
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        const uint4 four = ptx::LoadSharedAt128<kBase>(
            LutAddressOfByte<kBits>(word[block / 2 * 2 + row], block % 2 * 2 + t / 2, offset));
        a[row] = four.x;
        a[2 + row] = four.y;
        fragments[1][row] = four.z;
        fragments[1][2 + row] = four.w;
      }
    } else if constexpr (kBits == 8) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const uint32_t w = word[first + 2 * t + i / 2];
        const uint32_t low =
            ptx::LoadSharedAt<kBase>(LutAddressOfByte<kBits>(w, i % 2 * 2, offset));
        const uint32_t high =
            ptx::LoadSharedAt<kBase>(LutAddressOfByte<kBits>(w, i % 2 * 2 + 1, offset));
        a[i] = __byte_perm(low, high, 0x5410);
      }
    } else {
      static_assert(kBits == 3);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int bit = 6 * (4 * t + i);
        const int at = bit / 32;
        // Six bits to bits 7 to 12.
        uint32_t w = word[first + at];
        if (bit % 32 > 26) {
          w = __funnelshift_r(w, word[first + at + 1], bit % 32) << kLutTableShift;
        } else if (bit % 32 > kLutTableShift) {
          w >>= bit % 32 - kLutTableShift;
        } else {
          w <<= kLutTableShift - bit % 32;
        }
        a[i] = ptx::LoadSharedAt<kBase>(ptx::MaskOr<63u * kLutTableRow>(w, offset));
      }
    }
  }

  __device__ __forceinline__ void SelectRows(const void*, int) {}
  static __device__ __forceinline__ int SharedBytes() { return kBytes; }

  uint32_t offset;  // of this lane's replica
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_STEP_CUH_
