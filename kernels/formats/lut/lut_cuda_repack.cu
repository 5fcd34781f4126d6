// Repacks a layer of format "lut" on the device: one thread a word of the result.
#include "kernels/cuda/launch.h"
#include "kernels/formats/lut/lut_cuda_matrix.h"

namespace qtipd {
namespace {

constexpr int kThreads = 256;

struct RepackArguments {
  const uint8_t* indices;
  const uint16_t* scales;
  uint32_t* packed;
  LutCudaLayout layout;
  int64_t words;  // of the result
};

__device__ uint32_t IndexAt(const RepackArguments& args, int64_t row, int64_t column) {
  const LutCudaLayout& layout = args.layout;
  if (row >= layout.out_features || column >= layout.in_features) return 0;
  const int64_t bit = column * layout.bits;
  const uint8_t* byte = args.indices + row * (layout.in_features * layout.bits / 8) + bit / 8;
  const int shift = static_cast<int>(bit % 8);
  uint32_t window = byte[0];
  if (shift + layout.bits > 8) window |= uint32_t{byte[1]} << 8;
  return window >> shift & ((1u << layout.bits) - 1);
}

// Word `word` of `lane` of the unit that begins at `row`, `column`.
__device__ uint32_t IndexWord(const RepackArguments& args, int64_t row, int64_t column, int lane,
                              int word) {
  const int bits = args.layout.bits;
  uint32_t value = 0;
  for (int bit = 0; bit < 32;) {
    const LutIndexPlace index = LutIndexPlaceOf(bits, word, bit);
    const LutPlace place = LutPlaceOf(lane, index.m);
    const uint32_t found =
        IndexAt(args, row + place.row, column + index.block * kLutBlockCols + place.column);
    value |= index.shift < 0 ? found >> -index.shift : found << index.shift;
    bit = index.shift + bits;
  }
  return __funnelshift_l(value, value, LutWordRotation(bits));
}

__device__ uint32_t ScaleAt(const RepackArguments& args, int64_t row, int64_t column) {
  const LutCudaLayout& layout = args.layout;
  if (row >= layout.out_features || column >= layout.in_features) return 0;
  return args.scales[row * (layout.in_features / layout.block) + column / layout.block];
}

// Word `word` of the unit's scales.
__device__ uint32_t ScaleWord(const RepackArguments& args, int64_t row, int64_t column, int word) {
  const int words = args.layout.scale_words();
  const int64_t first = row + word / words;
  const int64_t at = column + word % words * (kLutUnitCols / words);
  return ScaleAt(args, first, at) | ScaleAt(args, first + kLutUnitRows / 2, at) << 16;
}

__global__ void RepackRecords(const RepackArguments args) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= args.words) return;
  const int record_words = args.layout.record_bytes() / 4;
  const int64_t record = i / record_words;
  const int offset = static_cast<int>(i % record_words);
  const int64_t units = args.layout.units_per_row();
  const int64_t row = record / units * kLutUnitRows;
  const int64_t column = record % units * kLutUnitCols;
  const int index_words = LutIndexBytes(args.layout.bits) / 4;
  if (offset >= index_words) {
    args.packed[i] = ScaleWord(args, row, column, offset - index_words);
    return;
  }
  const bool has_pieces = LutHasRowPieces(args.layout.bits);
  const int word = has_pieces ? offset / 32 : offset / 128 * 4 + offset % 4;
  const int lane = has_pieces ? offset % 32 : offset % 128 / 4;
  args.packed[i] = IndexWord(args, row, column, lane, word);
}

}  // namespace

absl::Status LaunchLutRepack(const CudaDevice& device, const LutCudaLayout& layout,
                             const void* indices, const void* scales, void* packed) {
  const RepackArguments args = {.indices = static_cast<const uint8_t*>(indices),
                                .scales = static_cast<const uint16_t*>(scales),
                                .packed = static_cast<uint32_t*>(packed),
                                .layout = layout,
                                .words = layout.packed_bytes() / 4};
  const LaunchOptions options = {
      .grid = static_cast<unsigned>((args.words + kThreads - 1) / kThreads), .block = kThreads};
  return LaunchKernel(device, options, RepackRecords, args);
}

}  // namespace qtipd
