#include "kernels/formats/qtip/qtip_panel_encoder.h"

#include <algorithm>

#include "kernels/api/status.h"
#include "kernels/cpu/pieces.h"
#include "kernels/formats/qtip/qtip_packing.h"

namespace qtipd {
namespace {

// Tiles searched in one call where none depends on another: so many that threads which finish early
// wait little.
constexpr int64_t kBatchTiles = int64_t{1} << 15;

// Tiles below each other that a thread takes through all columns: what one batch of the tile search
// holds.
constexpr int64_t kMaxStripTiles = 16;

// Tiles of one piece of work beside the search.
constexpr int64_t kPieceTiles = 64;
static_assert(kPieceTiles * kQtipTileWeights * 16 <= kPieceElements);

double SumOfSquares(const float* values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double{values[i]} * values[i];
  return sum;
}

// A zero matrix is reproduced exactly: its scale is zero.
double Ratio(double error, double energy) { return energy > 0 ? error / energy : 0; }

}  // namespace

QtipPanelEncoder::QtipPanelEncoder(ThreadPool& pool, const Progress& progress,
                                   const QtipCodeSpec& spec, std::span<const uint16_t> tlut,
                                   QtipEncoder::Batches batches)
    : pool_(pool),
      progress_(progress),
      spec_(spec),
      batches_(batches),
      table_(MakeQtipTable(spec, tlut)),
      encoder_(spec, tlut, batches) {}

absl::StatusOr<double> QtipPanelEncoder::Encode(const BlockLdl* factor, const QtipPanel& panel,
                                                const TilesDone& tiles_done) {
  return factor == nullptr ? EncodeWithoutFeedback(panel, tiles_done)
                           : EncodeWithFeedback(*factor, panel, tiles_done);
}

absl::Status QtipPanelEncoder::Search(std::span<const float> samples, std::span<uint16_t> states,
                                      const TilesDone& tiles_done) {
  const bool is_complete = encoder_.Encode(pool_, samples, states, [&](int64_t tiles) {
    tiles_done(tiles);
    return !progress_.IsCancelled();
  });
  return is_complete ? absl::OkStatus() : absl::CancelledError("cancelled");
}

// Samples of the tile at `corner` of a matrix with row stride `stride`.
void QtipPanelEncoder::Gather(const float* corner, int64_t stride, float* samples) const {
  for (int p = 0; p < kQtipTileWeights; ++p) {
    const QtipElement at = QtipElementOf(spec_, p);
    samples[p] = corner[at.row * stride + at.col];
  }
}

// The weights of a tile's states, [16][16].
void QtipPanelEncoder::Scatter(const uint16_t* states, float* decoded) const {
  const int dim = spec_.vector_dim;
  for (int p = 0; p < kQtipTileWeights; ++p) {
    const QtipElement at = QtipElementOf(spec_, p);
    decoded[at.row * kQtipTileCols + at.col] = table_.weights[states[p / dim] * dim + p % dim];
  }
}

void QtipPanelEncoder::Pack(const QtipPanel& panel, int64_t tile, const uint16_t* states) const {
  if (panel.trellis.empty()) return;
  const int64_t tile_cols = panel.shape.in_features / kQtipTileCols;
  QtipPackTile(std::span(states, spec_.steps()), spec_, panel.shape, tile / tile_cols,
               tile % tile_cols, panel.trellis);
}

// H is the identity: all tiles are independent, and go row by row in batches.
absl::StatusOr<double> QtipPanelEncoder::EncodeWithoutFeedback(const QtipPanel& panel,
                                                               const TilesDone& tiles_done) {
  const int64_t cols = panel.shape.in_features;
  const int64_t tile_cols = cols / kQtipTileCols;
  const int64_t tiles = panel.shape.out_features / kQtipTileRows * tile_cols;
  const int64_t batch = std::min(kBatchTiles, tiles);
  std::vector<float> samples(batch * kQtipTileWeights);
  std::vector<uint16_t> states(batch * spec_.steps());
  std::vector<double> errors(batch), energies(batch);
  double error = 0, energy = 0;
  for (int64_t first = 0; first < tiles; first += batch) {
    const int64_t count = std::min(batch, tiles - first);
    QTIPD_RETURN_IF_ERROR(
        ForPieces(pool_, progress_, count, kPieceTiles, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t row = (first + i) / tile_cols * kQtipTileRows;
            const int64_t col = (first + i) % tile_cols * kQtipTileCols;
            Gather(&panel.weights[row * cols + col], cols, &samples[i * kQtipTileWeights]);
          }
        }));
    QTIPD_RETURN_IF_ERROR(Search(std::span(samples).first(count * kQtipTileWeights),
                                 std::span(states).first(count * spec_.steps()), tiles_done));
    QTIPD_RETURN_IF_ERROR(
        ForPieces(pool_, progress_, count, kPieceTiles, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const float* tile = &samples[i * kQtipTileWeights];
            const std::span path(&states[i * spec_.steps()], spec_.steps());
            energies[i] = SumOfSquares(tile, kQtipTileWeights);
            errors[i] = QtipPathCost(std::span(tile, kQtipTileWeights), path, table_);
            Pack(panel, first + i, path.data());
          }
        }));
    for (int64_t i = 0; i < count; ++i) {
      error += errors[i];
      energy += energies[i];
    }
  }
  return Ratio(error, energy);
}

LdlqStrips QtipPanelEncoder::Strips(const QtipCodeSpec& spec, Shape shape, int threads,
                                    QtipEncoder::Batches batches) {
  const int slots = QtipSearchThreads(spec, threads, batches);
  const int64_t tile_rows = shape.out_features / kQtipTileRows;
  int64_t tiles = kMaxStripTiles;
  // Single tiles are searched as fast as many, so that all threads get a strip. Packing takes pairs
  // of tile rows.
  if (!QtipSearchesManyTiles(spec, batches)) {
    tiles = std::clamp<int64_t>((tile_rows + slots - 1) / slots, 1, kMaxStripTiles);
    tiles += tiles % 2;
  }
  return {.rows = tiles * kQtipTileRows, .slots = slots};
}

absl::StatusOr<double> QtipPanelEncoder::EncodeWithFeedback(const BlockLdl& factor,
                                                            const QtipPanel& panel,
                                                            const TilesDone& tiles_done) {
  const int64_t tile_cols = panel.shape.in_features / kQtipTileCols;
  const LdlqStrips strips = Strips(spec_, panel.shape, pool_.threads(), batches_);
  encoder_.MakeWorkers(strips.slots);
  struct Scratch {
    std::vector<float> samples;
    std::vector<uint16_t> states;
  };
  std::vector<Scratch> scratch(strips.slots);
  const auto quantize = [&](const LdlqBlock& at, std::span<const float> target,
                            std::span<float> decoded) -> absl::Status {
    auto& [samples, states] = scratch[at.slot];
    const int64_t tiles = static_cast<int64_t>(target.size()) / kQtipTileWeights;
    samples.resize(tiles * kQtipTileWeights);
    states.resize(tiles * spec_.steps());
    for (int64_t tile = 0; tile < tiles; ++tile) {
      Gather(&target[tile * kQtipTileWeights], kQtipTileCols, &samples[tile * kQtipTileWeights]);
    }
    encoder_.EncodeWith(at.slot, samples, states);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const uint16_t* path = &states[tile * spec_.steps()];
      Scatter(path, &decoded[tile * kQtipTileWeights]);
      Pack(panel, (at.first_row / kQtipTileRows + tile) * tile_cols + at.block, path);
    }
    tiles_done(tiles);
    return absl::OkStatus();
  };
  QTIPD_ASSIGN_OR_RETURN(
      const LdlqEnergies energies,
      RunLdlq(pool_, strips, progress_, factor, panel.weights, panel.shape, quantize));
  return Ratio(energies.error, energies.weights);
}

uint64_t QtipPanelEncoder::Bytes(const QtipCodeSpec& spec, Shape shape, bool has_hessian,
                                 int threads, QtipEncoder::Batches batches) {
  const int64_t tile_rows = shape.out_features / kQtipTileRows;
  const LdlqStrips strips = Strips(spec, shape, threads, batches);
  const int64_t tiles = has_hessian
                            ? strips.slots * strips.rows / kQtipTileRows
                            : std::min(kBatchTiles, tile_rows * shape.in_features / kQtipTileCols);
  const uint64_t tile_bytes =
      sizeof(float) * kQtipTileWeights + sizeof(uint16_t) * spec.steps() + 2 * sizeof(double);
  const uint64_t feedback = has_hessian ? QtipLdlqBytes(shape, strips) : 0;
  return tile_bytes * tiles + feedback +
         QtipEncoder::ScratchBytes(spec, QtipSearchThreads(spec, threads, batches), batches);
}

}  // namespace qtipd
