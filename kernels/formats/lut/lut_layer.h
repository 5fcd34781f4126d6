// A layer of format "lut" read off its tensors and checked.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_LAYER_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_LAYER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/formats/lut/lut_spec.h"

namespace qtipd {

struct LutLayer {
  Shape shape;
  LutSpec spec;
  HostTensor indices;            // bytes [out_features, row_bytes]
  std::vector<float> codebook;   // [codebooks, entries], each a number of fp16
  std::vector<uint16_t> scales;  // [out_features, row_blocks], bits of scale_dtype

  const uint8_t* row(int64_t row) const {
    return reinterpret_cast<const uint8_t*>(indices.bytes().data()) +
           row * spec.row_bytes(shape.in_features);
  }
  const float* codebook_of(int64_t row) const {
    return codebook.data() + (spec.is_per_channel ? row * spec.entries() : 0);
  }
  // Of the block that `column` is in; 1 where there are no scales.
  float scale(int64_t row, int64_t column) const {
    if (spec.block == 0) return 1;
    return LutScaleValue(scales[row * spec.row_blocks(shape.in_features) + column / spec.block],
                         spec.scale_dtype);
  }
};

// Reads everything off the tensors. Errors: TENSOR_MISSING, TENSOR_UNKNOWN,
// TENSOR_DTYPE_UNSUPPORTED, TENSOR_SHAPE_INVALID, TENSOR_VALUE_INVALID, TENSOR_NOT_FINITE,
// SHAPE_MISMATCH, and those of CheckLutShape.
absl::StatusOr<LutLayer> ParseLutTensors(const TensorMap& tensors);

// The same for a stored layer, whose shape and options must be those of its tensors.
// Errors: also SHAPE_MISMATCH, OPTION_INVALID.
absl::StatusOr<LutLayer> ParseLutLayer(const PackedLayer& packed);

// Whether `options` says of a layer what its tensors say, as far as it says something: the names of
// `given` alone are looked at. Errors: OPTION_INVALID.
absl::Status CheckLutOptions(const LutLayer& layer, const Options& options,
                             const std::map<std::string, OptionValue>& given);

// Whether all codebooks have equal steps.
bool IsLutUniform(const LutLayer& layer);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_LAYER_H_
