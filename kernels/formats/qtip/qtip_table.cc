#include "kernels/formats/qtip/qtip_table.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "kernels/api/dtype.h"
#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_default_codebook.h"

namespace qtipd {
namespace {

constexpr int kAsStates = -1;

constexpr QtipCodeInfo kCodes[] = {
    {QtipCode::kHyb, "hyb", 2, kQtipLutBits}, {QtipCode::k1Mad, "1mad", 1, 0},
    {QtipCode::k2Mad, "2mad", 1, 0},          {QtipCode::k3Inst, "3inst", 1, 0},
    {QtipCode::kLut, "lut", 1, kAsStates},    {QtipCode::kQuantLut, "quantlut", 1, kQtipLutBits},
};

// Seed of the table of `lut`; part of what a new layer is, so never to be changed.
constexpr uint64_t kLutSeed = 0x71746970;

float SumOfHalves(uint32_t halves) {
  const float sum =
      HalfToFloat(static_cast<uint16_t>(halves >> 16)) + HalfToFloat(static_cast<uint16_t>(halves));
  return HalfToFloat(FloatToHalf(sum));  // the sum of two such fp16 is exact in fp32
}

void DecodeState(const QtipCodeSpec& spec, std::span<const uint16_t> tlut, uint32_t state,
                 float* weights) {
  switch (spec.code) {
    case QtipCode::kHyb: {
      const uint32_t pair = QtipHybDecode(state, tlut.data());
      weights[0] = HalfToFloat(static_cast<uint16_t>(pair));
      weights[1] = HalfToFloat(static_cast<uint16_t>(pair >> 16));
      return;
    }
    case QtipCode::k1Mad:
      weights[0] = QtipMadWeight(Qtip1MadHash(state));
      return;
    case QtipCode::k2Mad:
      weights[0] = QtipMadWeight(Qtip2MadHash(state));
      return;
    case QtipCode::k3Inst:
      weights[0] = SumOfHalves(Qtip3InstHalves(state));
      return;
    case QtipCode::kLut:
      for (int f = 0; f < spec.vector_dim; ++f) {
        weights[f] = HalfToFloat(tlut[state * spec.vector_dim + f]);
      }
      return;
    case QtipCode::kQuantLut:
      weights[0] = HalfToFloat(tlut[QtipQuantLutIndex(state, spec.table_bits)]);
      return;
  }
}

}  // namespace

std::span<const QtipCodeInfo> QtipCodes() { return kCodes; }

const QtipCodeInfo& QtipCodeInfoOf(QtipCode code) {
  return *std::ranges::find(kCodes, code, &QtipCodeInfo::code);
}

std::optional<QtipCode> FindQtipCode(std::string_view name) {
  const auto* found = std::ranges::find(kCodes, name, &QtipCodeInfo::name);
  if (found == std::end(kCodes)) return std::nullopt;
  return found->code;
}

absl::StatusOr<QtipCodeSpec> QtipSpecOf(const Options& options) {
  const std::string& name = options.GetString("code");
  const std::optional<QtipCode> code = FindQtipCode(name);
  if (!code) return InvalidField("OPTION_INVALID", "code", name, "a code of this format");
  const QtipCodeInfo& info = QtipCodeInfoOf(*code);
  const int64_t vector_dim = options.GetInt("vector_dim");
  if (vector_dim != 0 && vector_dim != info.default_vector_dim && *code != QtipCode::kLut) {
    return InvalidField("OPTION_INVALID", "vector_dim", std::to_string(vector_dim),
                        std::to_string(info.default_vector_dim) + " for code " + name);
  }
  if (options.GetString("codebook") == kQtipInt8Codebook && *code != QtipCode::kHyb) {
    return InvalidField("OPTION_INVALID", "codebook", kQtipInt8Codebook,
                        std::string(kQtipFp16Codebook) + " for code " + name);
  }
  QtipCodeSpec spec;
  spec.code = *code;
  spec.bits = static_cast<int>(options.GetInt("bits"));
  spec.state_bits = static_cast<int>(options.GetInt("state_bits"));
  spec.vector_dim = vector_dim == 0 ? info.default_vector_dim : static_cast<int>(vector_dim);
  spec.table_bits = info.table_bits == kAsStates ? spec.state_bits : info.table_bits;
  return spec;
}

std::string QtipSpecText(const QtipCodeSpec& spec) {
  return std::string(QtipCodeInfoOf(spec.code).name) + " with " + std::to_string(spec.bits) +
         " bits, " + std::to_string(spec.state_bits) + " state bits, " +
         std::to_string(spec.vector_dim) + " weights a step";
}

std::vector<int64_t> QtipTableShape(const QtipCodeSpec& spec) {
  if (spec.table_bits == 0) return {};
  const int64_t rows = int64_t{1} << spec.table_bits;
  if (spec.code == QtipCode::kQuantLut) return {rows};
  return {rows, spec.vector_dim};
}

std::vector<uint16_t> QtipDefaultTable(const QtipCodeSpec& spec) {
  std::vector<uint16_t> table(spec.table_values());
  if (spec.code == QtipCode::kHyb) {
    std::ranges::copy(QtipDefaultTlut(), table.begin());
  } else if (spec.code == QtipCode::kLut) {
    std::vector<float> values(table.size());
    FillNormal(kLutSeed, RandomStream::kCodebook, 0, values);
    std::ranges::transform(values, table.begin(), FloatToHalf);
  } else {
    for (size_t i = 0; i < table.size(); ++i) {
      const double p = (static_cast<double>(i) + 0.5) / static_cast<double>(table.size());
      table[i] = FloatToHalf(static_cast<float>(NormalQuantile(p)));
    }
  }
  return table;
}

std::vector<uint16_t> QtipTableOf(const Options& options) {
  if (options.GetString("codebook") == kQtipInt8Codebook) return QtipInt8Table();
  return QtipDefaultTable(QtipSpecOf(options).value());
}

int64_t QtipTableStep(std::span<const uint16_t> tlut) {
  int64_t step = 0, largest = 0;
  for (const uint16_t half : tlut) {
    const auto units = static_cast<int64_t>(std::ldexp(double{HalfToFloat(half)}, 24));
    step = std::gcd(step, units);
    largest = std::max(largest, std::abs(units));
  }
  if (step == 0) return 1;
  return largest <= 127 * step ? step : 0;
}

std::vector<uint16_t> QtipInt8Table() {
  std::vector<uint16_t> table(QtipDefaultTlut().begin(), QtipDefaultTlut().end());
  for (uint16_t& value : table) {
    const float steps = std::round(HalfToFloat(value) / kQtipInt8Step);
    value = FloatToHalf(std::clamp(steps, -127.0f, 127.0f) * kQtipInt8Step);
  }
  return table;
}

double QtipTable::Rms() const {
  double sum = 0;
  for (float weight : weights) sum += double{weight} * weight;
  return std::sqrt(sum / static_cast<double>(weights.size()));
}

QtipTable MakeQtipTable(const QtipCodeSpec& spec, std::span<const uint16_t> tlut) {
  QtipTable table;
  table.vector_dim = spec.vector_dim;
  table.weights.resize(static_cast<size_t>(spec.states()) * spec.vector_dim);
  for (int state = 0; state < spec.states(); ++state) {
    DecodeState(spec, tlut, static_cast<uint32_t>(state),
                &table.weights[static_cast<size_t>(state) * spec.vector_dim]);
  }
  return table;
}

}  // namespace qtipd
