// The encoder on the CPU: W and H in, a packed layer out.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_QUANTIZE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_QUANTIZE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/qtip/qtip_incoherence.h"

namespace qtipd {

// What a problem leaves open: the table of its code, if there is one, and the random signs.
struct QtipIngredients {
  std::vector<uint16_t> tlut;
  QtipSigns signs;
};

// The default table and the signs of `problem.seed`. Errors: OPTION_INVALID.
absl::StatusOr<QtipIngredients> MakeQtipIngredients(const QuantizeProblem& problem);

// Quantizes `problem.weights`: random signs, randomized Hadamard transform, scale,
// block LDL of the Hessian, LDLQ around a two-pass tail-biting Viterbi search, packing. Runs on all
// threads of `pool`, in the memory of W and H. Blocks until done.
// Fills `report` with the proxy error and the seconds of preprocess, block_ldl, viterbi,
// postprocess. Errors: SHAPE_UNSUPPORTED, HESSIAN_SHAPE_INVALID, HESSIAN_NOT_SYMMETRIC,
// HESSIAN_NOT_POSITIVE_DEFINITE, Cancelled.
// Source: QTIP (Tseng et al., 2024, arXiv 2406.11235), sections 2 and 3; LDLQ is from QuIP
// (Chee et al., 2023, arXiv 2307.13304).
absl::StatusOr<PackedLayer> QuantizeQtip(ThreadPool& pool, const QuantizeProblem& problem,
                                         const QtipIngredients& ingredients, Progress& progress,
                                         QuantizeReport& report);

// The same with MakeQtipIngredients.
absl::StatusOr<PackedLayer> QuantizeQtipOnCpu(ThreadPool& pool, const QuantizeProblem& problem,
                                              Progress& progress, QuantizeReport& report);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_QUANTIZE_H_
