// Fused decode and multiply for 9 to 16 activation vectors: warpgroup_stream.cuh with codes. A
// group of 32 or 64 columns is a chain of matrix instructions, one of 128 two; sums are multiplied
// by the scales of their rows and added in fp32.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_WARPGROUP_CUH_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_WARPGROUP_CUH_

#include <cuda_fp16.h>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/cuda/warpgroup_stream.cuh"
#include "kernels/formats/int4/int4_cuda_decode.cuh"
#include "kernels/formats/int4/int4_cuda_warpgroup.h"

namespace qtipd {

template <int kScales, bool kHasZeros>
class Int4Records {
 public:
  static constexpr int kUnitCols = kInt4UnitCols;
  using Record = Int4UnitWords<kScales, kHasZeros>;

  __device__ __forceinline__ explicit Int4Records(bool is_half)
      : is_half_(is_half), lane_(static_cast<int>(threadIdx.x) % 32) {}

  static __device__ __forceinline__ constexpr int record_bytes() {
    return Int4RecordBytes(kScales, kHasZeros);
  }
  __device__ __forceinline__ Record Empty() const { return {}; }
  __device__ __forceinline__ void Load(Record& to, const char* record, bool exists) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t* codes = to.codes + 4 * half;
      uint4 four = make_uint4(codes[0], codes[1], codes[2], codes[3]);
      ptx::LoadStreaming128If(four, record + half * kInt4HalfCodeBytes + lane_ * kInt4LaneBytes,
                              exists);
      codes[0] = four.x;
      codes[1] = four.y;
      codes[2] = four.z;
      codes[3] = four.w;
    }
    const char* scales = record + kInt4UnitCodeBytes + lane_ / 4 * 4;
    const char* zeros = record + kInt4UnitCodeBytes + kScales * kInt4ScaleEntryBytes;
#pragma unroll
    for (int entry = 0; entry < kScales; ++entry) {
      ptx::LoadStreaming32If(to.scales[entry], scales + entry * kInt4ScaleEntryBytes, exists);
      if constexpr (kHasZeros) {  // of two pairs of rows, of which the lane has one
        uint32_t both = to.zeros[entry];
        ptx::LoadStreaming32If(both, zeros + entry * kInt4ZeroEntryBytes + lane_ / 8 * 4, exists);
        to.zeros[entry] = both;
      }
    }
  }
  __device__ __forceinline__ void Multiply(const Record& record, bool has, uint64_t b,
                                           ChainPair& chains, StreamTotals& totals) const {
#pragma unroll
    for (int round = 0; round < kRounds; ++round) {
#pragma unroll
      for (int t = 0; t < kChainSteps; t += 2) {
        const auto word = [&](int i, int j) { return WordOf(2 * round + i, t + j); };
        if (has) Decode(record, round, word, chains);
        chains.Multiply(t == 0, b, word);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float2 scale = record.ScaleOf(EntryOf(2 * round + i), is_half_);
        scale.y *= kInt4SecondRowFactor;
        chains.AddScaled(i, scale, totals);
      }
    }
  }

 private:
  static constexpr int kChains = kScales == 1 ? 2 : kScales;  // of a unit
  static constexpr int kRounds = kChains / 2;
  static constexpr int kChainSteps = 8 / kChains;

  // Step `step` of chain `chain`: the number of a word, and of the matrix instruction.
  static __device__ __forceinline__ constexpr int WordOf(int chain, int step) {
    return kScales == 1 ? 2 * step + chain : kChainSteps * chain + step;
  }
  static __device__ __forceinline__ constexpr int EntryOf(int chain) {
    return kScales == 1 ? 0 : chain;
  }
  template <typename Word>
  __device__ __forceinline__ void Decode(const Record& record, int round, const Word& word,
                                         ChainPair& chains) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const Int4Bias bias = BiasOf(record, EntryOf(2 * round + i));
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        Int4Fragment(record.codes[word(i, j)], bias, chains.fragments[i][j]);
      }
    }
  }
  __device__ __forceinline__ Int4Bias BiasOf(const Record& record, int entry) const {
    if constexpr (!kHasZeros) return {};
    Record own = record;
    own.zeros[entry] = record.zeros[entry] >> (lane_ / 4 % 2 * 16) & 0xFFFF;
    return own.BiasOf(entry);
  }

  const bool is_half_;
  const int lane_;
};

template <int kScales, bool kHasZeros>
__global__ void __launch_bounds__(kWarpgroupThreads, 1)
    Int4Stream(const __grid_constant__ Int4StreamArguments args) {
  extern __shared__ __align__(128) char shared[];
  ptx::LaunchDependents();
  const Int4Records<kScales, kHasZeros> records(args.is_half);
  WarpgroupStream<Int4Records<kScales, kHasZeros>, kInt4StreamSlots> stream(args.stream, records,
                                                                            shared);
  // Nothing so far depends on the grids before this one.
  ptx::WaitForPreviousGrids();
  __syncthreads();
  stream.Run([&](int row, int vector, float sum) {
    if (vector >= args.vectors || row >= args.out_features) return;
    const int64_t at = static_cast<int64_t>(vector) * args.out_features + row;
    if (args.writes_half) {
      static_cast<__half*>(args.z)[at] = __float2half_rn(sum);
    } else {
      static_cast<float*>(args.z)[at] = sum;
    }
  });
}

template <int kScales>
absl::Status LaunchInt4StreamKernel(const CudaDevice& device, bool has_zeros,
                                    const Int4FusedConfig& config,
                                    const Int4StreamArguments& arguments) {
  const LaunchOptions options = {.grid = static_cast<unsigned>(config.grid),
                                 .block = kWarpgroupThreads,
                                 .shared_bytes = config.shared_bytes,
                                 .overlaps_previous = true};
  return LaunchKernel(device, options,
                      has_zeros ? Int4Stream<kScales, true> : Int4Stream<kScales, false>,
                      arguments);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_WARPGROUP_CUH_
