// One block of 128 threads a tile, four blocks a multiprocessor.
//
// best_t[p], p the low 16 - 2 bits bits of a state, is the least cost of a path through steps 0 ..
// t - 1 that leaves p behind: best_{t+1}[p] = min over states s with low bits p of e_t(s) +
// best_t[s >> 2 bits].
//
// Every step visits all 65,536 states as s = 4096 j + q, q = 16 Q + d. Four facts keep that cheap:
//   * e_t has 1024 distinct values, indexed by bits 15..6 of h(s) = s (s + 1). h(s) = h(q) + 4096 j
//     (2 q + 1) mod 65536, so over j the index runs through h(q)'s low part in steps of 64 whose
//     order depends on d mod 8 alone: all offsets are constants once the table is stored twice
//     over.
//   * Lane l of warp r takes Q = 4 l + r: the index's low five bits are then l (2 d + 1) plus a
//     constant, a permutation of the banks. No conflicts, no replicas.
//   * h(65535 - s) = h(s): one look-up serves two states.
//   * best_t[s >> 2 bits] does not depend on d: sixteen registers for each of the two.
// That is one shared load, two additions and two minima for two states. No back-pointers: best_t is
// kept for every t, and the way back searches the predecessors of one state a step again.
//
// Versions: a back-pointer in the cost's low bits (+40 % instructions, costs lose 4 to 8 bits) was
// considered and not built.
#include <cuda_fp16.h>

#include <algorithm>
#include <string>

#include "kernels/api/error.h"
#include "kernels/api/host_device.h"
#include "kernels/cuda/launch.h"
#include "kernels/formats/qtip/qtip_codebook.h"
#include "kernels/formats/qtip/qtip_cuda_layout.h"
#include "kernels/formats/qtip/qtip_cuda_search.h"
#include "kernels/formats/qtip/qtip_cuda_viterbi.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

constexpr int kThreads = kQtipSteps;  // also one thread a step where a tile is read and written
constexpr int kBlocksPerMultiprocessor = 4;
constexpr int kTilesPerMultiprocessor = 128;             // per launch: about 30 ms on an H200
constexpr int kGroupedStates = 4096;                     // values of q
constexpr int kBranches = kQtipStates / kGroupedStates;  // values of j
constexpr int kSeam = kQtipSteps / 2;
constexpr float kInfinity = __builtin_huge_valf();

QTIPD_HOST_DEVICE constexpr int Survivors(int bits) { return kQtipStates >> QtipStepBits(bits); }

struct __align__(16) Shared {
  float best[2][kGroupedStates];
  float errors[2 * kFoldedEntries];  // e_t by folded index, twice over
  float2 table[kQtipLutEntries];
  float2 samples[kQtipSteps];
  uint16_t states[kQtipSteps];
  int seam;
};

// Where value p of a 4096-array lies: reads with lanes along bits 2..6 and writes with lanes along
// bits 6..10 of p both touch every bank once.
__device__ __forceinline__ int Swizzle(int p) {
  return ((p >> 7) << 7) | ((p & 3) << 5) | (((p >> 2) & 31) ^ ((p >> 7) & 15));
}

// best_t is kept swizzled where it has 4096 values, else in order.
template <int kBits>
__device__ __forceinline__ int SurvivorAt(int p) {
  return kBits == 2 ? Swizzle(p) : p;
}

__device__ __forceinline__ float2 DecodeState(const Shared& shared, uint32_t state) {
  const uint32_t hash = QtipHybHash(state);
  float2 pair = shared.table[QtipHybIndex(hash)];
  if (QtipHybSign(hash) != 0) pair.x = -pair.x;
  return pair;
}

__device__ __forceinline__ float SquaredError(float2 weights, float2 sample) {
  const float a = weights.x - sample.x;
  const float b = weights.y - sample.y;
  return a * a + b * b;
}

// errors[] for one sample.
__device__ __forceinline__ void BuildErrors(Shared& shared, float2 sample) {
#pragma unroll
  for (int k = 0; k < kQtipLutEntries / kThreads; ++k) {
    const int entry = k * kThreads + threadIdx.x;
    const float2 pair = shared.table[entry];
    const float plus = SquaredError(pair, sample);
    const float minus = SquaredError(make_float2(-pair.x, pair.y), sample);
    shared.errors[entry] = plus;
    shared.errors[entry + kQtipLutEntries] = minus;
    shared.errors[entry + kFoldedEntries] = plus;
    shared.errors[entry + kFoldedEntries + kQtipLutEntries] = minus;
  }
}

// costs[j] = best_t[(4096 j + 16 group) >> 2 bits].
template <int kBits>
__device__ __forceinline__ void LoadCosts(const float* best, int group, float (&costs)[kBranches]) {
  constexpr int kShift = QtipStepBits(kBits);
#pragma unroll
  for (int j = 0; j < kBranches; ++j) {
    if constexpr (kBits == 2) {
      // Swizzle(256 j + group), with the part that depends on j taken out.
      costs[j] = best[(Swizzle(group) ^ ((2 * j) & 15)) + 256 * j];
    } else {
      costs[j] = best[(j << (12 - kShift)) | (group >> (kShift - 4))];
    }
  }
}

// out[q] = min over j of e_t(4096 j + q) + best_t[(4096 j + q) >> 2 bits], q = 0..4095, swizzled.
template <int kBits>
__device__ __forceinline__ void Advance(const Shared& shared, const float* best, float* out) {
  const int group = 4 * (threadIdx.x % 32) + threadIdx.x / 32;
  const int mirror = 255 - group;
  float costs[kBranches];
  float mirror_costs[kBranches];
  LoadCosts<kBits>(best, group, costs);
  LoadCosts<kBits>(best, mirror, mirror_costs);
  const int to = Swizzle(16 * group);
  const int mirror_to = Swizzle(16 * mirror);
#pragma unroll 1
  for (int high = 0; high < 16; high += 8) {
#pragma unroll
    for (int low = 0; low < 8; ++low) {
      const int d = high + low;
      const uint32_t q = 16 * group + d;
      const float* errors = shared.errors + ((QtipHybHash(q) >> 6) & (kFoldedEntries - 1));
      float least = kInfinity;
      float mirror_least = kInfinity;
#pragma unroll
      for (int j = 0; j < kBranches; ++j) {
        const float error = errors[64 * ((j * (2 * low + 1)) & 15)];
        least = fminf(least, error + costs[j]);
        mirror_least = fminf(mirror_least, error + mirror_costs[kBranches - 1 - j]);
      }
      // Swizzle(16 group + d): d's low bits select rows, its high bits turn the bank.
      out[(to ^ (d >> 2)) + 32 * (low & 3)] = least;
      out[(mirror_to ^ ((15 - d) >> 2)) + 32 * (3 - (low & 3))] = mirror_least;
    }
  }
}

// best[p] = min of out[q] over the q with low bits p. Nothing to do at 2 bits, where q is p.
template <int kBits>
__device__ __forceinline__ void Reduce(const float* out, float* best) {
  constexpr int kSurvivors = Survivors(kBits);
  for (int k = 0; k < kSurvivors / kThreads; ++k) {
    const int p = (k << 7) | (threadIdx.x % 32 << 2) | (threadIdx.x / 32);
    float least = kInfinity;
#pragma unroll
    for (int q = 0; q < kGroupedStates; q += kSurvivors) least = fminf(least, out[Swizzle(q + p)]);
    best[p] = least;
  }
}

// The pair (value, index) of the warp's least value; equal values go to the lowest index.
__device__ __forceinline__ int ArgminOfWarp(float value, int index) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    const float other_value = __shfl_xor_sync(0xFFFFFFFFu, value, offset);
    const int other_index = __shfl_xor_sync(0xFFFFFFFFu, index, offset);
    if (other_value < value || (other_value == value && other_index < index)) {
      value = other_value;
      index = other_index;
    }
  }
  return index;
}

// One tile's search over the samples rotated by `rotation` steps. `seam` < 0: every path; else
// only those that begin and end with these bits. Leaves best_t for t >= first_kept in `history` and
// best_128 in the result.
template <int kBits>
__device__ const float* SearchForward(Shared& shared, int rotation, int seam, int first_kept,
                                      float* history) {
  constexpr int kSurvivors = Survivors(kBits);
  float* best = shared.best[0];
  float* out = shared.best[1];
  for (int p = threadIdx.x; p < kSurvivors; p += kThreads) {
    best[SurvivorAt<kBits>(p)] = seam < 0 || p == seam ? 0.0f : kInfinity;
  }
  for (int t = 0; t < kQtipSteps; ++t) {
    BuildErrors(shared, shared.samples[(t + rotation) % kQtipSteps]);
    if (kBits > 2 && t > 0) Reduce<kBits>(out, best);
    __syncthreads();
    if (t >= first_kept) {
      const auto* from = reinterpret_cast<const float4*>(best);
      auto* to = reinterpret_cast<float4*>(history + t * kSurvivors);
      for (int i = threadIdx.x; i < kSurvivors / 4; i += kThreads) to[i] = from[i];
    }
    Advance<kBits>(shared, best, out);
    __syncthreads();
    if (kBits == 2) {
      float* const next = out;
      out = best;
      best = next;
    }
  }
  if (kBits > 2) {
    Reduce<kBits>(out, best);
    __syncthreads();
  }
  return best;
}

// Warp 0 walks back from low bits `end` after the last step to step `first`, and writes the states.
// Returns the state at `first`, in every lane.
template <int kBits>
__device__ int SearchBack(Shared& shared, int rotation, int seam, int end, int first,
                          const float* history) {
  constexpr int kShift = QtipStepBits(kBits);
  constexpr int kSurvivors = Survivors(kBits);
  const int lane = threadIdx.x;
  int low = end;
  int state = 0;
  for (int t = kQtipSteps - 1; t >= first; --t) {
    const float2 sample = shared.samples[(t + rotation) % kQtipSteps];
    float least = kInfinity;
    int least_state = kQtipStates;
    for (int j = lane; j < 1 << kShift; j += 32) {
      const int s = j * kSurvivors + low;
      const int p = s >> kShift;
      const float before =
          t > 0 ? history[t * kSurvivors + SurvivorAt<kBits>(p)] : (p == seam ? 0.0f : kInfinity);
      const float cost = SquaredError(DecodeState(shared, s), sample) + before;
      if (cost < least) {
        least = cost;
        least_state = s;
      }
    }
    state = ArgminOfWarp(least, least_state) & (kQtipStates - 1);
    if (lane == 0) shared.states[t] = static_cast<uint16_t>(state);
    low = state >> kShift;
  }
  return state;
}

template <int kBits>
__device__ void SearchTile(Shared& shared, float* history) {
  constexpr int kSurvivors = Survivors(kBits);
  // Free search of the sequence turned by half: the seam lies in its middle.
  const float* best = SearchForward<kBits>(shared, kSeam, -1, kSeam, history);
  if (threadIdx.x < 32) {
    float least = kInfinity;
    int end = 0;
    for (int p = threadIdx.x; p < kSurvivors; p += 32) {
      const float cost = best[SurvivorAt<kBits>(p)];
      if (cost < least) {
        least = cost;
        end = p;
      }
    }
    end = ArgminOfWarp(least, end);
    const int state = SearchBack<kBits>(shared, kSeam, -1, end, kSeam, history);
    if (threadIdx.x == 0) shared.seam = state >> QtipStepBits(kBits);
  }
  __syncthreads();
  const int seam = shared.seam;
  SearchForward<kBits>(shared, 0, seam, 1, history);
  if (threadIdx.x < 32) SearchBack<kBits>(shared, 0, seam, seam, 0, history);
  __syncthreads();
}

// The thread's two weights of the tile plus what LDLQ feeds back from the columns to their right.
__device__ float2 TargetOf(const EncodeArguments& args, int64_t row, int64_t col, float2 weights) {
  const EncodeFeedback& feedback = args.feedback;
  if (feedback.product == nullptr) return weights;
  const float2 sum = *reinterpret_cast<const float2*>(feedback.product + row * feedback.group_cols +
                                                      col - feedback.group_begin);
  float x = weights.x + sum.x;
  float y = weights.y + sum.y;
  const float* errors = args.weights + row * args.cols;
  const int64_t first = (col / kQtipTileCols + 1) * kQtipTileCols;
#pragma unroll 8
  for (int64_t i = first; i < feedback.group_begin + feedback.group_cols; ++i) {
    const float2 factor = *reinterpret_cast<const float2*>(
        feedback.lower + (i - feedback.group_begin) * feedback.group_cols + col -
        feedback.group_begin);
    x += errors[i] * factor.x;
    y += errors[i] * factor.y;
  }
  return make_float2(x, y);
}

// One lane of the tile's trellis a thread of the first warp.
template <int kBits>
__device__ void PackTile(const uint16_t* states, int64_t tile, int64_t tile_cols,
                         uint16_t* trellis) {
  constexpr int kShift = QtipStepBits(kBits);
  const int lane = threadIdx.x;
  uint32_t chunk = 0;
  for (int j = 0; j < kQtipStepsPerLane; ++j) {
    const uint32_t state = states[lane * kQtipStepsPerLane + j];
    chunk = (chunk << kShift) | (state >> (kQtipStateBits - kShift));
  }
  uint8_t* to = reinterpret_cast<uint8_t*>(trellis) +
                QtipChunkOffset(kBits, tile_cols, tile / tile_cols, tile % tile_cols, lane);
  for (int i = 0; i < kBits; ++i) to[i] = static_cast<uint8_t>(chunk >> (8 * i));
}

template <int kBits>
__global__ void __launch_bounds__(kThreads, kBlocksPerMultiprocessor)
    EncodeTiles(const EncodeArguments args) {
  extern __shared__ __align__(16) char memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  for (int i = threadIdx.x; i < kQtipLutEntries; i += kThreads) {
    const uint32_t pair = args.table[i];
    shared.table[i] = __half22float2(*reinterpret_cast<const __half2*>(&pair));
  }
  const int64_t tile_cols = args.cols / kQtipTileCols;
  float* history = static_cast<float*>(args.scratch) +
                   static_cast<int64_t>(blockIdx.x) * kQtipSteps * Survivors(kBits);
  const QtipElement at = QtipElementOf(2 * threadIdx.x);
  for (int64_t i = blockIdx.x; i < args.tile_count; i += gridDim.x) {
    const int64_t index = args.first_tile + i;
    const int64_t tile = args.tile_col < 0 ? index : index * tile_cols + args.tile_col;
    const int64_t row = tile / tile_cols * kQtipTileRows + at.row;
    const int64_t col = tile % tile_cols * kQtipTileCols + at.col;
    float2* place = reinterpret_cast<float2*>(args.weights + row * args.cols + col);
    const float2 weights = *place;
    shared.samples[threadIdx.x] = TargetOf(args, row, col, weights);
    __syncthreads();
    SearchTile<kBits>(shared, history);
    const float2 decoded = DecodeState(shared, shared.states[threadIdx.x]);
    *place = make_float2(weights.x - decoded.x, weights.y - decoded.y);
    if (threadIdx.x < kQtipTileLanes) {
      PackTile<kBits>(shared.states, tile, tile_cols, args.trellis);
    }
    __syncthreads();  // the next tile overwrites samples
  }
}

int BlocksInFlight(const CudaDevice& device) {
  return device.multiprocessors() * kBlocksPerMultiprocessor;
}

}  // namespace

bool CanEncode(const QtipCodeSpec& spec) { return spec.state_bits == kQtipStateBits; }

size_t EncodeSharedBytes(const QtipCodeSpec& spec) {
  return QtipHasKernelLayout(spec) ? sizeof(Shared) : SearchSharedBytes(spec);
}

absl::Status CheckEncode(const QtipCodeSpec& spec, const CudaLimits& limits) {
  constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
  if (!CanEncode(spec)) {
    return FieldError(kUnimplemented, "CODE_UNSUPPORTED", "state_bits",
                      std::to_string(spec.state_bits),
                      std::to_string(kQtipStateBits) + " on this backend");
  }
  const size_t bytes = EncodeSharedBytes(spec);
  if (bytes <= limits.shared_bytes) return absl::OkStatus();
  QtipCodeSpec next = spec;
  while (next.bits < kQtipMaxBits && EncodeSharedBytes(next) > limits.shared_bytes) ++next.bits;
  return FieldError(kUnimplemented, "CODE_UNSUPPORTED", "bits", std::to_string(spec.bits),
                    "at least " + std::to_string(next.bits) + " with code " +
                        std::string(QtipCodeInfoOf(spec.code).name) + " where blocks get " +
                        std::to_string(limits.shared_bytes) +
                        " bytes of shared memory: this search takes " + std::to_string(bytes));
}

size_t EncodeScratchBytes(const CudaDevice& device, const QtipCodeSpec& spec) {
  if (!QtipHasKernelLayout(spec)) return SearchScratchBytes(device, spec);
  return sizeof(float) * BlocksInFlight(device) * kQtipSteps * Survivors(spec.bits);
}

int64_t EncodeTilesPerLaunch(const CudaDevice& device) {
  return int64_t{device.multiprocessors()} * kTilesPerMultiprocessor;
}

absl::Status LaunchEncode(const CudaDevice& device, const QtipCodeSpec& spec,
                          const EncodeArguments& arguments) {
  if (!QtipHasKernelLayout(spec)) return LaunchSearch(device, spec, arguments);
  const LaunchOptions options = {.grid = static_cast<unsigned>(std::min<int64_t>(
                                     arguments.tile_count, BlocksInFlight(device))),
                                 .block = kThreads,
                                 .shared_bytes = sizeof(Shared)};
  switch (spec.bits) {
    case 2:
      return LaunchKernel(device, options, EncodeTiles<2>, arguments);
    case 3:
      return LaunchKernel(device, options, EncodeTiles<3>, arguments);
    default:
      return LaunchKernel(device, options, EncodeTiles<4>, arguments);
  }
}

}  // namespace qtipd
