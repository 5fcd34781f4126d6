#include "kernels/formats/int4/int4_cpu_layout.h"

#include <array>
#include <cstring>

namespace qtipd {
namespace {

constexpr int64_t kPieceAlignment = 64;
constexpr int64_t kWords = kInt4BlockCols / kInt4PerWord;
constexpr int64_t kVectorCols = 16;

using Words = std::array<uint32_t, kInt4PerWord>;

// Number j of word i becomes number i of word j: blocks of 4, 2 and 1 numbers change places.
void Transpose(Words& words) {
  constexpr uint32_t kLow[] = {0x0000FFFF, 0x00FF00FF, 0x0F0F0F0F};
  for (int step = 0; step < 3; ++step) {
    const int distance = 4 >> step;
    const int shift = 4 * distance;
    for (int i = 0; i < kInt4PerWord; ++i) {
      if ((i & distance) != 0) continue;
      const uint32_t swapped = (words[i] >> shift ^ words[i + distance]) & kLow[step];
      words[i + distance] ^= swapped;
      words[i] ^= swapped << shift;
    }
  }
}

// Sixteen words of a row: word l of `to` takes columns l, 16 + l, ...; eight of them come from the
// even words of the row, eight from the odd ones.
void RepackRow(const Int4Layer& layer, int64_t row, int64_t first_col, uint8_t* to) {
  const int64_t first = first_col / kInt4PerWord;
  const int64_t words = layer.shape().in_features / kInt4PerWord;
  for (int64_t half = 0; half < 2; ++half) {
    Words eight{};
    for (int64_t j = 0; j < kInt4PerWord; ++j) {
      const int64_t word = first + 2 * j + half;
      if (word < words) eight[j] = layer.Word(word, row);
    }
    Transpose(eight);
    std::memcpy(to + half * sizeof(eight), eight.data(), sizeof(eight));
  }
}

void RepackRows(const Int4Layer& layer, const Int4CpuLayout& layout, int64_t block, uint8_t* to) {
  std::memset(to, 0, layout.row_block_bytes);
  const int64_t first = block * kInt4BlockRows;
  for (int64_t col_block = 0; col_block < layout.col_blocks; ++col_block) {
    for (int64_t row = 0; row < kInt4BlockRows; ++row) {
      RepackRow(layer, first + row, col_block * kInt4BlockCols,
                to + col_block * kInt4CodeBytes + row * kInt4RowBytes);
    }
  }
  for (int64_t group = 0; group < layout.groups; ++group) {
    for (int64_t row = 0; row < kInt4BlockRows; ++row) {
      const int64_t index = group * kInt4BlockRows + row;
      const uint16_t scale = layer.ScaleBits(group, first + row);
      std::memcpy(to + layout.scales_at + index * sizeof(scale), &scale, sizeof(scale));
      if (layout.has_zeros) {
        to[layout.zeros_at + index] = static_cast<uint8_t>(layer.Zero(group, first + row));
      }
    }
  }
}

static_assert(kWords == kVectorCols, "a word for each lane");

}  // namespace

Int4CpuLayout::Int4CpuLayout(Shape shape, const Int4Spec& spec)
    : in_features(shape.in_features),
      col_blocks((shape.in_features + kInt4BlockCols - 1) / kInt4BlockCols),
      groups(spec.groups(shape.in_features)),
      group_size(spec.group_size),
      has_zeros(!spec.is_symmetric),
      is_half(spec.scale_dtype == DType::kF16),
      scales_at(col_blocks * kInt4CodeBytes),
      zeros_at(scales_at + groups * kInt4BlockRows * static_cast<int64_t>(sizeof(uint16_t))) {
  const int64_t bytes = zeros_at + (has_zeros ? groups * kInt4BlockRows : 0);
  row_block_bytes = (bytes + kPieceAlignment - 1) / kPieceAlignment * kPieceAlignment;
}

void Int4CpuRepack(ThreadPool& pool, const Int4Layer& layer, const Int4CpuLayout& layout,
                   uint8_t* packed) {
  pool.ParallelFor(layer.shape().out_features / kInt4BlockRows,
                   [&](int, int64_t begin, int64_t end) {
                     for (int64_t block = begin; block < end; ++block) {
                       RepackRows(layer, layout, block, packed + block * layout.row_block_bytes);
                     }
                   });
}

}  // namespace qtipd
