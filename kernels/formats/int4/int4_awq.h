// AWQ's order of 4-bit numbers, and the way to GPTQ's.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_AWQ_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_AWQ_H_

#include <array>
#include <cstdint>

#include "kernels/api/host_tensor.h"

namespace qtipd {

// Bits 4 i to 4 i + 3 of a word are number kInt4AwqOrder[i] of its eight.
inline constexpr std::array<int, 8> kInt4AwqOrder = {0, 2, 4, 6, 1, 3, 5, 7};

// A word whose bits 4 i to 4 i + 3 are number i of AWQ's `word`.
uint32_t Int4FromAwqOrder(uint32_t word);

// AWQ's qweight [in_features, out_features / 8], packed along the outputs, as GPTQ's
// [in_features / 8, out_features].
HostTensor Int4WeightsFromAwq(const HostTensor& qweight);

// AWQ's qzeros [groups, out_features / 8] in GPTQ's order, `offset` subtracted from each; every
// number is at least that.
HostTensor Int4ZerosFromAwq(const HostTensor& qzeros, int offset);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_AWQ_H_
