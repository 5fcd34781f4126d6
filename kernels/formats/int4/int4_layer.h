// One quantized linear as its tensors, checked, and access to single numbers of it.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_LAYER_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_LAYER_H_

#include <cstdint>
#include <cstring>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/formats/int4/int4_layout.h"

namespace qtipd {

// Views of the tensors of a layer, whose memory it keeps alive. Bytes of a mapped file lie at any
// address, so words are copied out one by one. Thread-safe to read.
class Int4Layer {
 public:
  Int4Layer(Shape shape, const Int4Spec& spec, HostTensor qweight, HostTensor scales,
            HostTensor qzeros);

  Shape shape() const { return shape_; }
  const Int4Spec& spec() const { return spec_; }
  int64_t groups() const { return spec_.groups(shape_.in_features); }

  // Codes of columns 8 k to 8 k + 7 of a row.
  uint32_t Word(int64_t k, int64_t row) const {
    return Load<uint32_t>(qweight_, k * shape_.out_features + row);
  }
  int Code(int64_t row, int64_t col) const {
    return Int4Nibble(Word(col / kInt4PerWord, row), col % kInt4PerWord);
  }
  // 0 to 16.
  int Zero(int64_t group, int64_t row) const {
    if (spec_.is_symmetric) return kInt4SymmetricZero;
    const int64_t index = group * (shape_.out_features / kInt4PerWord) + row / kInt4PerWord;
    return Int4Nibble(Load<uint32_t>(qzeros_, index), row % kInt4PerWord) + spec_.zero_offset;
  }
  // In the bits of spec().scale_dtype.
  uint16_t ScaleBits(int64_t group, int64_t row) const {
    return Load<uint16_t>(scales_, group * shape_.out_features + row);
  }
  float Scale(int64_t group, int64_t row) const {
    const uint16_t bits = ScaleBits(group, row);
    return spec_.scale_dtype == DType::kF16 ? HalfToFloat(bits) : Bfloat16ToFloat(bits);
  }
  // Exact: at most 11 bits of a scale times 5 of a difference.
  float Weight(int64_t row, int64_t col) const {
    const int64_t group = col / spec_.group_size;
    return Scale(group, row) * static_cast<float>(Code(row, col) - Zero(group, row));
  }

 private:
  template <typename T>
  static T Load(const HostTensor& tensor, int64_t index) {
    T value;
    std::memcpy(&value, tensor.bytes().data() + index * sizeof(T), sizeof(T));
    return value;
  }

  Shape shape_;
  Int4Spec spec_;
  HostTensor qweight_;
  HostTensor scales_;
  HostTensor qzeros_;  // empty where symmetric
};

// Checks an artefact's tensors against its options and shape.
// Errors: TENSOR_MISSING, TENSOR_UNKNOWN, TENSOR_DTYPE_UNSUPPORTED, TENSOR_SHAPE_INVALID,
// TENSOR_NOT_FINITE, TENSOR_VALUE_INVALID, SHAPE_MISMATCH, SHAPE_UNSUPPORTED.
absl::StatusOr<Int4Layer> ParseInt4Layer(const PackedLayer& packed);

// Bytes of the tensors of an artefact.
uint64_t Int4PackedBytes(const Int4Spec& spec, Shape shape);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_LAYER_H_
