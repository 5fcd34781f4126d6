#include "kernels/formats/qtip/qtip_packing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace qtipd {
namespace {

static_assert(std::endian::native == std::endian::little, "packed words are little-endian");

constexpr int kMaxTileWords = QtipTileWords(kQtipMaxBits);

using Chunks = std::array<uint32_t, kQtipTileLanes>;

// Bit `offset` of a tile's circular string and the 15 after it.
uint32_t Window16(std::span<const uint16_t> words, int offset) {
  const size_t word = offset / 16;
  const uint32_t next = words[word + 1 == words.size() ? 0 : word + 1];
  return ((uint32_t{words[word]} << 16 | next) >> (16 - offset % 16)) & 0xFFFF;
}

// Byte i of the string is the high half of word i/2 for even i, the low half for odd i.
Chunks ChunksFromPlain(std::span<const uint16_t> words, int bits) {
  Chunks chunks{};
  for (int i = 0; i < QtipTileBytes(bits); ++i) {
    const uint32_t byte = (words[i / 2] >> (i % 2 == 0 ? 8 : 0)) & 0xFF;
    chunks[i / bits] = (chunks[i / bits] << 8) | byte;
  }
  return chunks;
}

void PlainFromChunks(const Chunks& chunks, int bits, std::span<uint16_t> words) {
  for (int i = 0; i < QtipTileBytes(bits); ++i) {
    const uint32_t byte = (chunks[i / bits] >> (8 * (bits - 1 - i % bits))) & 0xFF;
    words[i / 2] = static_cast<uint16_t>(i % 2 == 0 ? byte << 8 : words[i / 2] | byte);
  }
}

Chunks ChunksFromKernel(std::span<const uint16_t> trellis, int bits, int64_t tile_cols,
                        int64_t tile_row, int64_t tile_col) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(trellis.data());
  Chunks chunks{};
  for (int lane = 0; lane < kQtipTileLanes; ++lane) {
    chunks[lane] =
        QtipLoadChunk(bytes + QtipChunkOffset(bits, tile_cols, tile_row, tile_col, lane), bits);
  }
  return chunks;
}

void KernelFromChunks(const Chunks& chunks, int bits, int64_t tile_cols, int64_t tile_row,
                      int64_t tile_col, std::span<uint16_t> trellis) {
  auto* bytes = reinterpret_cast<uint8_t*>(trellis.data());
  for (int lane = 0; lane < kQtipTileLanes; ++lane) {
    uint8_t* chunk = bytes + QtipChunkOffset(bits, tile_cols, tile_row, tile_col, lane);
    for (int i = 0; i < bits; ++i) chunk[i] = static_cast<uint8_t>(chunks[lane] >> (8 * i));
  }
}

}  // namespace

void QtipStatesFromPlain(std::span<const uint16_t> words, const QtipCodeSpec& spec,
                         std::span<uint16_t> states) {
  for (int step = 0; step < spec.steps(); ++step) {
    states[step] = static_cast<uint16_t>(Window16(words, step * spec.step_bits()) >>
                                         (kQtipStateBits - spec.state_bits));
  }
}

void QtipPlainFromStates(std::span<const uint16_t> states, const QtipCodeSpec& spec,
                         std::span<uint16_t> words) {
  uint32_t bits = 0;
  int count = 0;
  size_t word = 0;
  for (int step = 0; step < spec.steps(); ++step) {
    bits = bits << spec.step_bits() | states[step] >> (spec.state_bits - spec.step_bits());
    count += spec.step_bits();
    if (count < 16) continue;
    count -= 16;
    words[word++] = static_cast<uint16_t>(bits >> count);
  }
}

void QtipPackTile(std::span<const uint16_t> states, const QtipCodeSpec& spec, Shape shape,
                  int64_t tile_row, int64_t tile_col, std::span<uint16_t> trellis) {
  const int64_t tile_cols = shape.in_features / kQtipTileCols;
  const int tile_words = QtipTileWords(spec.bits);
  std::array<uint16_t, kMaxTileWords> plain;
  QtipPlainFromStates(states, spec, plain);
  const auto words = std::span(plain).first(tile_words);
  if (QtipHasKernelLayout(spec)) {
    KernelFromChunks(ChunksFromPlain(words, spec.bits), spec.bits, tile_cols, tile_row, tile_col,
                     trellis);
  } else {
    std::ranges::copy(words, trellis.begin() + (tile_row * tile_cols + tile_col) * tile_words);
  }
}

void QtipUnpackTile(std::span<const uint16_t> trellis, const QtipCodeSpec& spec, Shape shape,
                    int64_t tile_row, int64_t tile_col, std::span<uint16_t> states) {
  const int64_t tile_cols = shape.in_features / kQtipTileCols;
  const int tile_words = QtipTileWords(spec.bits);
  if (!QtipHasKernelLayout(spec)) {
    const int64_t first = (tile_row * tile_cols + tile_col) * tile_words;
    return QtipStatesFromPlain(trellis.subspan(first, tile_words), spec, states);
  }
  std::array<uint16_t, kMaxTileWords> plain;
  PlainFromChunks(ChunksFromKernel(trellis, spec.bits, tile_cols, tile_row, tile_col), spec.bits,
                  plain);
  QtipStatesFromPlain(std::span(plain).first(tile_words), spec, states);
}

}  // namespace qtipd
