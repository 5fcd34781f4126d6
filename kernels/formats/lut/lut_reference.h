// Format "lut" in double precision: slow, obvious, what every kernel is compared with.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_REFERENCE_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_REFERENCE_H_

#include <span>
#include <vector>

#include "kernels/formats/lut/lut_layer.h"

namespace qtipd {

// W_hat [out, in]: a codebook entry times its block's scale, which is a number of fp32.
std::vector<float> LutReferenceWeights(const LutLayer& layer);

// y[batch, out] = W_hat x for x[batch, in].
std::vector<double> LutReferenceMultiply(const LutLayer& layer, std::span<const float> x,
                                         int64_t batch);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_REFERENCE_H_
