// The lookup table that new layers of code `hyb` get.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_DEFAULT_CODEBOOK_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_DEFAULT_CODEBOOK_H_

#include <cstdint>
#include <span>

#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

// [512][2] as fp16 bits; constant data, the same in every version. Made by tools/train_codebook.cc.
std::span<const uint16_t, kQtipLutValues> QtipDefaultTlut();

// Root mean square of the decoded weights of all states.
double QtipCodebookRms(std::span<const uint16_t> tlut);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_DEFAULT_CODEBOOK_H_
