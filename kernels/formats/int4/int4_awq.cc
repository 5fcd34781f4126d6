#include "kernels/formats/int4/int4_awq.h"

#include <utility>
#include <vector>

#include "kernels/formats/int4/int4_layout.h"
#include "kernels/formats/int4/int4_tensors.h"

namespace qtipd {

uint32_t Int4FromAwqOrder(uint32_t word) {
  uint32_t ordered = 0;
  for (int i = 0; i < kInt4PerWord; ++i) {
    ordered |= static_cast<uint32_t>(Int4Nibble(word, i)) << 4 * kInt4AwqOrder[i];
  }
  return ordered;
}

HostTensor Int4WeightsFromAwq(const HostTensor& qweight) {
  const int64_t in = qweight.shape()[0];
  const int64_t words = qweight.shape()[1];  // of a column of W
  const int64_t out = words * kInt4PerWord;
  std::vector<uint32_t> packed(in / kInt4PerWord * out);
  for (int64_t col = 0; col < in; ++col) {
    uint32_t* row = &packed[col / kInt4PerWord * out];
    const auto shift = static_cast<int>(4 * (col % kInt4PerWord));
    for (int64_t k = 0; k < words; ++k) {
      const uint32_t word = Int4TensorWord(qweight, col * words + k);
      for (int i = 0; i < kInt4PerWord; ++i) {
        row[k * kInt4PerWord + kInt4AwqOrder[i]] |= static_cast<uint32_t>(Int4Nibble(word, i))
                                                    << shift;
      }
    }
  }
  return HostTensor::Take(DType::kI32, {in / kInt4PerWord, out}, std::move(packed));
}

HostTensor Int4ZerosFromAwq(const HostTensor& qzeros, int offset) {
  std::vector<uint32_t> words(qzeros.bytes().size() / sizeof(uint32_t));
  const uint32_t less = static_cast<uint32_t>(offset) * 0x11111111u;  // borrows from no neighbour
  for (size_t i = 0; i < words.size(); ++i) {
    words[i] = Int4FromAwqOrder(Int4TensorWord(qzeros, static_cast<int64_t>(i))) - less;
  }
  return HostTensor::Take(DType::kI32, qzeros.shape(), std::move(words));
}

}  // namespace qtipd
