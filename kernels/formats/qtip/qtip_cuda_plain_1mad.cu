// Kernels of code `1mad` in the plain layout.
#include "kernels/formats/qtip/qtip_cuda_plain.cuh"

namespace qtipd {

const PlainKernels k1MadKernels[4] = {
    PlainKernelsOf<MadCode<false>, 1>(), PlainKernelsOf<MadCode<false>, 2>(),
    PlainKernelsOf<MadCode<false>, 3>(), PlainKernelsOf<MadCode<false>, 4>()};

}  // namespace qtipd
