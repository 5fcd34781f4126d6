#include "kernels/formats/int4/int4_cuda_layout.h"

#include <algorithm>
#include <cstring>

namespace qtipd {
namespace {

constexpr int64_t kChunkCols = 32;  // of two words of a lane
constexpr int64_t kChunks = kInt4UnitCols / kChunkCols;
constexpr int64_t kLanesOfRow = 4;
constexpr int64_t kHalfBits = 16;
constexpr int64_t kWordsAtOnce = kInt4LaneBytes / sizeof(uint32_t);

// Four codes, 0 to 3 from the lowest bits on, at bits 0, 16, 8 and 24.
constexpr uint32_t Spread(uint32_t codes) {
  constexpr uint32_t kEven = 0x0F0F;
  return (codes & kEven) | (codes >> 4 & kEven) << kHalfBits;
}
static_assert(Spread(0x4321) == 0x04020301);

// Two words of a lane from eight columns of two rows.
void PutWords(uint32_t row, uint32_t row_8, uint8_t* words) {
  constexpr uint32_t kLow = 0xFFFF;
  const uint32_t pair[2] = {Spread(row & kLow) | Spread(row_8 & kLow) << 4,
                            Spread(row >> kHalfBits) | Spread(row_8 >> kHalfBits) << 4};
  std::memcpy(words, pair, sizeof(pair));
}

void RepackCodes(const Int4Layer& layer, int64_t first_row, int64_t unit, uint8_t* to) {
  const auto [out, in] = layer.shape();
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
    uint8_t* half = to + chunk / 2 * kInt4HalfCodeBytes;
    for (int64_t t = 0; t < kLanesOfRow; ++t) {
      const int64_t k = (unit * kChunks + chunk) * kLanesOfRow + t;
      if (k >= in / kInt4PerWord) return;
      for (int64_t g = 0; g < kInt4RowPairs; ++g) {
        const int64_t row_8 = first_row + g + kInt4RowPairs;
        PutWords(layer.Word(k, first_row + g), row_8 < out ? layer.Word(k, row_8) : 0,
                 half + (g * kLanesOfRow + t) * kInt4LaneBytes +
                     chunk % 2 * (kWordsAtOnce / 2) * sizeof(uint32_t));
      }
    }
  }
}

void RepackScales(const Int4Layer& layer, const Int4CudaLayout& layout, int64_t first_row,
                  int64_t unit, uint8_t* to) {
  const auto [out, in] = layer.shape();
  uint8_t* zeros = to + layout.scales_per_unit * kInt4ScaleEntryBytes;
  for (int entry = 0; entry < layout.scales_per_unit; ++entry) {
    const int64_t col = unit * kInt4UnitCols + entry * (kInt4UnitCols / layout.scales_per_unit);
    if (col >= in) return;
    const int64_t group = col / layer.spec().group_size;
    const int64_t rows = std::min<int64_t>(kInt4UnitRows, out - first_row);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t place = entry * kInt4UnitRows + i % kInt4RowPairs * 2 + i / kInt4RowPairs;
      const uint16_t scale = layer.ScaleBits(group, first_row + i);
      std::memcpy(to + place * sizeof(scale), &scale, sizeof(scale));
      if (layout.has_zeros) zeros[place] = static_cast<uint8_t>(layer.Zero(group, first_row + i));
    }
  }
}

}  // namespace

Int4CudaLayout::Int4CudaLayout(Shape shape, const Int4Spec& spec)
    : row_blocks((shape.out_features + kInt4UnitRows - 1) / kInt4UnitRows),
      units((shape.in_features + kInt4UnitCols - 1) / kInt4UnitCols),
      scales_per_unit(1),
      has_zeros(!spec.is_symmetric),
      is_half(spec.scale_dtype == DType::kF16) {
  for (const int64_t size : kInt4GroupSizes) {
    if (spec.group_size == size) scales_per_unit = static_cast<int>(kInt4UnitCols / size);
  }
}

uint64_t Int4CudaLayout::read_bytes(Shape shape) const {
  const auto out = static_cast<uint64_t>(shape.out_features);
  const auto in = static_cast<uint64_t>(shape.in_features);
  const uint64_t group = kInt4UnitCols / scales_per_unit;
  const uint64_t per_scale = sizeof(uint16_t) + (has_zeros ? 1 : 0);
  return out * in / 2 + out * ((in + group - 1) / group) * per_scale;
}

void Int4CudaRepack(ThreadPool& pool, const Int4Layer& layer, const Int4CudaLayout& layout,
                    uint8_t* packed) {
  pool.ParallelFor(layout.row_blocks, [&](int, int64_t begin, int64_t end) {
    uint8_t* to = packed + begin * layout.units * layout.record_bytes();
    std::memset(to, 0, (end - begin) * layout.units * layout.record_bytes());
    for (int64_t block = begin; block < end; ++block) {
      for (int64_t unit = 0; unit < layout.units; ++unit) {
        RepackCodes(layer, block * kInt4UnitRows, unit, to);
        RepackScales(layer, layout, block * kInt4UnitRows, unit, to + kInt4UnitCodeBytes);
        to += layout.record_bytes();
      }
    }
  });
}

}  // namespace qtipd
