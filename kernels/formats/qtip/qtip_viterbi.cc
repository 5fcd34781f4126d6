#include "kernels/formats/qtip/qtip_viterbi.h"

#include <algorithm>
#include <atomic>

#include "kernels/formats/qtip/qtip_search.h"
#include "kernels/formats/qtip/qtip_state_search.h"
#include "kernels/formats/qtip/qtip_tile_search.h"

namespace qtipd {
namespace {

std::unique_ptr<const QtipSearchTables> MakeTables(const QtipCodeSpec& spec,
                                                   std::span<const uint16_t> tlut,
                                                   QtipEncoder::Batches batches) {
  if (QtipSearchesManyTiles(spec, batches)) return MakeQtipTileSearchTables(spec.bits, tlut);
  return MakeQtipStateSearchTables(spec, tlut);
}

}  // namespace

QtipEncoder::QtipEncoder(const QtipCodeSpec& spec, std::span<const uint16_t> tlut, Batches batches)
    : spec_(spec), batches_(batches), tables_(MakeTables(spec, tlut, batches)) {}

QtipEncoder::~QtipEncoder() = default;

bool QtipEncoder::Encode(ThreadPool& pool, std::span<const float> samples,
                         std::span<uint16_t> states,
                         const std::function<bool(int64_t)>& tiles_done) {
  const int threads = QtipSearchThreads(spec_, pool.threads(), batches_);
  MakeWorkers(threads);
  const int64_t batch = workers_[0]->batch_tiles();
  const int64_t tiles = static_cast<int64_t>(samples.size()) / kQtipTileWeights;
  std::atomic<int64_t> next = 0;
  std::atomic<bool> is_stopped = false;
  // No more iterations than threads: each thread has one at most, and its number is the worker.
  pool.ParallelFor(threads, [&](int, int64_t worker, int64_t) {
    for (;;) {
      const int64_t first = next.fetch_add(batch);
      if (first >= tiles || is_stopped) return;
      const int64_t count = std::min(batch, tiles - first);
      EncodeWith(static_cast<int>(worker),
                 samples.subspan(first * kQtipTileWeights, count * kQtipTileWeights),
                 states.subspan(first * spec_.steps(), count * spec_.steps()));
      if (!tiles_done(count)) is_stopped = true;
    }
  });
  return !is_stopped;
}

void QtipEncoder::MakeWorkers(int count) {
  while (static_cast<int>(workers_.size()) < count) workers_.push_back(tables_->MakeSearch());
}

void QtipEncoder::EncodeWith(int worker, std::span<const float> samples,
                             std::span<uint16_t> states) {
  QtipSearch& mine = *workers_[worker];
  const int64_t tiles = static_cast<int64_t>(samples.size()) / kQtipTileWeights;
  for (int64_t first = 0; first < tiles; first += mine.batch_tiles()) {
    mine.EncodeBatch(static_cast<int>(std::min<int64_t>(mine.batch_tiles(), tiles - first)),
                     samples.data() + first * kQtipTileWeights,
                     states.data() + first * spec_.steps());
  }
}

int64_t QtipEncoder::wide_tiles() const {
  int64_t tiles = 0;
  for (const auto& worker : workers_) tiles += worker->wide_tiles();
  return tiles;
}

uint64_t QtipEncoder::ScratchBytes(const QtipCodeSpec& spec, int threads, Batches batches) {
  // Tables: the decoded weights and two orders of the states.
  const uint64_t tables = uint64_t(spec.states()) * (spec.vector_dim * sizeof(float) + 4);
  const bool is_by_tile = QtipSearchesManyTiles(spec, batches);
  const uint64_t search = is_by_tile ? QtipTileSearchBytes(spec.bits) : QtipStateSearchBytes(spec);
  return threads * search + tables;
}

int QtipSearchThreads(const QtipCodeSpec& spec, int threads, QtipEncoder::Batches batches) {
  constexpr uint64_t kSearchBytes = uint64_t{860} << 20;
  while (threads > 1 && QtipEncoder::ScratchBytes(spec, threads, batches) > kSearchBytes) --threads;
  return threads;
}

bool QtipSearchesManyTiles(const QtipCodeSpec& spec, QtipEncoder::Batches batches) {
  return batches == QtipEncoder::Batches::kMany && QtipHasKernelLayout(spec);
}

double QtipPathCost(std::span<const float> samples, std::span<const uint16_t> states,
                    const QtipTable& table) {
  double cost = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const size_t step = i / table.vector_dim;
    const double weight = table.weights[states[step] * table.vector_dim + i % table.vector_dim];
    const double error = samples[i] - weight;
    cost += error * error;
  }
  return cost;
}

}  // namespace qtipd
