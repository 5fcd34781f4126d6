// The fused kernel of the CUDA backend: z = W_trellis u without materialising the weights.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/cuda_limits.h"
#include "kernels/formats/qtip/qtip_cuda_layout.h"

namespace qtipd {

// Describe: what one launch sequence computes.
struct FusedProblem {
  int64_t out_features = 0;  // a multiple of 16
  int64_t in_features = 0;   // a multiple of 32
  int bits = 0;              // 1 to 4; at 1 the units are those of the plain layout
  int64_t batch = 1;
};

// Choose: how. A function of the problem and the device's limits alone.
struct FusedConfig {
  int grid = 0;            // blocks; each owns whole row blocks, so sums need no second pass
  int columns = 0;         // of the batch per launch: 1, 4, 8, 16 or 32
  int warps_per_row = 0;   // warps that share a row block, a power of two
  int table_replicas = 0;  // 32, or 16 where a block gets too little shared memory
  // Units that a warp keeps the activations of in registers, for 2048, 4096 and 8192 columns (two
  // at most for 16 vectors, in passes); 0: it loops over columns.
  int units_per_warp = 0;
  int rows_in_flight = 0;   // row blocks that a warp loads ahead, or sums at once as it loops
  int chunk_rows = 0;       // row blocks between two reductions
  size_t shared_bytes = 0;  // table and partial sums
  bool waits_for_previous = false;  // LaunchOptions
  // The kernel of qtip_cuda_fused_warpgroup.h, of rows_in_flight row blocks a warp.
  bool uses_warpgroups = false;
  // Whether activations are brought into the order of qtip_cuda_arrange.h before.
  bool arranges() const { return columns > 8 && units_per_warp == 0; }
  std::string ToString() const;
};

FusedConfig ChooseFusedConfig(const FusedProblem& problem, const CudaLimits& limits);

// What LaunchFused does: "launch", kernels; "issue", instructions of a warp in the decode loop
// alone, counted in the machine code, and given only for the one that it was counted in, of compute
// capability 9.x (90 for 9.0); "shared_memory", wavefronts: one for every 32 lookups, and the
// filling of the table in every block. Lower bounds.
OperationCounts FusedOperations(const FusedProblem& problem, const CudaLimits& limits);

// One pass over the weights serves this many activation vectors.
inline constexpr int kMaxFusedColumns = 32;
// Passes beyond this take longer than decoding once and a dense product, at every shape measured.
inline constexpr int64_t kMaxFusedBatch = 128;

// Launch: z[batch, out] = u[batch, in] * W_trellis^T.
//   packed    units of qtip_cuda_layout.h, UnitLayerBytes(), 16-byte aligned
//   table     [512] pairs of fp16, first weight in the low half
//   u         fp16 [batch, in_features], 16-byte aligned
//   z         fp32 [batch, out_features], overwritten
//   arranged  scratch of ArrangedBytes(in_features, kMaxFusedColumns), 16-byte aligned, which no
//             other stream uses meanwhile; for batches above 8
// fp16 products, fp32 sums in an order fixed by the configuration: the same bits on every run.
// Enqueues on the device's stream; buffers must outlive the work; capturable.
// Source: QTIP (Tseng et al., 2024, arXiv 2406.11235), code HYB.
absl::Status LaunchFused(const CudaDevice& device, const FusedProblem& problem, const void* packed,
                         const void* table, const void* u, void* z, void* arranged);

// The same with what ChooseFusedConfig chooses for `as`, which may have less than `device`.
absl::Status LaunchFusedAs(const CudaDevice& device, const CudaLimits& as,
                           const FusedProblem& problem, const void* packed, const void* table,
                           const void* u, void* z, void* arranged);

// One configuration's launch over `columns` of the batch; LaunchFused picks among them.
struct FusedArguments {
  const char* packed;
  const uint32_t* table;
  const void* u;
  float* z;
  int out_features;
  int in_features;
  int columns;  // valid ones, at most FusedConfig::columns
  int warps_per_row_log2;
  int chunk_rows;
  // Block i owns row_quotient row blocks, and one more where i < row_remainder.
  int row_quotient;
  int row_remainder;
};

// The arguments of one launch but for the vectors; problem.batch is that of the launch.
FusedArguments DescribeFused(const FusedProblem& problem, const FusedConfig& config,
                             const void* packed, const void* table);

// What one block of the traced build tells. The phases follow each other without a gap.
struct PhaseRecord {
  uint64_t begin_nanoseconds;  // of the GPU-wide timer
  uint64_t end_nanoseconds;
  uint32_t codebook_cycles;  // of the block's multiprocessor: until the table is filled
  uint32_t loop_cycles;      // decode and multiply, all chunks
  uint32_t reduce_cycles;    // adding up the warps, all chunks
};

struct TracedArguments : FusedArguments {
  PhaseRecord* records;  // one a block
};

// As LaunchFused for a batch of 1 to kMaxFusedColumns, but the kernel begins only when everything
// before has ended. Where `records` is not null, through the traced build: the same source with
// time stamps, device memory for ChooseFusedConfig(problem, ...).grid of them.
absl::Status LaunchFusedAlone(const CudaDevice& device, const FusedProblem& problem,
                              const void* packed, const void* table, const void* u, void* z,
                              void* arranged, PhaseRecord* records);

// A kernel of that grid, block and shared memory that only takes the time stamps. Otherwise as
// LaunchFusedAlone.
absl::Status LaunchHollow(const CudaDevice& device, const FusedConfig& config,
                          PhaseRecord* records);

// Arguments is FusedArguments, or TracedArguments for the traced build.
template <int kBits, typename Arguments>
absl::Status LaunchFusedBits(const CudaDevice& device, const FusedConfig& config,
                             const Arguments& arguments);
extern template absl::Status LaunchFusedBits<1, FusedArguments>(const CudaDevice&,
                                                                const FusedConfig&,
                                                                const FusedArguments&);
extern template absl::Status LaunchFusedBits<2, FusedArguments>(const CudaDevice&,
                                                                const FusedConfig&,
                                                                const FusedArguments&);
extern template absl::Status LaunchFusedBits<3, FusedArguments>(const CudaDevice&,
                                                                const FusedConfig&,
                                                                const FusedArguments&);
extern template absl::Status LaunchFusedBits<4, FusedArguments>(const CudaDevice&,
                                                                const FusedConfig&,
                                                                const FusedArguments&);
extern template absl::Status LaunchFusedBits<1, TracedArguments>(const CudaDevice&,
                                                                 const FusedConfig&,
                                                                 const TracedArguments&);
extern template absl::Status LaunchFusedBits<2, TracedArguments>(const CudaDevice&,
                                                                 const FusedConfig&,
                                                                 const TracedArguments&);
extern template absl::Status LaunchFusedBits<3, TracedArguments>(const CudaDevice&,
                                                                 const FusedConfig&,
                                                                 const TracedArguments&);
extern template absl::Status LaunchFusedBits<4, TracedArguments>(const CudaDevice&,
                                                                 const FusedConfig&,
                                                                 const TracedArguments&);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_H_
