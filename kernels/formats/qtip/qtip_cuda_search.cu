// One block of 1024 threads a multiprocessor, two tiles at a time, one in each half of a half2.
//
// best_t[p], p the low n = 16 - kShift bits of a state, is the least cost of a path through steps
// 0 .. t - 1 that leaves p behind. The states s = (j << n) | (g << kShift) | d of one group g read
// best_t[(j << (n - kShift)) | g] for all j and give best_{t+1}[(g << kShift) | d], the least over
// j, for all d: 4^kShift states, 2^kShift reads, 2^kShift writes. A thread has 64 states for good:
// with one weight a step their weights stay in 32 registers for the whole launch. For a state of
// both tiles that is two multiply-adds, an OR and a minimum:
//   * the costs of one output are told apart by j in their lowest bits, so that the minimum brings
//     its own back-pointer. What that costs in precision is below what paths differ by. Four bits
//     of j go by in four rounds of two.
//   * costs are relative to the least one, which is taken off every kNormalise steps: fp16 is
//     finest near 0, where the paths are that can still win.
//   * best_t lies where its bits rotated by kShift t put it: what a group reads it overwrites, one
//     array, and one barrier a step. Addresses are folded so that a warp meets all banks.
//
// With two weights a step the weights of 65,536 states fill no register file: they come from L1 and
// L2. With more than four step bits (two weights, 3 or 4 bits) j does not fit beside a cost and is
// followed by comparing.
#include <cuda_fp16.h>

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/formats/qtip/qtip_cuda_search.h"

namespace qtipd {
namespace {

constexpr int kThreads = 1024;
constexpr int kStatesPerThread = kQtipStates / kThreads;
constexpr int kTilesPerBlock = 2;
constexpr int kNormalise = 8;         // steps between two looks for the least cost
constexpr int kMostEmbeddedBits = 4;  // of j, with rounds
constexpr int kMostMarkBits = 3;      // without
constexpr int kStagedSteps = 8;       // of pointers, for the way back
constexpr int kSamples = kQtipTileWeights;
// A sample beyond this pulls as hard as this one: harder than any neighbour, and below fp16's
// 65504.
constexpr float kLargestSample = 1000;
constexpr uint32_t kInfinities = 0x7C007C00u;

template <int kBits, int kV>
struct Trellis {
  static constexpr int kShift = kBits * kV;
  static constexpr int kLowBits = kQtipStateBits - kShift;  // n
  static constexpr int kSurvivors = 1 << kLowBits;
  static constexpr int kSteps = kQtipTileWeights / kV;
  static constexpr int kBranches = 1 << kShift;
  static constexpr int kGroups = kSurvivors >> kShift;
  // A thread's share: branches j, outputs d, groups g.
  static constexpr int kJ = kBranches < kStatesPerThread ? kBranches : kStatesPerThread;
  static constexpr int kD = kBranches * kJ <= kStatesPerThread ? kBranches : kStatesPerThread / kJ;
  static constexpr int kG = kStatesPerThread / (kJ * kD);
  static constexpr int kThreadsPerGroup = kBranches / kD * (kBranches / kJ);
  static constexpr bool kIsEmbedded = kShift <= kMostEmbeddedBits;
  static constexpr int kOutputs = kG * kD;
  static constexpr int kPerWord = kOutputs > 1 ? (kOutputs + 1) / 2
                                               : 1;  // outputs in a pointer word
  static_assert(kGroups * kThreadsPerGroup == kG * kThreads);
  static_assert(!kIsEmbedded || (kPerWord * kShift <= 16));
};

// A sample x of both tiles as the metric takes it: a path pays (|x| - s w)^2 with s the sign of x,
// less (|x| - reach)^2 where no weight reaches |x|. That is (near - s w)(far - s w), exact near 0
// however far x is.
struct Sample {
  __half2 near;  // min(|x|, reach)
  __half2 far;   // 2 |x| - near
  __half2 sign;  // -s
};

struct SearchShared {
  Sample samples[kSamples];
  float targets[kTilesPerBlock][kSamples];
  uint16_t states[kTilesPerBlock][kSamples];
  uint32_t least[32];
  int seam[kTilesPerBlock];
  // followed by best_t, and by pointers on the way back
};

constexpr size_t kStagedBytes = kStagedSteps * kThreads * sizeof(uint2);

template <typename T>
constexpr size_t SharedBytes() {
  return sizeof(SearchShared) + std::max(kStagedBytes, sizeof(uint32_t) * T::kSurvivors);
}

__device__ __forceinline__ __half2 AsHalves(uint32_t bits) {
  return *reinterpret_cast<const __half2*>(&bits);
}
__device__ __forceinline__ uint32_t AsBits(__half2 halves) {
  return *reinterpret_cast<const uint32_t*>(&halves);
}

// Where value `p` of best lies, in bytes, once it is rotated right by `turn` of kLowBits bits.
// Linear over XOR.
template <int kLowBits>
__device__ __forceinline__ uint32_t PlaceOf(uint32_t p, int turn) {
  const uint32_t rotated = ((p >> turn) | (p << (kLowBits - turn))) & ((1u << kLowBits) - 1);
  return (rotated ^ (((rotated >> 5) ^ (rotated >> 10)) & 31)) * 4;
}

// The first group of a thread, its first output and its first branch; further groups follow at a
// distance of kThreads.
template <typename T>
struct ThreadShare {
  int group;
  int output;
  int branch;
};

template <typename T>
__device__ __forceinline__ ThreadShare<T> ShareOf(int thread) {
  if constexpr (T::kThreadsPerGroup == 1) return {thread, 0, 0};
  const int rest = thread / T::kGroups;
  constexpr int kBranchParts = T::kBranches / T::kJ;
  return {thread % T::kGroups, rest / kBranchParts * T::kD, rest % kBranchParts * T::kJ};
}

template <bool kIsNear>
__device__ __forceinline__ __half2 Pay(const Sample& x, __half2 weight, __half2 cost) {
  const __half2 short_of = __hfma2(weight, x.sign, x.near);
  return __hfma2(short_of, kIsNear ? short_of : __hfma2(weight, x.sign, x.far), cost);
}

// The weights of a thread's states with one weight a step, in pairs of neighbouring outputs.
template <typename T>
struct ResidentWeights16 {
  uint32_t pair[T::kG][T::kJ][T::kD / 2];

  __device__ __forceinline__ void Load(const uint16_t* halves, const ThreadShare<T>& share) {
#pragma unroll
    for (int g = 0; g < T::kG; ++g) {
#pragma unroll
      for (int j = 0; j < T::kJ; ++j) {
#pragma unroll
        for (int d = 0; d < T::kD; d += 2) {
          const uint32_t state =
              (j << T::kLowBits) | ((share.group + g * kThreads) << T::kShift) | (share.output + d);
          pair[g][j][d / 2] = __ldg(reinterpret_cast<const uint32_t*>(halves + state));
        }
      }
    }
  }
  // cost plus what both tiles' paths pay.
  template <bool kIsNear>
  __device__ __forceinline__ __half2 Extend(int g, int j, int d, uint32_t, const Sample (&x)[1],
                                            __half2 cost) const {
    const __half2 two = AsHalves(pair[g][j][d / 2]);
    return Pay<kIsNear>(x[0], d % 2 == 0 ? __low2half2(two) : __high2half2(two), cost);
  }
};

// Two weights a step, from memory.
template <typename T>
struct TableWeights {
  const uint32_t* pairs;

  __device__ __forceinline__ void Load(const uint16_t* halves, const ThreadShare<T>&) {
    pairs = reinterpret_cast<const uint32_t*>(halves);
  }
  template <bool kIsNear>
  __device__ __forceinline__ __half2 Extend(int, int, int, uint32_t state, const Sample (&x)[2],
                                            __half2 cost) const {
    const __half2 two = AsHalves(__ldg(pairs + state));
    return Pay<kIsNear>(x[0], __low2half2(two), Pay<kIsNear>(x[1], __high2half2(two), cost));
  }
};

template <typename T, int kV>
struct WeightsOf {
  using Type = TableWeights<T>;
};
template <typename T>
struct WeightsOf<T, 1> {
  using Type = ResidentWeights16<T>;
};

// What the outputs of one thread and step point back to: j of every output, first in the highest
// bits, the first tile's in the low half of each word.
struct Pointers {
  uint32_t word[2] = {0, 0};
};

// The least of both halves over the warp.
__device__ __forceinline__ __half2 LeastOfWarp(__half2 value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    value = __hmin2(value, AsHalves(__shfl_xor_sync(0xFFFFFFFFu, AsBits(value), offset)));
  }
  return value;
}

// The least cost so far of one output, each tile's in the upper half of a word, and below it the
// round that it is from.
struct RoundLeast {
  uint32_t word[kTilesPerBlock] = {0xFFFFFFFFu, 0xFFFFFFFFu};

  __device__ __forceinline__ void Add(uint32_t costs, uint32_t round) {
    word[0] = min(word[0], (costs << 16) | round);
    word[1] = min(word[1], (costs & 0xFFFF0000u) | round);
  }
  __device__ __forceinline__ uint32_t Costs() const {
    return __byte_perm(word[0], word[1], 0x7632);
  }
  __device__ __forceinline__ uint32_t Rounds() const {
    return __byte_perm(word[0], word[1], 0x5410);
  }
};

// One step with j in the lowest bits of the costs: all of it, or its lowest kMarkBits where the
// branches go by in rounds. kIsNear: no sample of the step is beyond all weights.
template <typename T, int kV, bool kIsNear>
__device__ __forceinline__ Pointers AdvanceEmbedded(const typename WeightsOf<T, kV>::Type& weights,
                                                    const ThreadShare<T>& share, char* best,
                                                    int turn, const Sample (&x)[kV], __half2 least,
                                                    __half2& step_least) {
  constexpr int kMarkBits = T::kShift <= kMostMarkBits ? T::kShift : T::kShift / 2;
  constexpr int kRounds = 1 << (T::kShift - kMarkBits);
  constexpr int kPerRound = T::kJ / kRounds;
  constexpr uint32_t kMark = (kPerRound - 1) * 0x00010001u;
  const uint32_t place = PlaceOf<T::kLowBits>(share.group, turn);
  Pointers pointers;
#pragma unroll
  for (int g = 0; g < T::kG; ++g) {
    const uint32_t group_place = place ^ PlaceOf<T::kLowBits>(g * kThreads, turn);
    uint32_t result[T::kD];
    RoundLeast of_rounds[T::kD];
#pragma unroll(kV == 1 ? kRounds : 1)
    for (int round = 0; round < kRounds; ++round) {
#pragma unroll(kV == 1 ? kPerRound : 2)
      for (int k = 0; k < kPerRound; ++k) {
        const int j = round * kPerRound + k;
        const uint32_t at =
            group_place ^ PlaceOf<T::kLowBits>(j << (T::kLowBits - T::kShift), turn);
        const __half2 before =
            __hsub2(AsHalves(*reinterpret_cast<const uint32_t*>(best + at)), least);
#pragma unroll
        for (int d = 0; d < T::kD; ++d) {
          const uint32_t state =
              (j << T::kLowBits) | ((share.group + g * kThreads) << T::kShift) | (share.output + d);
          const uint32_t cost = AsBits(weights.template Extend<kIsNear>(g, j, d, state, x, before));
          const uint32_t marked = (cost & ~kMark) | (k * 0x00010001u);
          result[d] = k == 0 ? marked : AsBits(__hmin2(AsHalves(result[d]), AsHalves(marked)));
        }
      }
      if constexpr (kRounds > 1) {
#pragma unroll
        for (int d = 0; d < T::kD; ++d) of_rounds[d].Add(result[d], round);
      }
    }
    if constexpr (T::kThreadsPerGroup > 1) __syncthreads();  // all have read
#pragma unroll
    for (int d = 0; d < T::kD; ++d) {
      uint32_t branches = result[d] & kMark;
      if constexpr (kRounds > 1) {
        result[d] = of_rounds[d].Costs();
        branches = (of_rounds[d].Rounds() << kMarkBits) | (result[d] & kMark);
      }
      const int output = g * T::kD + d;
      uint32_t& word = pointers.word[output / T::kPerWord];
      word = (word << T::kShift) | branches;
      const uint32_t clean = result[d] & ~kMark;
      step_least = __hmin2(step_least, AsHalves(clean));
      const uint32_t at =
          group_place ^ PlaceOf<T::kLowBits>((share.output + d) << (T::kLowBits - T::kShift), turn);
      *reinterpret_cast<uint32_t*>(best + at) = clean;
    }
  }
  return pointers;
}

// One step for more branches than the lowest bits tell apart; one output a thread or, with four
// threads an output, a part of one.
template <typename T, int kV>
__device__ __forceinline__ Pointers AdvanceCompared(const typename WeightsOf<T, kV>::Type& weights,
                                                    const ThreadShare<T>& share, char* best,
                                                    int turn, const Sample (&x)[kV], __half2 least,
                                                    __half2& step_least) {
  static_assert(T::kG == 1 && T::kD == 1);
  constexpr int kParts = T::kBranches / T::kJ;
  const uint32_t place = PlaceOf<T::kLowBits>(share.group, turn);
  __half2 result = AsHalves(kInfinities);
  int from[kTilesPerBlock] = {share.branch, share.branch};
#pragma unroll 8
  for (int k = 0; k < T::kJ; ++k) {
    const int j = share.branch + k;
    const uint32_t at = place ^ PlaceOf<T::kLowBits>(j << (T::kLowBits - T::kShift), turn);
    const __half2 before = __hsub2(AsHalves(*reinterpret_cast<const uint32_t*>(best + at)), least);
    const uint32_t state =
        (j << T::kLowBits) | (share.group << T::kShift) | static_cast<uint32_t>(share.output);
    const __half2 cost = weights.template Extend<false>(0, k, 0, state, x, before);
    if (__low2half(cost) < __low2half(result)) from[0] = j;
    if (__high2half(cost) < __high2half(result)) from[1] = j;
    result = __hmin2(result, cost);
  }
  // The parts of an output are neighbouring threads' share: exchanged within the warp.
  if constexpr (kParts > 1) {
#pragma unroll
    for (int offset = 1; offset < kParts; offset *= 2) {
      const __half2 other = AsHalves(__shfl_xor_sync(0xFFFFFFFFu, AsBits(result), offset));
      const int other_from[2] = {__shfl_xor_sync(0xFFFFFFFFu, from[0], offset),
                                 __shfl_xor_sync(0xFFFFFFFFu, from[1], offset)};
      if (__low2half(other) < __low2half(result)) from[0] = other_from[0];
      if (__high2half(other) < __high2half(result)) from[1] = other_from[1];
      result = __hmin2(result, other);
    }
  }
  __syncthreads();  // all have read
  step_least = __hmin2(step_least, result);
  if (share.branch == 0) {
    const uint32_t at =
        place ^ PlaceOf<T::kLowBits>(share.output << (T::kLowBits - T::kShift), turn);
    *reinterpret_cast<uint32_t*>(best + at) = AsBits(result);
  }
  Pointers pointers;
  pointers.word[0] = static_cast<uint32_t>(from[0]) | (static_cast<uint32_t>(from[1]) << 16);
  return pointers;
}

// Searches both tiles over their samples turned by `rotation` steps. Where `is_closed`, only paths
// that begin and end with the seams' bits. Pointers of the steps from `first_kept` on go to
// `history`. Leaves best of the last step in `best`, returns its turn.
template <typename T, int kV>
__device__ int SearchForward(SearchShared& shared, char* best,
                             const typename WeightsOf<T, kV>::Type& weights, int rotation,
                             bool is_closed, int first_kept, uint2* history) {
  const ThreadShare<T> share = ShareOf<T>(threadIdx.x);
  for (int p = threadIdx.x; p < T::kSurvivors; p += kThreads) {
    const bool is_open[2] = {!is_closed || p == shared.seam[0], !is_closed || p == shared.seam[1]};
    *reinterpret_cast<uint32_t*>(best + PlaceOf<T::kLowBits>(p, 0)) =
        (is_open[0] ? 0u : kInfinities & 0xFFFFu) | (is_open[1] ? 0u : kInfinities & ~0xFFFFu);
  }
  __syncthreads();
  int turn = 0;
  for (int t = 0; t < T::kSteps; ++t) {
    // The least cost of the step before, where it was looked for.
    __half2 least = AsHalves(0);
    if (t % kNormalise == 0 && t > 0) {
      least = LeastOfWarp(AsHalves(shared.least[threadIdx.x % 32]));
    }
    Sample x[kV];
#pragma unroll
    for (int f = 0; f < kV; ++f) x[f] = shared.samples[(t + rotation) % T::kSteps * kV + f];
    __half2 step_least = AsHalves(kInfinities);
    Pointers pointers;
    if constexpr (T::kIsEmbedded) {
      bool is_near = true;
#pragma unroll
      for (int f = 0; f < kV; ++f) is_near = is_near && AsBits(x[f].near) == AsBits(x[f].far);
      pointers =
          is_near ? AdvanceEmbedded<T, kV, true>(weights, share, best, turn, x, least, step_least)
                  : AdvanceEmbedded<T, kV, false>(weights, share, best, turn, x, least, step_least);
    } else {
      pointers = AdvanceCompared<T, kV>(weights, share, best, turn, x, least, step_least);
    }
    if (t >= first_kept) {
      __stcg(history + static_cast<int64_t>(t) * kThreads + threadIdx.x,
             make_uint2(pointers.word[0], pointers.word[1]));
    }
    if ((t + 1) % kNormalise == 0) {
      step_least = LeastOfWarp(step_least);
      if (threadIdx.x % 32 == 0) shared.least[threadIdx.x / 32] = AsBits(step_least);
    }
    turn = (turn + T::kShift) % T::kLowBits;
    __syncthreads();
  }
  return turn;
}

// j that output (low bits `p` of a state) of `tile` points back to.
template <typename T>
__device__ __forceinline__ int BranchOf(const uint2* pointers, int p, int tile) {
  const int group = p >> T::kShift;
  const int output = p & (T::kBranches - 1);
  if constexpr (!T::kIsEmbedded) {
    constexpr int kParts = T::kBranches / T::kJ;
    const uint2 two = pointers[output * kParts * T::kGroups + group];
    return static_cast<int>((two.x >> (16 * tile)) & 0xFFFFu);
  } else {
    const int thread =
        T::kThreadsPerGroup == 1 ? group % kThreads : output / T::kD * T::kGroups + group;
    const int index = (T::kThreadsPerGroup == 1 ? group / kThreads * T::kD : 0) + output % T::kD;
    const uint2 two = pointers[thread];
    const uint32_t word = index < T::kPerWord ? two.x : two.y;
    const int from_last = T::kPerWord - 1 - index % T::kPerWord;
    return static_cast<int>((word >> (16 * tile + T::kShift * from_last)) & (T::kBranches - 1));
  }
}

// Walks back from low bits `end` after the last step to step `first`; the first two threads do it,
// all bring the pointers. Writes shared.states where `keeps`, and the state at `first` over
// 2^kShift to shared.seam.
template <typename T>
__device__ void SearchBack(SearchShared& shared, uint2* staged, int end, int first, bool keeps,
                           const uint2* history) {
  int low = end;
  for (int last = T::kSteps; last > first; last -= kStagedSteps) {
    const int begin = max(first, last - kStagedSteps);
    __syncthreads();
    for (int i = threadIdx.x; i < (last - begin) * kThreads; i += kThreads) {
      staged[i] = __ldcg(history + static_cast<int64_t>(begin) * kThreads + i);
    }
    __syncthreads();
    if (threadIdx.x < kTilesPerBlock) {
      for (int t = last - 1; t >= begin; --t) {
        const int j = BranchOf<T>(staged + (t - begin) * kThreads, low, threadIdx.x);
        const int state = (j << T::kLowBits) | low;
        if (keeps) shared.states[threadIdx.x][t] = static_cast<uint16_t>(state);
        low = state >> T::kShift;
      }
    }
  }
  if (threadIdx.x < kTilesPerBlock) shared.seam[threadIdx.x] = low;
  __syncthreads();
}

// Low bits p of the least best of tile threadIdx.x / 32, for the first two warps.
template <typename T>
__device__ int EndOfWarp(const char* best, int turn) {
  const int tile = threadIdx.x / 32;
  uint32_t least = 0xFFFFFFFFu;
  for (int p = threadIdx.x % 32; p < T::kSurvivors; p += 32) {
    const uint32_t both = *reinterpret_cast<const uint32_t*>(best + PlaceOf<T::kLowBits>(p, turn));
    // fp16 that are not negative are in the order of their bits.
    least = min(least, (((both >> (16 * tile)) & 0xFFFFu) << 16) | p);
  }
  return static_cast<int>(__reduce_min_sync(0xFFFFFFFFu, least) & 0xFFFFu);
}

// Two passes, in one loop so that there is one copy of the code: a free search of the sequences
// turned by half, with the seam in their middle, and one of the sequences as they are whose paths
// close at that seam.
template <typename T, int kV>
__device__ void SearchTiles(SearchShared& shared, char* memory,
                            const typename WeightsOf<T, kV>::Type& weights, uint2* history) {
  constexpr int kSeam = T::kSteps / 2;
#pragma unroll 1
  for (int pass = 0; pass < 2; ++pass) {
    const bool is_closed = pass == 1;
    const int first = is_closed ? 0 : kSeam;
    const int turn =
        SearchForward<T, kV>(shared, memory, weights, first, is_closed, first, history);
    if (!is_closed && threadIdx.x < 32 * kTilesPerBlock) {
      const int end = EndOfWarp<T>(memory, turn);
      if (threadIdx.x % 32 == 0) shared.seam[threadIdx.x / 32] = end;
    }
    __syncthreads();
    SearchBack<T>(shared, reinterpret_cast<uint2*>(memory),
                  shared.seam[threadIdx.x % kTilesPerBlock], first, is_closed, history);
  }
}

// One weight plus what LDLQ feeds back from the columns to its right.
__device__ float TargetOf(const EncodeArguments& args, int64_t row, int64_t col, float weight) {
  const EncodeFeedback& feedback = args.feedback;
  if (feedback.product == nullptr) return weight;
  float x = weight + feedback.product[row * feedback.group_cols + col - feedback.group_begin];
  const float* errors = args.weights + row * args.cols;
  const int64_t first = (col / kQtipTileCols + 1) * kQtipTileCols;
#pragma unroll 8
  for (int64_t i = first; i < feedback.group_begin + feedback.group_cols; ++i) {
    x += errors[i] *
         feedback
             .lower[(i - feedback.group_begin) * feedback.group_cols + col - feedback.group_begin];
  }
  return x;
}

// The samples of the targets.
__device__ void PrepareSamples(SearchShared& shared, float reach) {
  if (threadIdx.x < kSamples) {
    float near[kTilesPerBlock];
    float far[kTilesPerBlock];
    float sign[kTilesPerBlock];
    for (int tile = 0; tile < kTilesPerBlock; ++tile) {
      const float x = shared.targets[tile][threadIdx.x];
      const float size = fminf(fabsf(x), kLargestSample);
      near[tile] = fminf(size, reach);
      far[tile] = 2 * size - near[tile];
      sign[tile] = x < 0 ? 1.0f : -1.0f;
    }
    shared.samples[threadIdx.x] = {__floats2half2_rn(near[0], near[1]),
                                   __floats2half2_rn(far[0], far[1]),
                                   __floats2half2_rn(sign[0], sign[1])};
  }
  __syncthreads();
}

// Word `word` of a tile's string in the plain layout: bit b is bit b mod kShift, from the top, of
// step b / kShift.
template <typename T>
__device__ __forceinline__ uint16_t PlainWord(const uint16_t* states, int word) {
  uint32_t value = 0;
  for (int b = 16 * word; b < 16 * word + 16; ++b) {
    const uint32_t state = states[b / T::kShift];
    value = (value << 1) | ((state >> (kQtipStateBits - 1 - b % T::kShift)) & 1);
  }
  return static_cast<uint16_t>(value);
}

template <int kBits, int kV>
__global__ void __launch_bounds__(kThreads, 1) SearchKernel(const EncodeArguments args) {
  using T = Trellis<kBits, kV>;
  extern __shared__ __align__(16) char memory[];
  SearchShared& shared = *reinterpret_cast<SearchShared*>(memory);
  char* best = memory + sizeof(SearchShared);
  typename WeightsOf<T, kV>::Type weights;
  weights.Load(args.halves, ShareOf<T>(threadIdx.x));
  uint2* history =
      static_cast<uint2*>(args.scratch) + static_cast<int64_t>(blockIdx.x) * T::kSteps * kThreads;
  const int64_t tile_cols = args.cols / kQtipTileCols;
  const int which = threadIdx.x / kSamples;  // tile of the two, for half of the threads
  const int position = threadIdx.x % kSamples;
  for (int64_t first = 2 * static_cast<int64_t>(blockIdx.x); first < args.tile_count;
       first += 2 * static_cast<int64_t>(gridDim.x)) {
    // An odd tile out is searched twice and written once.
    const bool exists = which < kTilesPerBlock && first + which < args.tile_count;
    const int64_t index = args.first_tile + first + (exists ? which : 0);
    const int64_t tile = args.tile_col < 0 ? index : index * tile_cols + args.tile_col;
    const int64_t row = tile / tile_cols * kQtipTileRows + position / kQtipTileCols;
    const int64_t col = tile % tile_cols * kQtipTileCols + position % kQtipTileCols;
    float* place = args.weights + row * args.cols + col;
    float weight = 0;
    if (which < kTilesPerBlock) {
      weight = *place;
      shared.targets[which][position] = TargetOf(args, row, col, weight);
    }
    __syncthreads();
    PrepareSamples(shared, args.reach);
    SearchTiles<T, kV>(shared, best, weights, history);
    if (exists) {
      const int state = shared.states[which][position / kV];
      *place = weight - args.values[state * kV + position % kV];
      if (position < QtipTileWords(kBits)) {
        args.trellis[tile * QtipTileWords(kBits) + position] =
            PlainWord<T>(shared.states[which], position);
      }
    }
    __syncthreads();  // the next tiles overwrite the states
  }
}

template <int kBits, int kV>
absl::Status Launch(const CudaDevice& device, const EncodeArguments& arguments) {
  const int64_t pairs = (arguments.tile_count + 1) / 2;
  const LaunchOptions options = {
      .grid = static_cast<unsigned>(std::min<int64_t>(pairs, device.multiprocessors())),
      .block = kThreads,
      .shared_bytes = SharedBytes<Trellis<kBits, kV>>()};
  return LaunchKernel(device, options, SearchKernel<kBits, kV>, arguments);
}

}  // namespace

size_t SearchScratchBytes(const CudaDevice& device, const QtipCodeSpec& spec) {
  return sizeof(uint2) * device.multiprocessors() * spec.steps() * kThreads;
}

size_t SearchSharedBytes(const QtipCodeSpec& spec) {
  constexpr size_t kBytes[2][4] = {{SharedBytes<Trellis<1, 1>>(), SharedBytes<Trellis<2, 1>>(),
                                    SharedBytes<Trellis<3, 1>>(), SharedBytes<Trellis<4, 1>>()},
                                   {SharedBytes<Trellis<1, 2>>(), SharedBytes<Trellis<2, 2>>(),
                                    SharedBytes<Trellis<3, 2>>(), SharedBytes<Trellis<4, 2>>()}};
  return kBytes[spec.vector_dim - 1][spec.bits - 1];
}

absl::Status LaunchSearch(const CudaDevice& device, const QtipCodeSpec& spec,
                          const EncodeArguments& arguments) {
  using Launcher = absl::Status (*)(const CudaDevice&, const EncodeArguments&);
  constexpr Launcher kLaunchers[2][4] = {{Launch<1, 1>, Launch<2, 1>, Launch<3, 1>, Launch<4, 1>},
                                         {Launch<1, 2>, Launch<2, 2>, Launch<3, 2>, Launch<4, 2>}};
  return kLaunchers[spec.vector_dim - 1][spec.bits - 1](device, arguments);
}

}  // namespace qtipd
