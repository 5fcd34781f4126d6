// The encoder on the CPU: W and H in, a packed layer out.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_QUANTIZE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_QUANTIZE_H_

#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Quantizes `problem.weights` with code `hyb`: random signs, randomized Hadamard transform, scale,
// block LDL of the Hessian, LDLQ around a two-pass tail-biting Viterbi search, packing. Uses every
// hardware thread; the same bytes for any number of them. Blocks until done.
// Fills `report` with the proxy error and the seconds of preprocess, block_ldl, viterbi,
// postprocess. Errors: SHAPE_UNSUPPORTED, HESSIAN_SHAPE_INVALID, HESSIAN_NOT_POSITIVE_DEFINITE,
// Cancelled. Source: QTIP (Tseng et al., 2024, arXiv 2406.11235), sections 2 and 3; LDLQ is from
// QuIP (Chee et al., 2023, arXiv 2307.13304).
absl::StatusOr<PackedLayer> QuantizeQtipOnCpu(Device& device, const QuantizeProblem& problem,
                                              Progress& progress, QuantizeReport& report);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_QUANTIZE_H_
