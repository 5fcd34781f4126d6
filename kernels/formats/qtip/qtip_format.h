// Format "qtip" for whoever builds a registry of its own; the daemon uses Register_qtip_format.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_FORMAT_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_FORMAT_H_

#include <memory>

#include "kernels/api/registry.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Its device-independent half. The options of an imported layer are its code's as found and the
// defaults for what only quantizing uses.
std::unique_ptr<WeightFormat> MakeQtipFormat();

// Adds the format and its CPU backend.
void Register_qtip_format(Registry& registry);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_FORMAT_H_
