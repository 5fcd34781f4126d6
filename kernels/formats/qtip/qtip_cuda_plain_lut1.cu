// Kernels of code `lut` with one weight a step, in the plain layout.
#include "kernels/formats/qtip/qtip_cuda_plain.cuh"

namespace qtipd {

const PlainKernels kLut1Kernels[4] = {PlainKernelsOf<LutCode, 1>(), PlainKernelsOf<LutCode, 2>(),
                                      PlainKernelsOf<LutCode, 3>(), PlainKernelsOf<LutCode, 4>()};

}  // namespace qtipd
