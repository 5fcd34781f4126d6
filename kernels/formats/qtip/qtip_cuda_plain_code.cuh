// Codes of the plain layout in device code: states to pairs of fp16 weights.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_CODE_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_CODE_CUH_

#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/cuda/ptx/memory.h"
#include "kernels/formats/qtip/qtip_code.h"

namespace qtipd {

__device__ __forceinline__ __half2 PlainHalves(uint32_t bits) {
  return *reinterpret_cast<const __half2*>(&bits);
}
__device__ __forceinline__ uint32_t PlainBits(__half2 halves) {
  return *reinterpret_cast<const uint32_t*>(&halves);
}

// Every code has
//   kV           weights a state
//   kScale       what a pair has to be divided by
//   TableBytes   of shared memory for a table of 2^table_bits rows
//   Context      made by all threads of a block, followed by a barrier of the caller's
//   Pair         of weights: of the two states with kV 1, of the first alone with kV 2
//   kSumsBytes   whether a weight is the sum of the bytes of Hash(state) less kQtipMadMean

// 1mad and 2mad: y - 510, an integer and exact. 0x6400 | y is the fp16 1024 + y.
template <bool kIsTwice>
struct MadCode {
  static constexpr int kV = 1;
  static constexpr float kScale = kQtipMadDivisor;
  static constexpr bool kSumsBytes = true;
  static QTIPD_HOST_DEVICE constexpr size_t TableBytes(int) { return 0; }
  struct Context {
    __device__ Context(char*, const uint16_t*, int) {}
  };

  static __device__ __forceinline__ uint32_t Hash(uint32_t state) {
    return kIsTwice ? Qtip2MadHash(state) : Qtip1MadHash(state);
  }
  static __device__ __forceinline__ uint32_t Shifted(uint32_t state) {
    return __dp4a(Hash(state), 0x01010101u, 0x6400u);
  }
  static __device__ __forceinline__ uint32_t Pair(const Context&, uint32_t a, uint32_t b) {
    static_assert(kQtipMadMean == 510, "0x65FE is the fp16 1024 + 510");
    const uint32_t both = __byte_perm(Shifted(a), Shifted(b), 0x5410);
    return PlainBits(__hsub2(PlainHalves(both), PlainHalves(0x65FE65FEu)));
  }
};

// 3inst: the sum of the two halves of a word, in fp16.
struct InstCode {
  static constexpr int kV = 1;
  static constexpr float kScale = 1;
  static constexpr bool kSumsBytes = false;
  static QTIPD_HOST_DEVICE constexpr size_t TableBytes(int) { return 0; }
  struct Context {
    __device__ Context(char*, const uint16_t*, int) {}
  };

  // In both halves: the addition takes its operands from either half, without permutations.
  static __device__ __forceinline__ uint32_t SumOfHalves(uint32_t x) {
    const __half2 halves = PlainHalves(x);
    return PlainBits(__hadd2(__low2half2(halves), __high2half2(halves)));
  }
  // Qtip3InstHalves, whose mask and flip the compiler makes two instructions of.
  static __device__ __forceinline__ uint32_t Halves(uint32_t state) {
    return ptx::MaskFlip(Qtip3InstHash(state), kQtip3InstMask, kQtip3InstFlip);
  }
  static __device__ __forceinline__ uint32_t Pair(const Context&, uint32_t a, uint32_t b) {
    return __byte_perm(SumOfHalves(Halves(a)), SumOfHalves(Halves(b)), 0x5410);
  }
};

// A table of fp16 in shared memory.
struct SharedTable {
  const uint16_t* entries;
  int table_bits;
  __device__ SharedTable(char* shared, const uint16_t* tlut, int bits)
      : entries(reinterpret_cast<const uint16_t*>(shared)), table_bits(bits) {}
  // `values` fp16, a multiple of 8.
  static __device__ __forceinline__ void Fill(char* shared, const uint16_t* tlut, int values) {
    for (int i = threadIdx.x; i < values / 8; i += blockDim.x) {
      reinterpret_cast<uint4*>(shared)[i] = __ldg(reinterpret_cast<const uint4*>(tlut) + i);
    }
    for (int i = values / 8 * 8 + threadIdx.x; i < values; i += blockDim.x) {
      reinterpret_cast<uint16_t*>(shared)[i] = __ldg(tlut + i);
    }
  }
  __device__ __forceinline__ uint32_t Two(uint32_t a, uint32_t b) const {
    return entries[a] | (static_cast<uint32_t>(entries[b]) << 16);
  }
};

// lut with one weight a state: 128 KiB of shared memory.
struct LutCode {
  static constexpr int kV = 1;
  static constexpr float kScale = 1;
  static constexpr bool kSumsBytes = false;
  static QTIPD_HOST_DEVICE constexpr size_t TableBytes(int table_bits) {
    return sizeof(uint16_t) << table_bits;
  }
  struct Context : SharedTable {
    __device__ Context(char* shared, const uint16_t* tlut, int bits)
        : SharedTable(shared, tlut, bits) {
      Fill(shared, tlut, 1 << bits);
    }
  };
  static __device__ __forceinline__ uint32_t Pair(const Context& table, uint32_t a, uint32_t b) {
    return table.Two(a, b);
  }
};

// The same where blocks get too little shared memory for the table: it is read from L1 and L2.
struct CachedLutCode {
  static constexpr int kV = 1;
  static constexpr float kScale = 1;
  static constexpr bool kSumsBytes = false;
  static QTIPD_HOST_DEVICE constexpr size_t TableBytes(int) { return 0; }
  struct Context {
    const uint16_t* entries;
    __device__ Context(char*, const uint16_t* tlut, int) : entries(tlut) {}
  };
  static __device__ __forceinline__ uint32_t Pair(const Context& table, uint32_t a, uint32_t b) {
    return __ldg(table.entries + a) | (static_cast<uint32_t>(__ldg(table.entries + b)) << 16);
  }
};

// lut with two: the table is larger than shared memory and is read from L1 and L2.
struct PairLutCode {
  static constexpr int kV = 2;
  static constexpr float kScale = 1;
  static constexpr bool kSumsBytes = false;
  static QTIPD_HOST_DEVICE constexpr size_t TableBytes(int) { return 0; }
  struct Context {
    const uint32_t* pairs;
    __device__ Context(char*, const uint16_t* tlut, int)
        : pairs(reinterpret_cast<const uint32_t*>(tlut)) {}
  };
  static __device__ __forceinline__ uint32_t Pair(const Context& table, uint32_t a, uint32_t) {
    return __ldg(table.pairs + a);
  }
};

struct QuantLutCode {
  static constexpr int kV = 1;
  static constexpr float kScale = 1;
  static constexpr bool kSumsBytes = false;
  static QTIPD_HOST_DEVICE constexpr size_t TableBytes(int table_bits) {
    return table_bits < 3 ? 16 : sizeof(uint16_t) << table_bits;
  }
  using Context = LutCode::Context;
  static __device__ __forceinline__ uint32_t Pair(const Context& table, uint32_t a, uint32_t b) {
    return table.Two(QtipQuantLutIndex(a, table.table_bits),
                     QtipQuantLutIndex(b, table.table_bits));
  }
};

// hyb where checkpoints have it in the plain layout.
struct PlainHybCode {
  static constexpr int kV = 2;
  static constexpr float kScale = 1;
  static constexpr bool kSumsBytes = false;
  static QTIPD_HOST_DEVICE constexpr size_t TableBytes(int) {
    return sizeof(uint16_t) * kQtipLutValues;
  }
  struct Context : SharedTable {
    __device__ Context(char* shared, const uint16_t* tlut, int bits)
        : SharedTable(shared, tlut, bits) {
      Fill(shared, tlut, kQtipLutValues);
    }
  };
  static __device__ __forceinline__ uint32_t Pair(const Context& table, uint32_t a, uint32_t) {
    const uint32_t hash = QtipHybHash(a);
    return reinterpret_cast<const uint32_t*>(table.entries)[QtipHybIndex(hash)] ^ QtipHybSign(hash);
  }
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_CODE_CUH_
