#include "kernels/formats/qtip/qtip_packing.h"

#include <array>
#include <bit>

namespace qtipd {
namespace {

static_assert(std::endian::native == std::endian::little, "packed words are little-endian");

using Chunks = std::array<uint32_t, kQtipTileLanes>;

// A lane's chunk is the top 2 * bits bits of its four states, first step highest.
Chunks ChunksFromStates(std::span<const uint16_t, kQtipSteps> states, int bits) {
  const int step_bits = QtipStepBits(bits);
  Chunks chunks{};
  for (int step = 0; step < kQtipSteps; ++step) {
    uint32_t& chunk = chunks[step / kQtipStepsPerLane];
    chunk = (chunk << step_bits) | (states[step] >> (kQtipStateBits - step_bits));
  }
  return chunks;
}

void StatesFromChunks(const Chunks& chunks, int bits, std::span<uint16_t, kQtipSteps> states) {
  for (int step = 0; step < kQtipSteps; ++step) {
    const int lane = step / kQtipStepsPerLane;
    states[step] = static_cast<uint16_t>(QtipWindow(
        chunks[lane], chunks[(lane + 1) % kQtipTileLanes], bits, step % kQtipStepsPerLane));
  }
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

void QtipStatesFromPlain(std::span<const uint16_t> words, int bits,
                         std::span<uint16_t, kQtipSteps> states) {
  StatesFromChunks(ChunksFromPlain(words, bits), bits, states);
}

void QtipPlainFromStates(std::span<const uint16_t, kQtipSteps> states, int bits,
                         std::span<uint16_t> words) {
  PlainFromChunks(ChunksFromStates(states, bits), bits, words);
}

void QtipPackTile(std::span<const uint16_t, kQtipSteps> states, int bits, Shape shape,
                  int64_t tile_row, int64_t tile_col, std::span<uint16_t> trellis) {
  KernelFromChunks(ChunksFromStates(states, bits), bits, shape.in_features / kQtipTileCols,
                   tile_row, tile_col, trellis);
}

void QtipUnpackTile(std::span<const uint16_t> trellis, int bits, Shape shape, int64_t tile_row,
                    int64_t tile_col, std::span<uint16_t, kQtipSteps> states) {
  StatesFromChunks(
      ChunksFromKernel(trellis, bits, shape.in_features / kQtipTileCols, tile_row, tile_col), bits,
      states);
}

std::vector<uint16_t> QtipKernelFromPlain(std::span<const uint16_t> plain, int bits, Shape shape) {
  const int64_t tile_cols = shape.in_features / kQtipTileCols;
  const int64_t tiles = shape.out_features / kQtipTileRows * tile_cols;
  std::vector<uint16_t> kernel(plain.size());
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const auto words = plain.subspan(tile * QtipTileWords(bits), QtipTileWords(bits));
    KernelFromChunks(ChunksFromPlain(words, bits), bits, tile_cols, tile / tile_cols,
                     tile % tile_cols, kernel);
  }
  return kernel;
}

std::vector<uint16_t> QtipPlainFromKernel(std::span<const uint16_t> kernel, int bits, Shape shape) {
  const int64_t tile_cols = shape.in_features / kQtipTileCols;
  const int64_t tiles = shape.out_features / kQtipTileRows * tile_cols;
  std::vector<uint16_t> plain(kernel.size());
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const auto words = std::span(plain).subspan(tile * QtipTileWords(bits), QtipTileWords(bits));
    PlainFromChunks(ChunksFromKernel(kernel, bits, tile_cols, tile / tile_cols, tile % tile_cols),
                    bits, words);
  }
  return plain;
}

}  // namespace qtipd
