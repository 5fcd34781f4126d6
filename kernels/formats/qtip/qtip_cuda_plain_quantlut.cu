// Kernels of code `quantlut` in the plain layout.
#include "kernels/formats/qtip/qtip_cuda_plain.cuh"

namespace qtipd {

const PlainKernels kQuantLutKernels[4] = {
    PlainKernelsOf<QuantLutCode, 1>(), PlainKernelsOf<QuantLutCode, 2>(),
    PlainKernelsOf<QuantLutCode, 3>(), PlainKernelsOf<QuantLutCode, 4>()};

}  // namespace qtipd
