// The slow and obvious reference, in double precision.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_REFERENCE_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_REFERENCE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/formats/int4/int4_layer.h"

namespace qtipd {

// W_hat [out_features, in_features]; every weight is a number of fp32, so nothing is rounded.
std::vector<float> Int4ReferenceWeights(const Int4Layer& layer);

// y[batch, out_features] = W_hat x for x [batch, in_features], summed in double in the order of
// columns.
std::vector<double> Int4ReferenceMultiply(const Int4Layer& layer, std::span<const float> x,
                                          int64_t batch);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_REFERENCE_H_
