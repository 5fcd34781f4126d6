// Format "lut" for whoever builds a registry of its own; the daemon uses Register_lut_format.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_FORMAT_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_FORMAT_H_

#include <memory>

#include "kernels/api/registry.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Its device-independent half. The options of an imported layer are what its tensors say, what was
// given, and the defaults for what only quantizing uses.
std::unique_ptr<WeightFormat> MakeLutFormat();

// Adds the format and its CPU backend.
void Register_lut_format(Registry& registry);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_FORMAT_H_
