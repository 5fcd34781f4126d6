// Counter-based random numbers: element i of stream `seed` never depends on how many were drawn
// before, on threads or on the backend, so a seeded matrix is the same bytes everywhere.
#ifndef QTIPD_KERNELS_API_RANDOM_H_
#define QTIPD_KERNELS_API_RANDOM_H_

#include <cstdint>
#include <span>

namespace qtipd {

// Independent streams under one seed. Values are part of the reproducibility contract: never
// renumber.
enum class RandomStream : uint32_t {
  kWeights = 0,
  kActivations = 1,
  kInputSigns = 2,
  kOutputSigns = 3,
  kQualityActivations = 4,
  kCodebook = 5,
  kTest = 100,
};

// 64 uniform random bits for element `index` (Philox-4x32-10; Salmon et al., SC 2011).
uint64_t RandomBits(uint64_t seed, RandomStream stream, uint64_t index);

// values[i] = N(0,1) number `first_index + i` of the stream: inverse normal CDF in double precision
// (Wichura, AS 241), rounded to fp32.
void FillNormal(uint64_t seed, RandomStream stream, uint64_t first_index, std::span<float> values);

// The quantile of the standard normal distribution for p in (0, 1), relative error about 1e-16.
double NormalQuantile(double p);

// values[i] = +1 or -1.
void FillSigns(uint64_t seed, RandomStream stream, uint64_t first_index, std::span<float> values);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_RANDOM_H_
