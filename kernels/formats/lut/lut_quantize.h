// Quantizes one linear layer to format "lut" on the host.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_QUANTIZE_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_QUANTIZE_H_

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/lut/lut_spec.h"

namespace qtipd {

// Steps, in order: scales, codebook, refine, encode, and proxy where there is a Hessian, of which
// the diagonal alone decides how weights are rounded. Nothing is random: the seed changes nothing,
// and neither does the number of threads. W becomes its error.
// Errors: SHAPE_UNSUPPORTED, CODEBOOK_TOO_LARGE, WEIGHTS_OUT_OF_RANGE, HESSIAN_SHAPE_INVALID,
// HESSIAN_NOT_SYMMETRIC, HESSIAN_NOT_POSITIVE_DEFINITE, Cancelled.
absl::StatusOr<PackedLayer> QuantizeLutOnCpu(ThreadPool& pool, const QuantizeProblem& problem,
                                             Progress& progress, QuantizeReport& report);

// Upper bound of what that takes beside W, H and the result.
uint64_t LutCpuWorkspaceBytes(const LutSpec& spec, Shape shape, bool has_hessian, int threads);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_QUANTIZE_H_
