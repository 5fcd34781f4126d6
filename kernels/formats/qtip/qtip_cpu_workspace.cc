#include "kernels/formats/qtip/qtip_cpu_workspace.h"

#include <algorithm>

#include "kernels/formats/qtip/qtip_block_ldl.h"
#include "kernels/formats/qtip/qtip_incoherence.h"
#include "kernels/formats/qtip/qtip_panel_encoder.h"
#include "kernels/formats/qtip/qtip_scale_search.h"

namespace qtipd {
namespace {

// Signs, tables, stacks of threads and the packing buffers of OpenBLAS.
constexpr uint64_t kFixedBytes = uint64_t{32} << 20;

}  // namespace

uint64_t QtipCpuWorkspaceBytes(const QtipCodeSpec& spec, Shape shape, bool has_hessian,
                               bool finds_scale, int threads) {
  using Batches = QtipEncoder::Batches;
  // One step after the other.
  uint64_t most = QtipRotationBytes(shape, threads);
  if (has_hessian) most = std::max(most, QtipFactorBytes(shape.in_features));
  if (finds_scale) {
    const int64_t strips = QtipSampleStrips(shape).size();
    const Shape sample = {strips * kQtipTileRows, shape.in_features};
    most = std::max(most,
                    sizeof(float) * sample.out_features * sample.in_features +
                        QtipPanelEncoder::Bytes(spec, sample, has_hessian, threads, Batches::kFew));
  }
  most = std::max(most, QtipPanelEncoder::Bytes(spec, shape, has_hessian, threads, Batches::kMany));
  const uint64_t pivots = has_hessian ? sizeof(float) * kQtipTileCols * shape.in_features : 0;
  return most + pivots + kFixedBytes;
}

}  // namespace qtipd
