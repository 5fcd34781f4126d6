#include "kernels/formats/lut/lut_spec.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

std::string ShapeText(int64_t out_features, int64_t in_features) {
  return absl::StrCat(out_features, "x", in_features);
}

// The largest number of bits among those that there are whose codebook has at most `values`.
int MostBits(int64_t values) {
  int most = 0;
  for (const int bits : {1, 2, 3, 4, 8}) {
    if (int64_t{1} << bits <= values) most = bits;
  }
  return most;
}

}  // namespace

LutSpec LutSpecOf(const Options& options) {
  return {.bits = static_cast<int>(options.GetInt("bits")),
          .block = options.GetInt("block_size"),
          .is_per_channel = options.GetString("codebook_per") == kLutChannel,
          .scale_dtype = options.GetString("scale_dtype") == "bf16" ? DType::kBF16 : DType::kF16};
}

absl::Status CheckLutShape(const LutSpec& spec, Shape shape) {
  const auto [out, in] = shape;
  const int64_t multiple = std::max(spec.block, kLutRowMultiple);
  if (out < 1 || in < 1 || in % multiple != 0) {
    const int64_t nearest = std::max<int64_t>(1, (in + multiple / 2) / multiple) * multiple;
    return InvalidField("SHAPE_UNSUPPORTED", "shape", ShapeText(out, in),
                        absl::StrCat("in_features a multiple of ", multiple,
                                     spec.block == 0 ? " without blocks" : ", option block_size",
                                     "; nearest ", ShapeText(std::max<int64_t>(1, out), nearest)));
  }
  const int64_t values = spec.is_per_channel ? in : out * in;
  if (values < spec.entries()) {
    return InvalidField(
        "CODEBOOK_TOO_LARGE", "bits",
        absl::StrCat(spec.bits, ": ", spec.entries(), " codebook entries for ", values,
                     spec.is_per_channel ? " values of an output channel" : " values"),
        absl::StrCat("no more codebook entries than values: at most ", MostBits(values), " bits"));
  }
  return absl::OkStatus();
}

uint64_t LutPackedBytes(const LutSpec& spec, Shape shape) {
  const auto [out, in] = shape;
  return static_cast<uint64_t>(out * spec.row_bytes(in)) +
         static_cast<uint64_t>(out * spec.row_blocks(in)) * sizeof(uint16_t) +
         static_cast<uint64_t>(spec.codebooks(out) * spec.entries()) * sizeof(uint16_t) +
         2 * sizeof(int64_t);
}

void PackLutRow(std::span<const uint8_t> indices, int bits, uint8_t* packed) {
  constexpr int kGroup = 8;  // indices that are whole bytes together
  for (size_t first = 0; first < indices.size(); first += kGroup) {
    uint64_t word = 0;
    for (int i = 0; i < kGroup; ++i) {
      word |= uint64_t{indices[first + i]} << (i * bits);
    }
    for (int byte = 0; byte < bits; ++byte) *packed++ = static_cast<uint8_t>(word >> (8 * byte));
  }
}

float LutScaleValue(uint16_t bits, DType dtype) {
  return dtype == DType::kBF16 ? Bfloat16ToFloat(bits) : HalfToFloat(bits);
}

uint16_t LutScaleBits(float value, DType dtype) {
  return dtype == DType::kBF16 ? FloatToBfloat16(value) : FloatToHalf(value);
}

}  // namespace qtipd
