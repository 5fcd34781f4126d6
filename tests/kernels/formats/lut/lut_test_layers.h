// Layers of format "lut" for tests.
#ifndef QTIPD_TESTS_KERNELS_FORMATS_LUT_LUT_TEST_LAYERS_H_
#define QTIPD_TESTS_KERNELS_FORMATS_LUT_LUT_TEST_LAYERS_H_

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "kernels/api/random.h"
#include "kernels/formats/lut/lut_format.h"
#include "kernels/formats/lut/lut_spec.h"

namespace qtipd {

inline std::vector<float> Normal(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  FillNormal(seed, RandomStream::kTest, 0, values);
  return values;
}

// Student's t with 5 degrees of freedom.
inline std::vector<float> HeavyTailed(size_t count, uint64_t seed) {
  const std::vector<float> normal = Normal(6 * count, seed);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    double squares = 0;
    for (int k = 1; k <= 5; ++k) squares += double{normal[6 * i + k]} * normal[6 * i + k];
    values[i] = static_cast<float>(normal[6 * i] / std::sqrt(squares / 5));
  }
  return values;
}

inline Options LutOptions(const std::map<std::string, OptionValue>& given) {
  return CheckOptions(MakeLutFormat()->schema(), given).value();
}

inline std::map<std::string, OptionValue> OptionsOf(const LutSpec& spec) {
  return {{"bits", int64_t{spec.bits}},
          {"block_size", spec.block},
          {"codebook_per", std::string(spec.is_per_channel ? "channel" : "tensor")},
          {"scale_dtype", std::string(spec.scale_dtype == DType::kBF16 ? "bf16" : "fp16")}};
}

// Any bytes are legal indices; entries and scales are normal numbers, of either sign.
inline TensorMap RandomTensors(const LutSpec& spec, Shape shape, uint64_t seed = 1) {
  const auto [out, in] = shape;
  std::vector<uint8_t> indices(out * spec.row_bytes(in));
  for (size_t i = 0; i < indices.size(); ++i) {
    indices[i] = static_cast<uint8_t>(RandomBits(seed, RandomStream::kTest, i));
  }
  const auto halves = [&](int64_t count, DType dtype, uint64_t stream) {
    std::vector<uint16_t> bits;
    for (const float value : Normal(count, stream)) bits.push_back(LutScaleBits(value, dtype));
    return bits;
  };
  TensorMap tensors = {
      {"shape", HostTensor::Take(DType::kI64, {2}, std::vector<int64_t>{out, in})},
      {"indices", HostTensor::Take(DType::kU8, {out, spec.row_bytes(in)}, std::move(indices))}};
  const int64_t books = spec.codebooks(out);
  std::vector<int64_t> book_shape = {spec.entries()};
  if (spec.is_per_channel) book_shape.insert(book_shape.begin(), out);
  tensors["codebook"] = HostTensor::Take(DType::kF16, book_shape,
                                         halves(books * spec.entries(), DType::kF16, seed + 1));
  if (spec.block > 0) {
    const int64_t blocks = spec.row_blocks(in);
    tensors["scales"] = HostTensor::Take(spec.scale_dtype, {out, blocks},
                                         halves(out * blocks, spec.scale_dtype, seed + 2));
  }
  return tensors;
}

inline PackedLayer RandomLutLayer(const LutSpec& spec, Shape shape, uint64_t seed = 1) {
  return {"lut", LutOptions(OptionsOf(spec)), shape, RandomTensors(spec, shape, seed)};
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_KERNELS_FORMATS_LUT_LUT_TEST_LAYERS_H_
