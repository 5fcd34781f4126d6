// The encoder's search on a GPU: the same two-pass tail-biting Viterbi search as qtip_viterbi.h.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_VITERBI_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_VITERBI_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_code.h"

namespace qtipd {

// Feedback of LDLQ into one column block of 16. All fp32 in device memory.
struct EncodeFeedback {
  // Sum over the columns right of the block's group of 128, [rows, group_cols]; null: no feedback.
  const float* product = nullptr;
  // L [cols - group_begin, group_cols] of the group from row group_begin on, row-major, read
  // strictly below the block only.
  const float* lower = nullptr;
  int64_t group_begin = 0;  // first column of the group
  int64_t group_cols = 0;
};

// Tiles [first_tile, first_tile + tile_count) of a matrix [rows, cols]: of all its tiles,
// row-major, or where `tile_col` >= 0 of that tile column alone.
struct EncodeArguments {
  float* weights = nullptr;         // [rows, cols]: in W in the scale of the table, out W - decoded
  uint16_t* trellis = nullptr;      // QtipTrellisWords() of the matrix, checkpoint order, out
  const uint32_t* table = nullptr;  // kernel layout: tlut, [512] pairs of fp16
  const float* values = nullptr;    // plain layout: the weights of all states, [65536][V]
  const uint16_t* halves = nullptr;  // plain layout: the same as fp16, which the search compares
  float reach = 0;                   // plain layout: the largest magnitude of a weight
  void* scratch = nullptr;           // EncodeScratchBytes()
  int64_t cols = 0;
  int64_t first_tile = 0;
  int64_t tile_count = 0;
  int64_t tile_col = -1;
  EncodeFeedback feedback;
};

// Whether there is a search for the code: all with 16 state bits.
bool CanEncode(const QtipCodeSpec& spec);

// Bytes of shared memory that a block of the search for the code takes.
size_t EncodeSharedBytes(const QtipCodeSpec& spec);

// OK where there is a search for the code and blocks of `limits` have room for it. Errors:
// Unimplemented/CODE_UNSUPPORTED with field state_bits, or with bits: at 1 bit and one weight a
// step survivors of two tiles are 128 KiB, more than some GPUs have.
absl::Status CheckEncode(const QtipCodeSpec& spec, const CudaLimits& limits);

// Bytes of scratch memory: survivors of every tile in flight.
size_t EncodeScratchBytes(const CudaDevice& device, const QtipCodeSpec& spec);

// Tiles that keep one launch well below a tenth of a second.
int64_t EncodeTilesPerLaunch(const CudaDevice& device);

// Enqueues the search; at most EncodeTilesPerLaunch() tiles. Codes in kernel layout: fp32 costs;
// equal costs go to the lowest state. Codes in plain layout: qtip_cuda_search.h.
// Source: QTIP (Tseng et al., 2024, arXiv 2406.11235), algorithm 4.
absl::Status LaunchEncode(const CudaDevice& device, const QtipCodeSpec& spec,
                          const EncodeArguments& arguments);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_VITERBI_H_
