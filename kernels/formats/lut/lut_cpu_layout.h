// Where the weights of a layer lie while it is resident on the CPU: four rows side by side, in the
// order in which the kernels read them, each thread one linear stream.
//
//   group of 4 rows:  [codebooks of the rows, where they have their own]  [segment 0] [segment 1]
//   ... segment of 1024 columns:  [scales: row 0..3][block]  [chunk 0: row 0..3] [chunk 1: row
//   0..3] ...
//
// Every part begins at a multiple of 64 bytes. A chunk of a row is words of 16 lanes of 32 bits; a
// lane holds 32 / bits fields, field f of lane l being column 16 f + l of the chunk. At 3 bits a
// chunk is three words of ten fields each, and the two bits left of each word are fields 30 and 31.
// At 8 bits a chunk is bytes, in an order in which fp16 put together from two bytes come out in the
// order of columns: LutBytePosition.
//
// The last chunk and the last group are filled up with index 0; scales of rows that are not there
// are 0, and activations of columns that are not there.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_LAYOUT_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_LAYOUT_H_

#include <algorithm>
#include <bit>
#include <cstdint>

#include "kernels/formats/lut/lut_layer.h"

namespace qtipd {

inline constexpr int kLutGroupRows = 4;
inline constexpr int kLutLanes = 16;
inline constexpr int64_t kLutSegmentCols = 1024;
inline constexpr int64_t kLutAlignment = 64;
// Kernels ask for weights a page ahead, and may read a vector beyond the last ones.
inline constexpr int64_t kLutCpuPadding = 64;

constexpr int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

constexpr int64_t LutChunkCols(int bits) {
  return bits == 2 ? 256 : bits == 1 || bits == 3 ? 512 : 128;
}
constexpr int64_t LutChunkBytes(int bits) { return LutChunkCols(bits) * bits / 8; }

// How far a column is shifted to become the number of its block: a division for every vector of
// weights would be more than its decoding. Without blocks all are in block 0.
inline int LutBlockShift(const LutSpec& spec) {
  return spec.block == 0 ? 62 : std::countr_zero(static_cast<uint64_t>(spec.block));
}

// The byte of 64 columns at 8 bits that column `column` of them is in.
constexpr int LutBytePosition(int column) {
  const int vector = column / kLutLanes;
  return vector % 2 * 32 + column / 8 % 2 * 16 + vector / 2 * 8 + column % 8;
}

// A codebook as kernels read it: up to 4 bits 16 fp16, repeated as often as fits; at 8 bits the low
// bytes of 256 fp16, then the high ones.
constexpr int64_t LutTableBytes(int bits) { return bits == 8 ? 512 : 32; }

// Offsets in bytes, of a layer of this shape.
struct LutCpuLayout {
  LutCpuLayout(const LutSpec& spec, Shape shape);

  LutSpec spec;
  Shape shape;
  int64_t padded_cols = 0;  // in_features in whole chunks
  int64_t groups = 0;
  int64_t tables_bytes = 0;  // at the beginning of a group
  int64_t group_bytes = 0;

  int64_t segments() const { return (padded_cols + kLutSegmentCols - 1) / kLutSegmentCols; }
  int64_t segment_cols(int64_t segment) const {
    return std::min(kLutSegmentCols, padded_cols - segment * kLutSegmentCols);
  }
  // Of each of the rows of a group; also of columns that are not there.
  int64_t segment_blocks(int64_t segment) const {
    return spec.block == 0 ? 0 : segment_cols(segment) / spec.block;
  }
  int64_t scales_bytes(int64_t segment) const {
    return RoundUp(kLutGroupRows * segment_blocks(segment) * 2, kLutAlignment);
  }
  int64_t segment_bytes(int64_t segment) const {
    return scales_bytes(segment) + kLutGroupRows * segment_cols(segment) * spec.bits / 8;
  }
  int64_t bytes() const { return groups * group_bytes; }
};

// Writes the table of one codebook, LutTableBytes.
void WriteLutTable(const LutSpec& spec, const float* codebook, uint8_t* table);

// Brings groups [begin, end) of a layer into the order above; `packed` is that of group 0.
void RepackLut(const LutLayer& layer, const LutCpuLayout& layout, int64_t begin, int64_t end,
               uint8_t* packed);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_LAYOUT_H_
