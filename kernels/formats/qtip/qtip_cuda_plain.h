// The kernels of codes in the plain layout: repacking, decoding to a matrix, and the fused kernel.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_code.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"

namespace qtipd {

// Whether these kernels know a code: plain layout and 16 state bits.
bool HasPlainKernels(const QtipCodeSpec& spec);

// Whether the kernels keep the table of `spec` in shared memory: true where it fits beside the sums
// of any batch, and of a code without one. Else they read it through L1 and L2, which is slower.
bool KeepsPlainTable(const QtipCodeSpec& spec, const CudaLimits& limits);

// Choose: how, as FusedConfig. A function of the problem, the code and the limits alone.
struct PlainConfig {
  int grid = 0;            // blocks; each owns whole row blocks
  int columns = 0;         // of the batch per launch: 1 or 4
  int rows_in_flight = 0;  // row blocks that a warp sums at once: 1 or 2
  int chunk_rows = 0;      // row blocks between two reductions
  bool keeps_table = false;
  bool sums_digits = false;  // qtip_cuda_plain_digits.cuh: activations as integers
  size_t shared_bytes = 0;   // table or digits, and partial sums
  std::string ToString() const;
};
PlainConfig ChoosePlainConfig(const FusedProblem& problem, const QtipCodeSpec& spec,
                              const CudaLimits& limits);

// W_trellis [out, in] row-major to `w`, 16-byte aligned, of `dtype` F16 (rounded once) or F32
// (exact).   packed  units   tlut  spec.table_values() fp16, null for a code without a table
// Enqueues; capturable.
absl::Status LaunchPlainDecode(const CudaDevice& device, Shape shape, const QtipCodeSpec& spec,
                               const void* packed, const void* tlut, DType dtype, void* w);
// The same with what is chosen for `as`, which may have less than `device`.
absl::Status LaunchPlainDecodeAs(const CudaDevice& device, const CudaLimits& as, Shape shape,
                                 const QtipCodeSpec& spec, const void* packed, const void* tlut,
                                 DType dtype, void* w);

// LaunchFused for the other codes: the same contract, `tlut` as in LaunchPlainDecode.
// `problem.bits` is spec.bits. Weights enter the products exactly: 1mad's and 2mad's as integers,
// whose divisor the sums get.
absl::Status LaunchPlainFused(const CudaDevice& device, const FusedProblem& problem,
                              const QtipCodeSpec& spec, const void* packed, const void* tlut,
                              const void* u, void* z);
absl::Status LaunchPlainFusedAs(const CudaDevice& device, const CudaLimits& as,
                                const FusedProblem& problem, const QtipCodeSpec& spec,
                                const void* packed, const void* tlut, const void* u, void* z);

// Kernels that LaunchPlainFused launches.
int64_t PlainFusedLaunches(int64_t batch);

struct PlainDecodeArguments {
  const char* packed;
  const uint16_t* tlut;
  void* w;
  int64_t units;
  int units_per_row;
  int in_features;
  bool is_wide;  // fp32 output
  int table_bits;
};

struct PlainFusedArguments : FusedArguments {
  const uint16_t* tlut;
  int table_bits;
};

// One code at one rate, a translation unit each code: kernels/formats/qtip/qtip_cuda_plain_*.cu.
struct PlainKernels {
  // Shared memory for the table; a multiple of 128.
  size_t (*table_bytes)(int table_bits);
  absl::Status (*decode)(const CudaDevice& device, const PlainDecodeArguments& arguments);
  absl::Status (*fused)(const CudaDevice& device, const PlainConfig& config,
                        const PlainFusedArguments& arguments);
};
// By bits - 1.
extern const PlainKernels k1MadKernels[4];
extern const PlainKernels k2MadKernels[4];
extern const PlainKernels k3InstKernels[4];
extern const PlainKernels kLut1Kernels[4];
extern const PlainKernels kCachedLut1Kernels[4];
extern const PlainKernels kLut2Kernels[4];
extern const PlainKernels kQuantLutKernels[4];
extern const PlainKernels kHyb1Kernel;  // hyb at 1 bit; its fused kernel is LaunchFused's

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_H_
