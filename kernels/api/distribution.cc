#include "kernels/api/distribution.h"

#include <cmath>

#include "kernels/api/error.h"
#include "kernels/api/random.h"

namespace qtipd {
namespace {

constexpr Distribution kAll[] = {Distribution::kNormal, Distribution::kStudentT5,
                                 Distribution::kUniform};

// In (0, 1), 52 bits and a half.
double Uniform(uint64_t seed, uint64_t index) {
  const uint64_t bits = RandomBits(seed, RandomStream::kWeights, index) >> 12;
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

// A normal number over the root of a mean of five squared ones, of which two pairs are exponential.
float StudentT5(uint64_t seed, uint64_t index) {
  const double numerator = NormalQuantile(Uniform(seed, 4 * index));
  const double square = std::pow(NormalQuantile(Uniform(seed, 4 * index + 1)), 2);
  const double pairs = Uniform(seed, 4 * index + 2) * Uniform(seed, 4 * index + 3);
  return static_cast<float>(numerator / std::sqrt((square - 2 * std::log(pairs)) / 5));
}

}  // namespace

std::string_view DistributionName(Distribution distribution) {
  switch (distribution) {
    case Distribution::kNormal:
      return "normal";
    case Distribution::kStudentT5:
      return "student_t5";
    case Distribution::kUniform:
      break;
  }
  return "uniform";
}

absl::StatusOr<Distribution> FindDistribution(const std::string& field, std::string_view name) {
  if (name.empty()) return Distribution::kNormal;
  std::string names;
  for (const Distribution distribution : kAll) {
    if (DistributionName(distribution) == name) return distribution;
    names += (names.empty() ? "" : ", ") + std::string(DistributionName(distribution));
  }
  return InvalidField("DISTRIBUTION_UNKNOWN", field, "'" + std::string(name) + "'", names);
}

void FillWeights(Distribution distribution, uint64_t seed, int64_t in_features, int64_t first,
                 std::span<float> values) {
  if (distribution == Distribution::kNormal) {
    return FillNormal(seed, RandomStream::kWeights, static_cast<uint64_t>(first), values);
  }
  const double bound = 1 / std::sqrt(static_cast<double>(in_features));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint64_t index = static_cast<uint64_t>(first) + i;
    values[i] = distribution == Distribution::kStudentT5
                    ? StudentT5(seed, index)
                    : static_cast<float>(bound * (2 * Uniform(seed, index) - 1));
  }
}

}  // namespace qtipd
