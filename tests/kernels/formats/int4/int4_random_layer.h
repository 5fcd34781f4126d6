// Layers of random bits: every code, zero point and sign of a scale occurs.
#ifndef QTIPD_TESTS_KERNELS_FORMATS_INT4_INT4_RANDOM_LAYER_H_
#define QTIPD_TESTS_KERNELS_FORMATS_INT4_INT4_RANDOM_LAYER_H_

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "kernels/api/random.h"
#include "kernels/formats/int4/int4_layer.h"
#include "kernels/formats/int4/int4_options.h"

namespace qtipd {

struct RandomInt4Case {
  Shape shape;
  int64_t group_size = 128;
  bool is_symmetric = true;
  bool is_half = true;
  bool is_version_2 = false;  // of checkpoint_format
};

inline std::string RandomInt4Name(const RandomInt4Case& c) {
  return std::to_string(c.shape.out_features) + "x" + std::to_string(c.shape.in_features) +
         (c.group_size < 0 ? "_row" : "_g" + std::to_string(c.group_size)) +
         (c.is_symmetric ? "" : "_zeros") + (c.is_half ? "" : "_bf16") +
         (c.is_version_2 ? "_v2" : "");
}

inline Options RandomInt4Options(const RandomInt4Case& c) {
  return CheckOptions(MakeInt4Schema(), {{"group_size", c.group_size},
                                         {"symmetric", c.is_symmetric},
                                         {"scale_dtype", std::string(c.is_half ? "fp16" : "bf16")},
                                         {"checkpoint_format",
                                          std::string(c.is_version_2 ? kInt4GptqV2 : kInt4GptqV1)}})
      .value();
}

inline Int4Layer RandomInt4Layer(const RandomInt4Case& c, uint64_t seed) {
  const auto [out, in] = c.shape;
  const Options options = RandomInt4Options(c);
  const Int4Spec spec = Int4SpecOf(options, in);
  const int64_t groups = spec.groups(in);
  uint64_t index = 0;
  const auto bits = [&] { return RandomBits(seed, RandomStream::kTest, index++); };
  std::vector<uint32_t> qweight(in / kInt4PerWord * out);
  for (uint32_t& word : qweight) word = static_cast<uint32_t>(bits());
  std::vector<float> scales(groups * out);
  // Of magnitudes 2^-6 to 2^-2, one in eight of them negative.
  for (float& scale : scales) {
    const uint64_t random = bits();
    const float magnitude = std::exp2(-2 - static_cast<float>(random % 4096) / 1024);
    scale = random >> 32 & 7 ? magnitude : -magnitude;
  }
  PackedLayer packed{"int4", options, c.shape, {}};
  packed.tensors["qweight"] =
      HostTensor::Take(DType::kI32, {in / kInt4PerWord, out}, std::move(qweight));
  const std::vector<std::byte> encoded = EncodeFloats(scales, spec.scale_dtype);
  packed.tensors["scales"] = HostTensor::Copy(spec.scale_dtype, {groups, out}, encoded);
  if (!c.is_symmetric) {
    std::vector<uint32_t> qzeros(groups * (out / kInt4PerWord));
    for (uint32_t& word : qzeros) word = static_cast<uint32_t>(bits());
    packed.tensors["qzeros"] =
        HostTensor::Take(DType::kI32, {groups, out / kInt4PerWord}, std::move(qzeros));
  }
  return ParseInt4Layer(packed).value();
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_KERNELS_FORMATS_INT4_INT4_RANDOM_LAYER_H_
