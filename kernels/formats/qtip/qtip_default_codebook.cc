#include "kernels/formats/qtip/qtip_default_codebook.h"

#include <cmath>

#include "kernels/api/dtype.h"
#include "kernels/formats/qtip/qtip_codebook.h"

namespace qtipd {
namespace {

constexpr uint16_t kDefaultTlut[kQtipLutValues] = {
#include "kernels/formats/qtip/qtip_default_codebook.inc"
};

}  // namespace

std::span<const uint16_t, kQtipLutValues> QtipDefaultTlut() { return kDefaultTlut; }

double QtipCodebookRms(std::span<const uint16_t> tlut) {
  double sum = 0;
  for (uint32_t state = 0; state < kQtipStates; ++state) {
    const uint32_t pair = QtipHybDecode(state, tlut.data());
    const double first = HalfToFloat(static_cast<uint16_t>(pair));
    const double second = HalfToFloat(static_cast<uint16_t>(pair >> 16));
    sum += first * first + second * second;
  }
  return std::sqrt(sum / (2.0 * kQtipStates));
}

}  // namespace qtipd
