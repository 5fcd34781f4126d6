// Kernels of code `hyb` at 1 bit, which checkpoints have in the plain layout.
#include "kernels/formats/qtip/qtip_cuda_plain.cuh"

namespace qtipd {

const PlainKernels kHyb1Kernel = {PlainTableBytesOf<PlainHybCode>,
                                  LaunchPlainDecodeKernel<PlainHybCode, 1>, nullptr};

}  // namespace qtipd
