// Format "int4" for whoever builds a registry of its own; the daemon uses Register_int4_format.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_FORMAT_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_FORMAT_H_

#include <memory>

#include "kernels/api/registry.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Its device-independent half.
std::unique_ptr<WeightFormat> MakeInt4Format();

// Adds the format and its CPU backend.
void Register_int4_format(Registry& registry);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_FORMAT_H_
