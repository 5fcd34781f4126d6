#include "kernels/formats/lut/lut_cpu_layout.h"

#include <cstring>

namespace qtipd {
namespace {

void PutWord(uint8_t* chunk, int word, int lane, uint32_t bits) {
  uint8_t* at = chunk + 4 * (kLutLanes * word + lane);
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  value |= bits;
  std::memcpy(at, &value, sizeof value);
}

// Index `index` as column `column` of a chunk that was all zeros.
void PutIndex(int bits, int64_t column, uint32_t index, uint8_t* chunk) {
  if (bits == 8) {
    chunk[column / 64 * 64 + LutBytePosition(static_cast<int>(column % 64))] =
        static_cast<uint8_t>(index);
    return;
  }
  const int field = static_cast<int>(column / kLutLanes);
  const int lane = static_cast<int>(column % kLutLanes);
  if (bits != 3) return PutWord(chunk, 0, lane, index << (bits * field));
  if (field < 30) return PutWord(chunk, field / 10, lane, index << (3 * (field % 10)));
  // Bits 0 to 2 of fields 30 and 31 as bits 0 to 5, two in each word.
  const uint32_t rest = index << (3 * (field - 30));
  for (int word = 0; word < 3; ++word) PutWord(chunk, word, lane, (rest >> (2 * word) & 3) << 30);
}

void RepackSegment(const LutLayer& layer, const LutCpuLayout& layout, int64_t group,
                   int64_t segment, uint8_t* packed) {
  const LutSpec& spec = layout.spec;
  const int64_t chunk_cols = LutChunkCols(spec.bits);
  const int64_t first_col = segment * kLutSegmentCols;
  const int64_t last_col =
      std::min(first_col + layout.segment_cols(segment), layer.shape.in_features);
  const int64_t blocks = layout.segment_blocks(segment);
  std::memset(packed, 0, layout.segment_bytes(segment));
  for (int64_t r = 0; r < kLutGroupRows; ++r) {
    const int64_t row = group * kLutGroupRows + r;
    if (row >= layer.shape.out_features) return;
    if (blocks > 0) {
      const int64_t all = spec.row_blocks(layer.shape.in_features);
      const int64_t first = first_col / spec.block;
      std::memcpy(packed + 2 * r * blocks, layer.scales.data() + row * all + first,
                  2 * std::min(blocks, all - first));
    }
    uint8_t* chunks = packed + layout.scales_bytes(segment);
    for (int64_t col = first_col; col < last_col; ++col) {
      const int64_t chunk = (col - first_col) / chunk_cols;
      PutIndex(spec.bits, (col - first_col) % chunk_cols, LutIndex(layer.row(row), spec.bits, col),
               chunks + (chunk * kLutGroupRows + r) * LutChunkBytes(spec.bits));
    }
  }
}

}  // namespace

LutCpuLayout::LutCpuLayout(const LutSpec& spec, Shape shape)
    : spec(spec),
      shape(shape),
      padded_cols(RoundUp(shape.in_features, LutChunkCols(spec.bits))),
      groups((shape.out_features + kLutGroupRows - 1) / kLutGroupRows),
      tables_bytes(spec.is_per_channel ? kLutGroupRows * LutTableBytes(spec.bits) : 0) {
  group_bytes = tables_bytes;
  for (int64_t segment = 0; segment < segments(); ++segment) group_bytes += segment_bytes(segment);
}

void WriteLutTable(const LutSpec& spec, const float* codebook, uint8_t* table) {
  const int64_t entries = LutTableBytes(spec.bits) / 2;
  for (int64_t i = 0; i < entries; ++i) {
    const uint16_t bits = FloatToHalf(codebook[i % spec.entries()]);
    if (spec.bits == 8) {
      table[i] = static_cast<uint8_t>(bits);
      table[entries + i] = static_cast<uint8_t>(bits >> 8);
    } else {
      std::memcpy(table + 2 * i, &bits, sizeof bits);
    }
  }
}

void RepackLut(const LutLayer& layer, const LutCpuLayout& layout, int64_t begin, int64_t end,
               uint8_t* packed) {
  for (int64_t group = begin; group < end; ++group) {
    uint8_t* at = packed + group * layout.group_bytes;
    std::memset(at, 0, layout.tables_bytes);
    for (int64_t r = 0; layout.tables_bytes > 0 && r < kLutGroupRows; ++r) {
      const int64_t row = std::min(group * kLutGroupRows + r, layer.shape.out_features - 1);
      WriteLutTable(layout.spec, layer.codebook_of(row), at + r * LutTableBytes(layout.spec.bits));
    }
    at += layout.tables_bytes;
    for (int64_t segment = 0; segment < layout.segments(); ++segment) {
      RepackSegment(layer, layout, group, segment, at);
      at += layout.segment_bytes(segment);
    }
  }
}

}  // namespace qtipd
