// QTIP in double precision, slow and obvious: what every kernel is checked against.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_REFERENCE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_REFERENCE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/formats/qtip/qtip_layer.h"

namespace qtipd {

// The inner matrix [out, in] as decoded, in the scale of the codebook: no signs, scales or
// rotations. Exact: fp16 values, and fp32 ones for codes 1mad and 2mad.
std::vector<float> QtipTrellisWeights(const QtipLayer& layer);

// W_hat [out, in] in the original basis, computed in double and rounded once.
std::vector<float> QtipReferenceWeights(const QtipLayer& layer);

// y [batch, out] = W_hat x for x [batch, in].
std::vector<double> QtipReferenceMultiply(const QtipLayer& layer, std::span<const float> x,
                                          int64_t batch);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_REFERENCE_H_
