// What a layer of format "lut" is made of, and how its indices are packed: the specification of the
// bytes, see README.md.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_SPEC_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_SPEC_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "kernels/api/dtype.h"
#include "kernels/api/options.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

inline constexpr std::string_view kLutTensor = "tensor";
inline constexpr std::string_view kLutChannel = "channel";
inline constexpr std::string_view kLutKmeans = "kmeans";
inline constexpr std::string_view kLutUniform = "uniform";
inline constexpr std::string_view kLutAbsmax = "absmax";
inline constexpr std::string_view kLutRms = "rms";

// A row has a multiple of so many indices: whole bytes of them at every number of bits, and whole
// vectors of weights.
inline constexpr int64_t kLutRowMultiple = 16;
inline constexpr int kLutMaxEntries = 256;

struct LutSpec {
  int bits = 4;                     // 1, 2, 3, 4 or 8
  int64_t block = 64;               // weights along in_features that share a scale; 0: no scales
  bool is_per_channel = false;      // a codebook for every output, instead of one
  DType scale_dtype = DType::kF16;  // F16 or BF16

  int entries() const { return 1 << bits; }
  int64_t row_bytes(int64_t in_features) const { return in_features * bits / 8; }
  int64_t row_blocks(int64_t in_features) const { return block == 0 ? 0 : in_features / block; }
  int64_t codebooks(int64_t out_features) const { return is_per_channel ? out_features : 1; }
  friend bool operator==(const LutSpec&, const LutSpec&) = default;
};

// Of checked options.
LutSpec LutSpecOf(const Options& options);

// Errors: SHAPE_UNSUPPORTED with the nearest shape that works; CODEBOOK_TOO_LARGE where a codebook
// has more entries than it has values to stand for.
absl::Status CheckLutShape(const LutSpec& spec, Shape shape);

// Bytes of all tensors.
uint64_t LutPackedBytes(const LutSpec& spec, Shape shape);

// Index `column` of a packed row: bits [column * bits, (column + 1) * bits) of it, counted from the
// least significant bit of its first byte on.
inline int LutIndex(const uint8_t* row, int bits, int64_t column) {
  const int64_t bit = column * bits;
  const int64_t byte = bit / 8;
  const int shift = static_cast<int>(bit % 8);
  int window = row[byte];
  if (shift + bits > 8) window |= row[byte + 1] << 8;
  return (window >> shift) & ((1 << bits) - 1);
}

// Packs the indices of a row, a multiple of kLutRowMultiple, below 2^bits each.
//   packed  row_bytes(indices.size()), overwritten
void PackLutRow(std::span<const uint8_t> indices, int bits, uint8_t* packed);

// 16 bits of F16 or BF16 as a number, and the nearest to a number.
float LutScaleValue(uint16_t bits, DType dtype);
uint16_t LutScaleBits(float value, DType dtype);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_SPEC_H_
