#include "kernels/api/random.h"

#include <array>
#include <cmath>

namespace qtipd {
namespace {

using Block = std::array<uint32_t, 4>;

// Philox-4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
Block Philox(Block counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
        static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

template <size_t N>
double Polynomial(const std::array<double, N>& coefficients, double x) {
  double value = coefficients[N - 1];
  for (size_t i = N - 1; i-- > 0;) value = value * x + coefficients[i];
  return value;
}

}  // namespace

// Source: Wichura, "Algorithm AS 241", Applied Statistics 37 (1988), routine PPND16.
double NormalQuantile(double p) {
  static constexpr std::array<double, 8> kA = {3.3871328727963666080e0, 1.3314166789178437745e2,
                                               1.9715909503065514427e3, 1.3731693765509461125e4,
                                               4.5921953931549871457e4, 6.7265770927008700853e4,
                                               3.3430575583588128105e4, 2.5090809287301226727e3};
  static constexpr std::array<double, 8> kB = {1.0,
                                               4.2313330701600911252e1,
                                               6.8718700749205790830e2,
                                               5.3941960214247511077e3,
                                               2.1213794301586595867e4,
                                               3.9307895800092710610e4,
                                               2.8729085735721942674e4,
                                               5.2264952788528545610e3};
  static constexpr std::array<double, 8> kC = {
      1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
      3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
      2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static constexpr std::array<double, 8> kD = {1.0,
                                               2.05319162663775882187e0,
                                               1.67638483018380384940e0,
                                               6.89767334985100004550e-1,
                                               1.48103976427480074590e-1,
                                               1.51986665636164571966e-2,
                                               5.47593808499534494600e-4,
                                               1.05075007164441684324e-9};
  static constexpr std::array<double, 8> kE = {
      6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
      2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
      2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static constexpr std::array<double, 8> kF = {1.0,
                                               5.99832206555887937690e-1,
                                               1.36929880922735805310e-1,
                                               1.48753612908506148525e-2,
                                               7.86869131145613259100e-4,
                                               1.84631831751005468180e-5,
                                               1.42151175831644588870e-7,
                                               2.04426310338993978564e-15};
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * Polynomial(kA, r) / Polynomial(kB, r);
  }
  const double tail = std::sqrt(-std::log(q < 0 ? p : 1 - p));
  const double value = tail <= 5 ? Polynomial(kC, tail - 1.6) / Polynomial(kD, tail - 1.6)
                                 : Polynomial(kE, tail - 5) / Polynomial(kF, tail - 5);
  return q < 0 ? -value : value;
}

uint64_t RandomBits(uint64_t seed, RandomStream stream, uint64_t index) {
  const Block block = Philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                              static_cast<uint32_t>(stream), 0},
                             static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  return (uint64_t{block[1]} << 32) | block[0];
}

void FillNormal(uint64_t seed, RandomStream stream, uint64_t first_index, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    // 52 bits and a half: strictly inside (0, 1), symmetric about 1/2.
    const uint64_t bits = RandomBits(seed, stream, first_index + i) >> 12;
    values[i] = static_cast<float>(NormalQuantile((static_cast<double>(bits) + 0.5) * 0x1p-52));
  }
}

void FillSigns(uint64_t seed, RandomStream stream, uint64_t first_index, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = (RandomBits(seed, stream, first_index + i) & 1) != 0 ? -1.0f : 1.0f;
  }
}

}  // namespace qtipd
