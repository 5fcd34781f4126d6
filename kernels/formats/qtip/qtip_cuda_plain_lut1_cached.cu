// Kernels of code `lut` with one weight a step whose table is not in shared memory.
#include "kernels/formats/qtip/qtip_cuda_plain.cuh"

namespace qtipd {

const PlainKernels kCachedLut1Kernels[4] = {
    PlainKernelsOf<CachedLutCode, 1>(), PlainKernelsOf<CachedLutCode, 2>(),
    PlainKernelsOf<CachedLutCode, 3>(), PlainKernelsOf<CachedLutCode, 4>()};

}  // namespace qtipd
