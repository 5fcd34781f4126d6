// How the CUDA kernels hold a layer of format "lut": made once at load, streamed once by each
// multiply. README.md has a diagram.
//
// Unit: 16 rows x 256 columns, four blocks of 64 columns. In each block lane l = 4 g + q holds rows
// g and g + 8 and sixteen columns, 8 q to 8 q + 7 of either half: what it gives to and takes from
// four mma.m16n8k16 whose columns are permuted so that all of a lane lie in two pieces of 16 bytes
// of activations. Step t of a block multiplies columns 32 (t / 2) + 8 q + 4 (t % 2) + 0..3 of every
// lane; its pairs i = 0..3 are (row g, columns 0 1), (row g + 8, columns 0 1), (row g, columns 2
// 3), (row g + 8, columns 2 3): the four registers of the A fragment.
//
// At 3, 4 and 8 bits the 32 indices of a lane and block, pair 4 t + i after pair 4 t + i - 1 and
// its first column in the low bits, are a string of `bits` words, and a lane's four strings 16-byte
// pieces. At 4 and 8 bits words are rotated left by 7 bits, so that the first byte lies where a
// table of entries of 128 bytes is addressed.
//
// At 1 and 2 bits a row of the unit is 16-byte pieces, each of a block, at 1 bit of two; word q of
// a piece has the columns of lanes 4 g + q, step after step, four indices each. So a lane can also
// have a whole row, whose four bits of indices look up what they contribute. Words are rotated left
// by 2 bits: four bits lie where a table of 16 floats is addressed.
//
// Records are row-major, [row blocks][units per row]:
//   512 bits bytes   3, 4, 8 bits: word k of a lane's four strings in a row at 512 (k / 4) +
//                    16 lane + 4 (k % 4); 1, 2 bits: word q of row r of piece v at
//                    256 v + 16 r + 4 q
//   scales           16-bit pairs (row g, row g + 8): of each g, for each scale of the unit one
//                    word; four of a unit, eight where blocks have 32 columns, none without blocks
// Blocks of 128 columns have their scale twice. Rows and columns beyond the matrix have index 0 and
// scale 0.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_LAYOUT_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_LAYOUT_H_

#include <cstdint>

#include "kernels/api/host_device.h"

namespace qtipd {

inline constexpr int kLutUnitRows = 16;
inline constexpr int kLutUnitCols = 256;
inline constexpr int kLutBlockCols = 64;
inline constexpr int kLutUnitBlocks = kLutUnitCols / kLutBlockCols;
inline constexpr int kLutStringIndices = 32;  // of a lane and block
inline constexpr int kLutTableRow = 128;      // bytes of an entry with all its replicas
inline constexpr int kLutTableShift = 7;      // log2 of that
inline constexpr int kLutSumsShift = 2;       // log2 of the bytes of a float

static_assert(1 << kLutTableShift == kLutTableRow, "a byte of a word is the offset of its entry");
static_assert(32 * kLutStringIndices == kLutUnitRows * kLutBlockCols, "a warp holds a block");

// Where a weight lies within its block.
struct LutPlace {
  int row;     // 0 to 15
  int column;  // 0 to 63
};

// Of index `m` of the string of `lane`.
QTIPD_HOST_DEVICE constexpr LutPlace LutPlaceOf(int lane, int m) {
  const int pair = m / 2;
  const int step = pair / 4;
  const int i = pair % 4;
  return {lane / 4 + 8 * (i % 2),
          32 * (step / 2) + 8 * (lane % 4) + 4 * (step % 2) + 2 * (i / 2) + m % 2};
}

// Whether rows are 16-byte pieces.
QTIPD_HOST_DEVICE constexpr bool LutHasRowPieces(int bits) { return bits <= 2; }

// The index that begins in or before bit `bit` of word `word` of a lane's words of a unit. Where
// rows are pieces, a lane's words are word q of row g, then of row g + 8, of each piece.
struct LutIndexPlace {
  int block;  // 0 to 3
  int m;      // of its string
  int shift;  // bit of the word where it begins; negative where it began in the word before
};

QTIPD_HOST_DEVICE constexpr LutIndexPlace LutIndexPlaceOf(int bits, int word, int bit) {
  if (LutHasRowPieces(bits)) {
    const int at = bit / bits;  // of 16 or 32 in the word
    const int column = at % 16;
    const int pair = column / 4 * 4 + column % 4 / 2 * 2 + word % 2;
    return {word / 2 * (2 / bits) + at / 16, 2 * pair + column % 2, bit};
  }
  const int at = 32 * (word % bits) + bit;
  return {word / bits, at / bits, at / bits * bits - 32 * (word % bits)};
}

// Of that word and lane within a record, in words.
QTIPD_HOST_DEVICE constexpr int LutWordOffset(int bits, int lane, int word) {
  return LutHasRowPieces(bits) ? 32 * word + lane : 128 * (word / 4) + 4 * lane + word % 4;
}

// Bits that words are rotated to the left.
QTIPD_HOST_DEVICE constexpr int LutWordRotation(int bits) {
  return LutHasRowPieces(bits) ? kLutSumsShift : bits == 3 ? 0 : kLutTableShift;
}

QTIPD_HOST_DEVICE constexpr int LutIndexBytes(int bits) { return 512 * bits; }
QTIPD_HOST_DEVICE constexpr int LutRecordBytes(int bits, int scale_words) {
  return LutIndexBytes(bits) + kLutUnitRows / 2 * scale_words * 4;
}
QTIPD_HOST_DEVICE constexpr int64_t LutUnitsPerRow(int64_t in_features) {
  return (in_features + kLutUnitCols - 1) / kLutUnitCols;
}
QTIPD_HOST_DEVICE constexpr int64_t LutRowBlocks(int64_t out_features) {
  return (out_features + kLutUnitRows - 1) / kLutUnitRows;
}

// What the kernels have to know of a layer's options.
struct LutCudaLayout {
  int64_t out_features = 0;
  int64_t in_features = 0;
  int bits = 0;
  int block = 0;  // of the format: 0, 32, 64, 128
  bool is_per_channel = false;
  bool is_bfloat16 = false;  // the scales

  QTIPD_HOST_DEVICE constexpr int scale_words() const {
    return block == 0 ? 0 : block == 32 ? 8 : 4;
  }
  QTIPD_HOST_DEVICE constexpr int record_bytes() const {
    return LutRecordBytes(bits, scale_words());
  }
  QTIPD_HOST_DEVICE constexpr int64_t units_per_row() const { return LutUnitsPerRow(in_features); }
  QTIPD_HOST_DEVICE constexpr int64_t row_blocks() const { return LutRowBlocks(out_features); }
  QTIPD_HOST_DEVICE constexpr int64_t packed_bytes() const {
    return row_blocks() * units_per_row() * record_bytes();
  }
  QTIPD_HOST_DEVICE constexpr int entries() const { return 1 << bits; }

  // The table that kernels fill their shared memory from, where there is one codebook: for every
  // value of a byte, at 3 bits of six, the pairs of fp16 weights that its indices are; at 8 bits
  // its entry twice.
  QTIPD_HOST_DEVICE constexpr int table_entries() const { return bits == 3 ? 64 : 256; }
  QTIPD_HOST_DEVICE constexpr int table_words() const {
    return bits == 1 ? 4 : bits == 2 ? 2 : 1;
  }  // of an entry
  // Of that table, or of the codebooks of all rows of whole row blocks, fp16.
  QTIPD_HOST_DEVICE constexpr int64_t table_bytes() const {
    return is_per_channel ? row_blocks() * kLutUnitRows * entries() * 2
                          : int64_t{table_entries()} * table_words() * 4;
  }
};

// Values that a warp of the fused kernels keeps of a row block in shared memory, and bytes of the
// codebooks of its rows.
QTIPD_HOST_DEVICE constexpr int LutPartialValues(int columns) { return columns * kLutUnitRows; }
QTIPD_HOST_DEVICE constexpr int LutChannelBytes(int bits) {
  return bits == 8 ? 0 : kLutUnitRows * (1 << bits) * 2;
}
// The kernel of sums: four bits of indices look up one of 16 floats; a piece of a row has 32 of
// these tables.
inline constexpr int kLutSumsEntries = 16;
inline constexpr int kLutPieceTables = 32;
inline constexpr int kLutPieceSumsBytes = kLutPieceTables * kLutSumsEntries * 4;
QTIPD_HOST_DEVICE constexpr int LutUnitPieces(int bits) { return 2 * bits; }
QTIPD_HOST_DEVICE constexpr int LutUnitSumsBytes(int bits) {
  return LutUnitPieces(bits) * kLutPieceSumsBytes;
}
// Row blocks whose rows are the lanes of a warp there.
inline constexpr int kLutStripBlocks = 2;

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_LAYOUT_H_
