// The encoder's middle on the CPU: rotated weights in the scale of the table in, a trellis out.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_PANEL_ENCODER_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_PANEL_ENCODER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/qtip/qtip_block_ldl.h"
#include "kernels/formats/qtip/qtip_code.h"
#include "kernels/formats/qtip/qtip_ldlq.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "kernels/formats/qtip/qtip_viterbi.h"

namespace qtipd {

// Row strips of 16 weights that are quantized together: the whole matrix or a sample of it.
struct QtipPanel {
  Shape shape;
  // [out, in]; where the error is fed back, W - decoded takes its place.
  std::span<float> weights;
  std::span<uint16_t> trellis;  // of `shape`, out; empty where nobody wants it
};

// Encodes panels of one matrix with one code, each tile packed as soon as it has been searched.
class QtipPanelEncoder {
 public:
  // Told from the working threads how many tiles have just been finished.
  using TilesDone = std::function<void(int64_t tiles)>;

  // `pool` and `progress` outlive it; `tlut` holds spec.table_values() fp16 bits, copied.
  QtipPanelEncoder(ThreadPool& pool, const Progress& progress, const QtipCodeSpec& spec,
                   std::span<const uint16_t> tlut, QtipEncoder::Batches batches);

  // Returns tr(E H E^T) / tr(W H W^T), 0 for a panel of zeros. `factor` is that of the rotated
  // Hessian, null for the identity. Blocks. Errors: Cancelled.
  absl::StatusOr<double> Encode(const BlockLdl* factor, const QtipPanel& panel,
                                const TilesDone& tiles_done);

  // Upper bound of the memory that Encode takes for a panel of `shape`, that of the search on
  // `threads` threads included.
  static uint64_t Bytes(const QtipCodeSpec& spec, Shape shape, bool has_hessian, int threads,
                        QtipEncoder::Batches batches);

 private:
  absl::StatusOr<double> EncodeWithoutFeedback(const QtipPanel& panel, const TilesDone& tiles_done);
  absl::StatusOr<double> EncodeWithFeedback(const BlockLdl& factor, const QtipPanel& panel,
                                            const TilesDone& tiles_done);
  // How the rows of a panel are divided among threads where errors are fed back.
  static LdlqStrips Strips(const QtipCodeSpec& spec, Shape shape, int threads,
                           QtipEncoder::Batches batches);
  absl::Status Search(std::span<const float> samples, std::span<uint16_t> states,
                      const TilesDone& tiles_done);
  void Gather(const float* corner, int64_t stride, float* samples) const;
  void Scatter(const uint16_t* states, float* decoded) const;
  void Pack(const QtipPanel& panel, int64_t tile, const uint16_t* states) const;

  ThreadPool& pool_;
  const Progress& progress_;
  const QtipCodeSpec spec_;
  const QtipEncoder::Batches batches_;
  const QtipTable table_;
  QtipEncoder encoder_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_PANEL_ENCODER_H_
