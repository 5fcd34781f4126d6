// The encoder's search: the path through the trellis whose weights are nearest to the samples of a
// tile, with the end joined to the start (tail-biting), over all states.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_VITERBI_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_VITERBI_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/qtip/qtip_code.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {

class QtipSearch;
class QtipSearchTables;

// Finds states for tiles of samples. Two passes of the Viterbi algorithm a tile: a free one around
// the place where the sequence is joined into a circle chooses the bits there, one restricted to
// these bits gives the path. Costs are 16-bit integers, and fp32 where these do not do.
//
// Deterministic: the same states for any number of threads and any instruction set.
// Source: QTIP (Tseng et al., 2024, arXiv 2406.11235), algorithm 4.
class QtipEncoder {
 public:
  // How many tiles a call of Encode brings. With few, code `hyb` is not searched a vector of tiles
  // at a time; near ties may then be decided otherwise.
  enum class Batches { kMany, kFew };

  // `tlut` holds spec.table_values() fp16 bits, copied.
  QtipEncoder(const QtipCodeSpec& spec, std::span<const uint16_t> tlut,
              Batches batches = Batches::kMany);
  ~QtipEncoder();
  QtipEncoder(const QtipEncoder&) = delete;
  QtipEncoder& operator=(const QtipEncoder&) = delete;

  // Encodes tiles on as many threads of `pool` as QtipSearchThreads allows, and blocks.
  //   samples  [tiles][256] in sequence order (QtipElementOf), in the scale of the table
  //   states   [tiles][spec.steps()], overwritten
  // `tiles_done` is called from the working threads with the number of tiles just finished; once it
  // returns false no further tile is begun, Encode returns false and `states` is incomplete.
  // Not to be called from two threads at a time: scratch memory is kept between calls.
  bool Encode(ThreadPool& pool, std::span<const float> samples, std::span<uint16_t> states,
              const std::function<bool(int64_t)>& tiles_done);

  // Makes scratch memory for the workers [0, count).
  void MakeWorkers(int count);
  // Encodes tiles on the calling thread with the memory of `worker`, which nobody else uses
  // meanwhile.
  void EncodeWith(int worker, std::span<const float> samples, std::span<uint16_t> states);

  // Tiles that needed fp32 costs so far.
  int64_t wide_tiles() const;

  // Upper bound of the scratch memory of Encode on `threads` threads, in bytes.
  static uint64_t ScratchBytes(const QtipCodeSpec& spec, int threads,
                               Batches batches = Batches::kMany);

 private:
  const QtipCodeSpec spec_;
  const Batches batches_;
  std::unique_ptr<const QtipSearchTables> tables_;
  std::vector<std::unique_ptr<QtipSearch>> workers_;
};

// Threads of `threads` that search: as many as 860 MiB of scratch memory serve.
int QtipSearchThreads(const QtipCodeSpec& spec, int threads, QtipEncoder::Batches batches);

// Whether the search of `spec` takes a vector of tiles at a time.
bool QtipSearchesManyTiles(const QtipCodeSpec& spec, QtipEncoder::Batches batches);

// Squared error of a tile's decoded states against its samples, in double precision.
double QtipPathCost(std::span<const float> samples, std::span<const uint16_t> states,
                    const QtipTable& table);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_VITERBI_H_
