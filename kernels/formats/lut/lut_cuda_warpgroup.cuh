// Fused decode and multiply of format "lut" for 9 to 16 activation vectors: warpgroup_stream.cuh
// with look-ups. A block of 64 columns is a chain of matrix instructions, whose sums are multiplied
// by the scales of its rows and added in fp32.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_CUH_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_CUH_

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/cuda/warpgroup_stream.cuh"
#include "kernels/formats/lut/lut_cuda_step.cuh"
#include "kernels/formats/lut/lut_cuda_walk.cuh"
#include "kernels/formats/lut/lut_cuda_warpgroup.h"

namespace qtipd {

template <int kBits>
class LutRecords {
 public:
  static constexpr int kUnitCols = kLutUnitCols;
  static constexpr int kScaleWords = 4;
  using Table = LutTensorTable<kBits>;
  using Record = LutStep<kBits, kLutUnitBlocks, kScaleWords>;

  __device__ __forceinline__ LutRecords(const LutFusedArguments& args, const uint32_t* shared)
      : table_(shared),
        has_scales_(args.has_scales != 0),
        is_bfloat16_(args.is_bfloat16 != 0),
        lane_(static_cast<int>(threadIdx.x) % 32) {}

  __device__ __forceinline__ int record_bytes() const {
    return LutRecordBytes(kBits, has_scales_ ? kScaleWords : 0);
  }
  __device__ __forceinline__ Record Empty() const {
    Record record;
#pragma unroll
    for (uint32_t& word : record.word) word = 0;
#pragma unroll
    for (uint32_t& scale : record.scale) scale = is_bfloat16_ ? 0x3F803F80u : 0x3C003C00u;  // ones
    return record;
  }
  __device__ __forceinline__ void Load(Record& to, const char* record, bool exists) const {
#pragma unroll
    for (int j = 0; j < Record::kVectors; ++j) LutLoadVectorIf(to, j, record, lane_, exists);
    LutLoadScalesIf(to, record + LutIndexBytes(kBits) + lane_ / 4 * (4 * kScaleWords),
                    exists && has_scales_);
  }
  __device__ __forceinline__ void Multiply(const Record& record, bool has, uint64_t b,
                                           ChainPair& chains, StreamTotals& totals) const {
#pragma unroll
    for (int block = 0; block < kLutUnitBlocks; block += 2) {
#pragma unroll
      for (int t = 0; t < 4; t += 2) {
        if (has) Decode(record, block, t, chains);
        chains.Multiply(t == 0, b, [&](int i, int j) { return 4 * (block + i) + t + j; });
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        chains.AddScaled(i, LutScales(record.scale[block + i], is_bfloat16_), totals);
      }
    }
  }

 private:
  // Steps t and t + 1 of two blocks.
  __device__ __forceinline__ void Decode(const Record& record, int block, int t,
                                         ChainPair& chains) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 2; j += Table::kStepsAtOnce) {
        uint32_t fragments[Table::kStepsAtOnce][4];
        table_.Fragments(record.word, block + i, t + j, fragments);
#pragma unroll
        for (int k = 0; k < 4 * Table::kStepsAtOnce; ++k) {
          chains.fragments[i][j + k / 4][k % 4] = fragments[k / 4][k % 4];
        }
      }
    }
  }

  const Table table_;
  const bool has_scales_;
  const bool is_bfloat16_;
  const int lane_;
};

template <int kBits, int kSlots>
__global__ void __launch_bounds__(kWarpgroupThreads, 1)
    FusedLutWarpgroup(const __grid_constant__ LutFusedArguments args) {
  using Table = LutTensorTable<kBits>;
  extern __shared__ __align__(128) uint32_t shared[];
  ptx::LaunchDependents();
  const auto values = Table::Load(args.table);
  const StreamArguments stream_args = {.packed = args.packed,
                                       .activations = reinterpret_cast<const char*>(args.u),
                                       .units = args.units_per_row,
                                       .chunk_rows = args.chunk_rows,
                                       .row_quotient = args.row_quotient,
                                       .row_remainder = args.row_remainder};
  const LutRecords<kBits> records(args, shared);
  WarpgroupStream<LutRecords<kBits>, kSlots> stream(
      stream_args, records, reinterpret_cast<char*>(shared) + Table::kBytes);
  Table::Fill(shared, values);
  // Nothing so far depends on the grids before this one.
  ptx::WaitForPreviousGrids();
  __syncthreads();
  stream.Run([&](int row, int column, float sum) {
    if (column < args.columns && row < args.out_features) {
      StoreLutSum(args, static_cast<int64_t>(column) * args.out_features + row, sum);
    }
  });
}

template <int kBits>
auto ChooseLutWarpgroupKernel(int slots) {
  if constexpr (kBits <= kLutBitsOfSeveralSlots) {
    if (slots == 2) return FusedLutWarpgroup<kBits, 2>;
    if (slots == 3) return FusedLutWarpgroup<kBits, 3>;
    if (slots == 4) return FusedLutWarpgroup<kBits, 4>;
  }
  return FusedLutWarpgroup<kBits, 1>;
}

template <int kBits>
absl::Status LaunchLutWarpgroupBits(const CudaDevice& device, const LutFusedConfig& config,
                                    const LutFusedArguments& arguments) {
  const LaunchOptions options = {.grid = static_cast<unsigned>(config.grid),
                                 .block = kWarpgroupThreads,
                                 .shared_bytes = config.shared_bytes,
                                 .overlaps_previous = true};
  return LaunchKernel(device, options,
                      ChooseLutWarpgroupKernel<kBits>(config.chunk_rows / kWarpgroupWarps),
                      arguments);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_CUH_
