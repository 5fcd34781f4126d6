// Kernels of code `2mad` in the plain layout.
#include "kernels/formats/qtip/qtip_cuda_plain.cuh"

namespace qtipd {

const PlainKernels k2MadKernels[4] = {
    PlainKernelsOf<MadCode<true>, 1>(), PlainKernelsOf<MadCode<true>, 2>(),
    PlainKernelsOf<MadCode<true>, 3>(), PlainKernelsOf<MadCode<true>, 4>()};

}  // namespace qtipd
