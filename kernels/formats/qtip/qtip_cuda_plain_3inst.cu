// Kernels of code `3inst` in the plain layout.
#include "kernels/formats/qtip/qtip_cuda_plain.cuh"

namespace qtipd {

const PlainKernels k3InstKernels[4] = {PlainKernelsOf<InstCode, 1>(), PlainKernelsOf<InstCode, 2>(),
                                       PlainKernelsOf<InstCode, 3>(),
                                       PlainKernelsOf<InstCode, 4>()};

}  // namespace qtipd
