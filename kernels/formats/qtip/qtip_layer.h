// A QTIP layer in host memory, checked and typed, and its checkpoint tensors.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYER_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"
#include "kernels/api/weight_format.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

// One layer of code `hyb`:
//   W_hat = diag(sv) H_out W_trellis H_in^T diag(su)
// with W_trellis [out_features, in_features] decoded from `trellis` and orthonormal Walsh-Hadamard
// matrices H. The scale of the trellis is folded into `sv`.
struct QtipLayer {
  Shape shape;
  int bits = 0;                   // 2, 3, 4
  std::vector<uint16_t> trellis;  // QtipTrellisWords() words in kernel layout
  std::vector<float> su;          // [in_features]; any reals, +-1 in a fresh layer
  std::vector<float> sv;          // [out_features]; any reals
  std::vector<uint16_t> tlut;     // [512][2] as fp16 bits
  int rcp = 0;                    // tensor-parallel rotation: 0 none
  int tp_rank = 8;                // upstream's default, meaningless where rcp is 0
};

// Reads a layer from its checkpoint tensors (names without a prefix). K is read off the width of
// `trellis`, the shape off SU and SV.
//   trellis  I16 or U16 [out/16 * in/16, 16 * bits]     SU [in], SV [out], tlut [512, 2]: F16,
//   BF16, F32 rcp, tp_rank  integer scalars, may be missing
// Errors, all naming the tensor: TENSOR_MISSING, TENSOR_DTYPE_UNSUPPORTED, TENSOR_SHAPE_INVALID,
// TENSOR_NOT_FINITE, SHAPE_UNSUPPORTED, and Unimplemented/LAYER_UNSUPPORTED for `bias` and for a
// tensor-parallel layer (rcp other than 0).
// Source: checkpoints relaxml/*-QTIP-* on Hugging Face.
absl::StatusOr<QtipLayer> ParseQtipTensors(const TensorMap& tensors);

// The same from a packed layer; also checks that its shape and bits are those of the tensors.
absl::StatusOr<QtipLayer> ParseQtipLayer(const PackedLayer& layer);

// The checkpoint tensors of a layer: trellis I16, SU and SV F32, tlut F16, rcp and tp_rank I64.
TensorMap QtipTensors(const QtipLayer& layer);

// A packed layer of format "qtip". `options` are those it was made with, `bits` and `code` among
// them.
PackedLayer MakePackedQtipLayer(const QtipLayer& layer, Options options);

// Whether the format takes this shape. Errors: SHAPE_UNSUPPORTED naming the nearest that it takes.
absl::Status CheckQtipShape(Shape shape);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYER_H_
