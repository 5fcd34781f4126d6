// The encoder's search on a GPU for codes in the plain layout: any table of 65,536 states.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_SEARCH_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_SEARCH_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_code.h"
#include "kernels/formats/qtip/qtip_cuda_viterbi.h"

namespace qtipd {

// Bytes of scratch memory: the survivors of every tile in flight.
size_t SearchScratchBytes(const CudaDevice& device, const QtipCodeSpec& spec);

// Bytes of shared memory that a block takes.
size_t SearchSharedBytes(const QtipCodeSpec& spec);

// Enqueues the search: LaunchEncode for codes in plain layout with 16 state bits. Costs are fp16
// over the least cost of some steps before, so that they are finest where paths compete. A sample
// that no weight reaches costs a path what it lies beyond its best weight, so that an outlier takes
// no precision from the rest; beyond 1000, in the scale of the table, it pulls no harder. Source:
// QTIP (Tseng et al., 2024, arXiv 2406.11235), algorithm 4.
absl::Status LaunchSearch(const CudaDevice& device, const QtipCodeSpec& spec,
                          const EncodeArguments& arguments);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_SEARCH_H_
