// Multiplies 9 to 16 activation vectors with weights that stream from memory, record by record,
// into the registers of warps that multiply four at a time (ptx/warpgroup_mma.h): their matrix
// instructions read activations from shared memory and run beside the decoding.
//
// The four warpgroups of a thread block share the columns of all its row blocks, unit by unit; the
// four warps of a group share the row blocks: warp w of group p has row block 4 r + (w - p) mod 4
// in slot r, so that where the last slot is not full every scheduler, which has one warp of each
// group, still gets as much. Sums of the groups are added in shared memory: no atomics, one order
// of summation.
//
// What a format brings, as Weights, which every lane holds:
//   Record                                   what a lane keeps of one unit of one row block
//   kUnitCols                                columns of a unit, a multiple of 64
//   int record_bytes()
//   Record Empty()                           before anything is loaded
//   void Load(Record&, record, exists)       issues loads, predicated by `exists`
//   void Multiply(record, has, b, chains, totals)
//                                            totals += weights times activations `b`, through
//                                            `chains`, all matrix instructions done; without `has`
//                                            there is no record, and the warp only takes its part
//                                            in the instructions of the others
#ifndef QTIPD_KERNELS_CUDA_WARPGROUP_STREAM_CUH_
#define QTIPD_KERNELS_CUDA_WARPGROUP_STREAM_CUH_

#include "kernels/cuda/ptx/memory.h"
#include "kernels/cuda/warpgroup_ring.cuh"
#include "kernels/cuda/warpgroup_stream.h"
#include "kernels/cuda/warpgroup_sums.cuh"

namespace qtipd {

using StreamTotals = float[kStreamTiles][4];

// Two chains of matrix instructions of a warp that take turns, two of each at once: those that add
// to the same sums wait for each other.
struct ChainPair {
  uint32_t fragments[2][2][4] = {};  // [chain][step]
  float sums[2][kStreamTiles][4] = {};

  // Of step j of chain i the instruction `step(i, j)` of the unit whose activations are `b`. Where
  // `begins`, the sums are new ones. Waits: the fragments are free, and other warps decode
  // meanwhile.
  template <typename Step>
  __device__ __forceinline__ void Multiply(bool begins, uint64_t b, const Step& step) {
    constexpr int kStepUnits = MatrixStepBytes(kStreamVectors) / 16;  // of a descriptor
    ptx::WarpgroupFence();
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const uint64_t b_step = b + step(i, j) * kStepUnits;
        if (begins && j == 0) {
          ptx::WarpgroupMma<kStreamTiles, false>(sums[i], fragments[i][j], b_step);
        } else {
          ptx::WarpgroupMma(sums[i], fragments[i][j], b_step);
        }
      }
    }
    ptx::WarpgroupCommit();
    ptx::WarpgroupWait<0>();
#pragma unroll
    for (int i = 0; i < 2 * kStreamTiles; ++i) {
      ptx::WarpgroupDone(sums[i / kStreamTiles][i % kStreamTiles]);
    }
  }
  // totals += scales, of rows g and g + 8, times the sums of a chain.
  __device__ __forceinline__ void AddScaled(int chain, float2 scales, StreamTotals& totals) const {
#pragma unroll
    for (int i = 0; i < 4 * kStreamTiles; ++i) {
      totals[i / 4][i % 4] += (i % 4 < 2 ? scales.x : scales.y) * sums[chain][i / 4][i % 4];
    }
  }
};

// The records of a warp's kSlots row blocks, slot by slot, loaded kAhead of them ahead.
template <typename Weights, int kSlots>
class RecordStream {
 public:
  static constexpr int kAhead = 2;
  using Record = typename Weights::Record;

  __device__ __forceinline__ RecordStream(const Weights& weights, int units)
      : weights_(weights),
        step_bytes_(kWarpgroups * weights.record_bytes()),
        slot_bytes_(int64_t{kWarpgroupWarps} * units * weights.record_bytes()) {
#pragma unroll
    for (Record& record : next_) record = weights.Empty();
  }

  // `record`: the first one of slot 0, of `steps` units. `count`: row blocks.
  __device__ __forceinline__ void Start(const char* record, int count, int steps) {
    at_ = record;
    count_ = count;
    left_ = steps;
#pragma unroll
    for (int n = 0; n < kAhead; ++n) Load(n, n / kSlots, n % kSlots);
  }
  __device__ __forceinline__ bool Has(int r) const { return r < count_; }
  // The record of slot `r`; `n`: its number in the order of slots, but for multiples of kAhead.
  __device__ __forceinline__ const Record& At(int n) const { return next_[n % kAhead]; }
  // It is not needed any more: loads another one.
  __device__ __forceinline__ void LoadAfter(int n, int r) {
    Load(n, (r + kAhead) / kSlots, (r + kAhead) % kSlots);
  }
  // After all slots.
  __device__ __forceinline__ void Advance() {
    at_ += step_bytes_;
    --left_;
  }

 private:
  // The record of slot `r`, `steps` after the one at hand.
  __device__ __forceinline__ void Load(int n, int steps, int r) {
    weights_.Load(next_[n % kAhead],
                  at_ + steps * static_cast<int64_t>(step_bytes_) + r * slot_bytes_,
                  steps < left_ && Has(r));
  }

  const Weights& weights_;
  const int step_bytes_;
  const int64_t slot_bytes_;
  Record next_[kAhead];
  const char* at_ = nullptr;
  int count_ = 0;
  int left_ = 0;
};

// One thread block of kWarpgroupThreads threads.
template <typename Weights, int kSlots>
class WarpgroupStream {
 public:
  static constexpr int kRecordBytes =
      Weights::kUnitCols / kMatrixStepCols * MatrixStepBytes(kStreamVectors);
  using Ring = WarpgroupRing<kRecordBytes, kStreamRingSlots, 1>;
  using Sums = TileSums<kStreamTiles>;

  // `shared`: what StreamSharedBytes counts behind the tables.
  __device__ __forceinline__ WarpgroupStream(const StreamArguments& args, const Weights& weights,
                                             char* shared)
      : args_(args),
        weights_(weights),
        warp_(ptx::UniformWarp()),
        stream_(weights, args.units),
        sums_(
            reinterpret_cast<float*>(shared + WarpgroupRingBytes(kRecordBytes, kStreamRingSlots))),
        ring_(ptx::SharedAddress(shared) + group() * Ring::kBytes,
              ptx::SharedAddress(shared) + WarpgroupRingBytes(kRecordBytes, kStreamRingSlots) +
                  WarpgroupSumsBytes(kStreamVectors, kSlots) + group() * Ring::kBarrierBytes,
              warp_ % kWarpgroupWarps == 0) {
    const int block = static_cast<int>(blockIdx.x);
    first_row_ = block * args.row_quotient + min(block, args.row_remainder);
    rows_ = args.row_quotient + (block < args.row_remainder ? 1 : 0);
    steps_ = (args.units - group() + kWarpgroups - 1) / kWarpgroups;
    StartChunk(0);
  }

  // write(row, vector, sum) of all rows of the block's row blocks. After a barrier, and the wait
  // for earlier grids.
  template <typename Write>
  __device__ __forceinline__ void Run(const Write& write) {
    for (int chunk = 0; chunk < rows_; chunk += args_.chunk_rows) {
      if (chunk > 0) StartChunk(chunk);
      float totals[kSlots][kStreamTiles][4] = {};
      MultiplyChunk(totals);
      const int row = static_cast<int>(threadIdx.x) % 32 / 4;
      const WarpgroupPlace warp = {group(), place(), CountOf(chunk), row, row + 8};
      AddWarpgroupSums<kSlots, kStreamTiles>(
          sums_, warp, false, [&](int r) -> const StreamTotals& { return totals[r]; });
      WriteChunk(chunk, write);
      if (chunk + args_.chunk_rows < rows_) __syncthreads();
    }
  }

 private:
  static constexpr int kAhead = RecordStream<Weights, kSlots>::kAhead;
  static constexpr int kUnrolled = kSlots % kAhead == 0 ? 1 : kAhead;  // for constant numbers

  __device__ __forceinline__ int group() const { return warp_ / kWarpgroupWarps; }
  __device__ __forceinline__ int place() const { return (warp_ - group()) & (kWarpgroupWarps - 1); }
  __device__ __forceinline__ int RowsOf(int chunk) const {
    return min(args_.chunk_rows, rows_ - chunk);
  }

  // Of the warp.
  __device__ __forceinline__ int CountOf(int chunk) const {
    return (RowsOf(chunk) - place() + kWarpgroupWarps - 1) / kWarpgroupWarps;
  }

  __device__ __forceinline__ void StartChunk(int chunk) {
    const int64_t record =
        static_cast<int64_t>(first_row_ + chunk + place()) * args_.units + group();
    stream_.Start(args_.packed + record * weights_.record_bytes(), CountOf(chunk), steps_);
  }

  __device__ __forceinline__ void MultiplyChunk(float (&totals)[kSlots][kStreamTiles][4]) {
    ring_.Start(args_.activations + group() * kRecordBytes, kWarpgroups * kRecordBytes, steps_);
    ChainPair chains;  // kept, so that nothing has to be cleared
#pragma unroll 1
    for (int first = 0; first < steps_; first += kUnrolled) {
#pragma unroll
      for (int i = 0; i < kUnrolled; ++i) {
        if (first + i >= steps_) break;
        const uint64_t b = ptx::WarpgroupOperandB(ring_.Wait());
#pragma unroll
        for (int r = 0; r < kSlots; ++r) {
          const int n = i * kSlots + r;
          weights_.Multiply(stream_.At(n), r + 1 < kSlots || stream_.Has(r), b, chains, totals[r]);
          stream_.LoadAfter(n, r);
          __syncwarp();  // keeps the loads here
          if (r == 0 && first + i > 0) ring_.RefillPrevious();
        }
        ring_.Advance();
        ring_.ReleasePrevious();
        stream_.Advance();
      }
    }
  }

  template <typename Write>
  __device__ __forceinline__ void WriteChunk(int chunk, const Write& write) const {
#pragma unroll 1
    for (int i = threadIdx.x; i < RowsOf(chunk) * Sums::kValues; i += kWarpgroupThreads) {
      const int block = i / Sums::kValues;
      const int vector = i % Sums::kValues / Sums::kRows;
      const int row = i % Sums::kRows;
      write((first_row_ + chunk + block) * Sums::kRows + row, vector,
            sums_[block * Sums::kValues + Sums::At(vector, row)]);
    }
  }

  const StreamArguments& args_;
  const Weights& weights_;
  const int warp_;
  RecordStream<Weights, kSlots> stream_;
  float* const sums_;
  Ring ring_;
  int first_row_;
  int rows_;
  int steps_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_WARPGROUP_STREAM_CUH_
