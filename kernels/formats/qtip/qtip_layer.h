// A QTIP layer in host memory, checked and typed, and its checkpoint tensors.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYER_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"
#include "kernels/api/weight_format.h"
#include "kernels/formats/qtip/qtip_code.h"
#include "kernels/formats/qtip/qtip_hadamard.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

// The tensors that a layer can have; more of them are a layer that is not understood.
inline constexpr std::array<const char*, 6> kQtipTensorNames = {"trellis", "SU",  "SV",
                                                                "tlut",    "rcp", "tp_rank"};

// Shards where a checkpoint has no `tp_rank`, as upstream.
inline constexpr int kQtipDefaultTpRank = 8;

// One layer:
//   W_hat = diag(sv) H_out W_trellis H_in^T diag(su)
// with W_trellis [out_features, in_features] decoded from `trellis` and orthonormal Hadamard
// matrices H (qtip_hadamard.h). The scale of the trellis is folded into `sv`.
//
// In a layer that was quantized for tensor parallelism, the side that is split rotates each of
// `tp_rank` shards by itself, and has a scale for each: folded into `su` where the inputs are split
// (rcp 1), into `sv` where the outputs are (rcp 2).
struct QtipLayer {
  Shape shape;
  QtipCodeSpec spec;
  // QtipTrellisWords() words, in kernel layout where QtipHasKernelLayout(spec), plain otherwise.
  std::vector<uint16_t> trellis;
  std::vector<float> su;       // [in_features]; any reals, +-1 in a fresh layer
  std::vector<float> sv;       // [out_features]; any reals
  std::vector<uint16_t> tlut;  // spec.table_values() fp16 bits; empty for a code without a table
  int rcp = 0;                 // rotations in shards: 0 none, 1 of the inputs, 2 of the outputs
  int tp_rank = kQtipDefaultTpRank;  // shards; meaningless where rcp is 0

  QtipRotation input_rotation() const;
  QtipRotation output_rotation() const;
};

// What is known of a layer's code beside its tensors; what is not is read off `tlut`.
struct QtipCodeChoice {
  std::optional<QtipCode> code;
  std::optional<int> state_bits;
  std::optional<int> vector_dim;
};

// Reads a layer from its checkpoint tensors (names without a prefix). K is read off the width of
// `trellis`, the shape off SU and SV, an unknown code off the shape of `tlut`: [512, 2] is hyb,
// [65536, V] lut, [2^Q] with Q to 15 quantlut. State bits are 16 unless chosen.
//   trellis  I16 or U16 [out/16 * in/16, 16 * bits]     SU [in], SV [out], tlut: F16, BF16, F32
//   rcp, tp_rank  integer scalars, may be missing: 0 and kQtipDefaultTpRank
// Errors, all naming the tensor or the option: TENSOR_MISSING, TENSOR_DTYPE_UNSUPPORTED,
// TENSOR_SHAPE_INVALID, TENSOR_NOT_FINITE, TENSOR_VALUE_INVALID (rcp, and a tp_rank whose shards
// cannot be rotated), CODE_REQUIRED, OPTION_INVALID, SHAPE_UNSUPPORTED,
// Unimplemented/LAYER_UNSUPPORTED for `bias`, and TENSOR_UNKNOWN for any other tensor.
// Source: checkpoints relaxml/*-QTIP-* on Hugging Face.
absl::StatusOr<QtipLayer> ParseQtipTensors(const TensorMap& tensors,
                                           const QtipCodeChoice& choice = {});

// The same from a packed layer; also checks that its shape and options are those of the tensors.
absl::StatusOr<QtipLayer> ParseQtipLayer(const PackedLayer& layer);

// The checkpoint tensors of a layer: trellis I16, SU and SV F32, tlut F16 where the code has one,
// rcp and tp_rank I64.
TensorMap QtipTensors(QtipLayer layer);

// A packed layer of format "qtip". `options` are those it was made with, the
// code's among them.
PackedLayer MakePackedQtipLayer(QtipLayer layer, Options options);

// Whether the format takes this shape, each side rotated as a whole. Errors: SHAPE_UNSUPPORTED
// naming the nearest that it takes.
absl::Status CheckQtipShape(Shape shape);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYER_H_
