// The fused kernels of format "lut" on a GPU: z = W_hat u without materialising the weights.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_FUSED_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_FUSED_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/cuda_limits.h"
#include "kernels/formats/lut/lut_cuda_layout.h"

namespace qtipd {

// One pass over the weights serves this many activation vectors, and a multiply makes up to four
// passes: from there decoding once is better.
inline constexpr int kLutMaxColumns = 16;
inline constexpr int64_t kLutMaxFusedBatch = 4 * kLutMaxColumns;

// Describe: what one launch sequence computes.
struct LutFusedProblem {
  LutCudaLayout layout;
  int64_t batch = 1;
  DType output_dtype = DType::kF16;  // or F32
};

// Choose: how. A function of the problem and the device's limits alone.
struct LutFusedConfig {
  int grid = 0;                  // blocks; each owns whole row blocks, so sums need no second pass
  int warps = 0;                 // of a block, which share its row blocks and columns evenly
  int columns = 0;               // of the batch per launch: 1, 8 or 16
  bool uses_sums = false;        // 1 bit (2 to compare), batch 1: tables of sums of activations
  bool uses_warpgroups = false;  // lut_cuda_warpgroup.h: chunk_rows / 4 row blocks a warp
  int chunk_units = 0;           // with sums: units of 256 columns whose tables there are at once
  int chunk_rows = 0;            // row blocks between two reductions
  size_t shared_bytes = 0;       // tables, codebooks and partial sums
  std::string ToString() const;
};

LutFusedConfig ChooseLutFusedConfig(const LutFusedProblem& problem, const CudaLimits& limits);

// Changes `config` to blocks of `warps` warps, 8 to those of the kernel, and `per_multiprocessor`
// of them, 1 or 2, one where two do not fit: what measurements compare. With uses_sums set or not
// where both kernels take the problem, and never with warpgroups, whose blocks are of 16 warps.
LutFusedConfig WithLutBlocks(const LutFusedProblem& problem, const CudaLimits& limits,
                             LutFusedConfig config, int warps, int per_multiprocessor);

// The kernel of lut_cuda_warpgroup.h, for any batch: whether it takes such layers on such a device,
// and with which configuration. Also what measurements compare.
bool TakesLutWarpgroups(const LutCudaLayout& layout, const CudaLimits& limits);
LutFusedConfig LutWarpgroupConfig(const LutCudaLayout& layout, const CudaLimits& limits);

// What LaunchLutFused does: "launch", kernels; "shared_memory", wavefronts of look-ups and of
// filling the tables. Lower bounds.
OperationCounts LutFusedOperations(const LutFusedProblem& problem, const CudaLimits& limits);

// Launch: z[batch, out] = u[batch, in] * W_hat^T.
//   packed  records of lut_cuda_layout.h, 16-byte aligned
//   table   layout.table_bytes(): pairs of weights, or the codebooks of all rows
//   u       fp16 [batch, in_features], 16-byte aligned
//   z       output_dtype [batch, out_features], overwritten
//   arranged  scratch of LutArrangedBytes(in_features), 16-byte aligned, which no other stream uses
//             meanwhile; for batches above 8
// Exact products of fp16 numbers, fp32 sums in an order fixed by the configuration: the same bits
// on every run. Enqueues on the device's stream; buffers must outlive the work; capturable. Errors:
// the runtime's own.
absl::Status LaunchLutFused(const CudaDevice& device, const LutFusedProblem& problem,
                            const void* packed, const void* table, const void* u, void* z,
                            void* arranged);

// The same with a configuration that is given: ChooseLutFusedConfig of a device that may have less.
absl::Status LaunchLutFusedAs(const CudaDevice& device, const LutFusedConfig& config,
                              const LutFusedProblem& problem, const void* packed, const void* table,
                              const void* u, void* z, void* arranged);

// One launch over `columns` of the batch.
struct LutFusedArguments {
  const char* packed;
  const void* table;
  const uint16_t* u;
  void* z;
  int writes_half;
  int out_features;
  int in_features;
  int columns;  // valid ones, at most LutFusedConfig::columns
  int units_per_row;
  int has_scales;
  int is_bfloat16;
  int chunk_rows;
  int chunk_units;
  // Block i owns row_quotient row blocks, with sums strips, and one more where i < row_remainder.
  int row_quotient;
  int row_remainder;
};

// Warps of a block at most; kernels are compiled for their registers, of which two tiles of
// activations take more.
QTIPD_HOST_DEVICE constexpr int LutMostWarps(int columns) { return columns > 8 ? 12 : 16; }

template <int kBits>
absl::Status LaunchLutFusedBits(const CudaDevice& device, const LutCudaLayout& layout,
                                const LutFusedConfig& config, const LutFusedArguments& arguments);
extern template absl::Status LaunchLutFusedBits<1>(const CudaDevice&, const LutCudaLayout&,
                                                   const LutFusedConfig&, const LutFusedArguments&);
extern template absl::Status LaunchLutFusedBits<2>(const CudaDevice&, const LutCudaLayout&,
                                                   const LutFusedConfig&, const LutFusedArguments&);
extern template absl::Status LaunchLutFusedBits<3>(const CudaDevice&, const LutCudaLayout&,
                                                   const LutFusedConfig&, const LutFusedArguments&);
extern template absl::Status LaunchLutFusedBits<4>(const CudaDevice&, const LutCudaLayout&,
                                                   const LutFusedConfig&, const LutFusedArguments&);
extern template absl::Status LaunchLutFusedBits<8>(const CudaDevice&, const LutCudaLayout&,
                                                   const LutFusedConfig&, const LutFusedArguments&);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_FUSED_H_
