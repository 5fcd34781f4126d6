// Distributions that random weights are drawn from.
#ifndef QTIPD_KERNELS_API_DISTRIBUTION_H_
#define QTIPD_KERNELS_API_DISTRIBUTION_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace qtipd {

enum class Distribution {
  kNormal,     // N(0,1)
  kStudentT5,  // Student's t with 5 degrees of freedom: heavy tails
  kUniform,    // U(-1/sqrt(in_features), 1/sqrt(in_features)): how torch.nn.Linear begins
};

// "normal", "student_t5", "uniform"; frozen, they are part of recipes.
std::string_view DistributionName(Distribution distribution);
// Empty is "normal". Errors: InvalidArgument/DISTRIBUTION_UNKNOWN naming `field` and all names.
absl::StatusOr<Distribution> FindDistribution(const std::string& field, std::string_view name);

// values[i] = weight number `first` + i, row-major, of a matrix with `in_features` columns: the
// same bytes everywhere (kernels/api/random.h, stream kWeights).
void FillWeights(Distribution distribution, uint64_t seed, int64_t in_features, int64_t first,
                 std::span<float> values);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_DISTRIBUTION_H_
