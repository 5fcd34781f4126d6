// The fused kernel of the CUDA backend: z = W u without materialising W.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_FUSED_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_FUSED_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/cuda_limits.h"
#include "kernels/formats/int4/int4_cuda_layout.h"

namespace qtipd {

// Activation vectors of one launch, eight in each column tile of the matrix instruction.
inline constexpr int kInt4VectorsPerTile = 8;
inline constexpr int kInt4MostVectors = 16;
// Larger batches take several launches, each reading all weights. Up to here that is still less
// than writing and reading them as FP16.
inline constexpr int64_t kInt4CudaMaxBatch = 64;

// Describe: what is computed.
struct Int4FusedProblem {
  Shape shape;
  Int4CudaLayout layout;
  int64_t batch = 1;
};

// What a measurement may vary; the defaults are what ships.
struct Int4FusedTuning {
  bool uses_warpgroups = true;    // for more than 8 vectors, where the device has them
  bool uses_bulk = true;          // where the device has bulk copies
  int blocks_a_processor = 2;     // where grids overlap: the next grid loads while this one works
  int most_slots = 4;             // records that a warp has ahead
  int least_slots = 3;            // records that it has to have room for, or all that it reads
  bool keeps_activations = true;  // all of them in shared memory, if they leave enough room
  int resident_warps = 16;        // with all activations in shared memory
  int chunked_warps = 32;         // with those of some columns at a time
};

// Choose: how. A function of the problem and the device's limits alone.
struct Int4FusedConfig {
  int grid = 0;          // blocks; each owns whole row blocks, so sums need no second pass
  int tiles = 0;         // of kInt4VectorsPerTile vectors, 1 or 2
  int rows_at_once = 0;  // row blocks that the warps of a block work on
  int slices = 0;        // parts of the columns, a warp each: warps = rows_at_once * slices
  int slots = 0;         // of a warp's ring
  int chunk_units = 0;   // of a slice, whose activations are in shared memory at a time
  int chunks = 0;        // 1: all of them, loaded once; else in two buffers in turn
  int section_rows = 0;  // row blocks between two reductions, a multiple of rows_at_once
  // int4_cuda_warpgroup.h; nothing but grid, tiles and section_rows of the above.
  bool uses_warpgroups = false;
  bool uses_bulk = false;
  bool aliases_activations = false;  // partial sums lie where the activations were
  // In shared memory, at whose begin are the rings, warp by warp.
  uint32_t activations_at = 0;
  uint32_t partials_at = 0;
  size_t shared_bytes = 0;

  int warps() const { return rows_at_once * slices; }  // without warpgroups
  std::string ToString() const;
};

Int4FusedConfig ChooseInt4FusedConfig(const Int4FusedProblem& problem, const CudaLimits& limits,
                                      const Int4FusedTuning& tuning = {});

// Of LaunchInt4Fused: "launch", kernels.
OperationCounts Int4FusedOperations(const Int4FusedProblem& problem, const CudaLimits& limits);

// Launch: z[batch, out] = u[batch, in] * W^T for a batch of 1 to kInt4CudaMaxBatch.
//   packed  problem.layout.bytes(), 16-byte aligned; complete before any earlier grid is waited for
//   u       fp16 [batch, in_features], 16-byte aligned
//   z       [batch, out_features] of z_dtype, F32 or F16, overwritten
//   arranged  scratch of Int4ArrangedBytes(problem.layout.units), 16-byte aligned, which no other
//             stream uses meanwhile; for batches above 8
// Products of fp16 with exact differences code - zero, summed in fp32, times the scale in fp32; in
// an order fixed by the configuration: the same bits on every run. Enqueues on the device's stream;
// buffers must outlive the work; capturable.
absl::Status LaunchInt4Fused(const CudaDevice& device, const Int4FusedProblem& problem,
                             const void* packed, const void* u, DType z_dtype, void* z,
                             void* arranged);

// The same with what ChooseInt4FusedConfig chooses for `as`, which may have less than `device`, and
// `tuning`.
absl::Status LaunchInt4FusedAs(const CudaDevice& device, const CudaLimits& as,
                               const Int4FusedTuning& tuning, const Int4FusedProblem& problem,
                               const void* packed, const void* u, DType z_dtype, void* z,
                               void* arranged);

// What one launch gets.
struct Int4FusedArguments {
  const char* packed;
  const uint16_t* u;
  void* z;
  int out_features;
  int in_features;
  int vectors;       // valid ones, at most tiles * kInt4VectorsPerTile
  int units;         // of a row block
  bool is_half;      // scales
  bool writes_half;  // z
  // Block i owns row_quotient row blocks, and one more where i < row_remainder; slice i of the
  // columns units likewise.
  int row_quotient;
  int row_remainder;
  int slice_quotient;
  int slice_remainder;
  // What copying activations takes: a thread's step, and Int4Inverse of a vector's pieces.
  uint32_t piece_inverse;
  int vector_step;
  int piece_step;
  uint32_t slice_inverse;   // of config.slices
  uint32_t vector_inverse;  // of vectors
  Int4FusedConfig config;
};

// Of kernels for 1, 2 or 4 scales a unit, each a file of its own to compile beside the others.
template <int kScales>
absl::Status LaunchInt4FusedKernel(const CudaDevice& device, bool has_zeros,
                                   const Int4FusedArguments& arguments);
extern template absl::Status LaunchInt4FusedKernel<1>(const CudaDevice&, bool,
                                                      const Int4FusedArguments&);
extern template absl::Status LaunchInt4FusedKernel<2>(const CudaDevice&, bool,
                                                      const Int4FusedArguments&);
extern template absl::Status LaunchInt4FusedKernel<4>(const CudaDevice&, bool,
                                                      const Int4FusedArguments&);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_FUSED_H_
