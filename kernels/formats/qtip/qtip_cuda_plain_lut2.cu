// Kernels of code `lut` with two weights a step, in the plain layout.
#include "kernels/formats/qtip/qtip_cuda_plain.cuh"

namespace qtipd {

const PlainKernels kLut2Kernels[4] = {
    PlainKernelsOf<PairLutCode, 1>(), PlainKernelsOf<PairLutCode, 2>(),
    PlainKernelsOf<PairLutCode, 3>(), PlainKernelsOf<PairLutCode, 4>()};

}  // namespace qtipd
