// How the default table of code `hyb` is made. Not used at run time.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_TOOLS_CODEBOOK_TRAINING_H_
#define QTIPD_KERNELS_FORMATS_QTIP_TOOLS_CODEBOOK_TRAINING_H_

#include <cstdint>
#include <vector>

#include "kernels/cpu/thread_pool.h"

namespace qtipd {

// Trains a table [512][2], as fp16 bits, on Gaussian samples from a fixed seed. Takes seconds. The
// same bytes on every machine and for any number of threads.
//
// 1. k-means of pairs (|x|, y): the sign bit of the code mirrors a row, so 512 rows on the half
// plane
//    serve as 1024 points. (Upstream clusters the whole plane and lets the mirror images fall where
//    they may.)
// 2. Refinement through the trellis: encode at 2, 3 and 4 bits, move every row towards the mean of
//    the samples that chose it. Bits count by the inverse of their distortion, so that the relative
//    gain is shared out evenly.
// The rms is set to sqrt(15/16), that of an ideal 2-bit reconstruction of N(0,1), as upstream does.
// Source: QTIP (Tseng et al., 2024, arXiv 2406.11235), section 3.2; Lloyd (1982).
std::vector<uint16_t> TrainHybCodebook(ThreadPool& pool);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_TOOLS_CODEBOOK_TRAINING_H_
