#include "kernels/formats/qtip/qtip_cpu_hadamard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "kernels/api/random.h"
#include "tests/kernels/cpu/each_target.h"

namespace qtipd {
namespace {

// The definition: element (i, j) of had_K x Sylvester, in double precision.
std::vector<double> Expected(int64_t size, HadamardDirection direction,
                             const std::vector<float>& values) {
  const int order = HadamardOrder(size).value();
  const int64_t points = size / order;
  const std::vector<int8_t> matrix = HadamardMatrix(order, direction);
  std::vector<double> sums(size, 0);
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t j = 0; j < size; ++j) {
      const auto common = static_cast<uint64_t>(i % points & j % points);
      const int sign = matrix[i / points * order + j / points];
      sums[i] += (std::popcount(common) % 2 == 0 ? sign : -sign) * double{values[j]};
    }
    sums[i] /= std::sqrt(static_cast<double>(size));
  }
  return sums;
}

class CpuHadamard : public testing::TestWithParam<int64_t> {};

TEST_P(CpuHadamard, AgreesWithItsDefinitionOnEveryInstructionSet) {
  const int64_t size = GetParam();
  std::vector<float> values(size);
  FillNormal(size, RandomStream::kTest, 0, values);
  for (const auto direction : {HadamardDirection::kForward, HadamardDirection::kTransposed}) {
    const std::vector<double> expected = Expected(size, direction, values);
    const QtipCpuTransform<float> transform = MakeQtipCpuTransform<float>(size, direction);
    const auto transform64 = MakeQtipCpuTransform<double>(size, direction);
    std::vector<float> first;
    ForEachTarget([&] {
      std::vector<double> wide(values.begin(), values.end());
      QtipCpuHadamard(transform64, wide.data());
      std::vector<float> row = values;
      QtipCpuHadamard(transform, row.data());
      std::vector<float> columns(3 * size);
      for (int64_t i = 0; i < 3 * size; ++i) columns[i] = values[i / 3];
      QtipCpuHadamardColumns(transform, columns.data(), 3, 2);
      if (first.empty()) first = row;
      EXPECT_EQ(row, first) << "other bits than another instruction set";
      for (int64_t i = 0; i < size; ++i) {
        EXPECT_NEAR(wide[i], expected[i], 1e-13);
        EXPECT_NEAR(row[i], expected[i], 1e-5);
        EXPECT_NEAR(columns[3 * i + 1], expected[i], 1e-5);
        EXPECT_EQ(columns[3 * i + 2], values[i]) << "a column that was not asked for";
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, CpuHadamard,
                         testing::Values(1, 2, 4, 8, 32, 128, 96, 160, 224, 288, 416, 480, 864, 928,
                                         992, 1120, 1248, 1376, 12 * 64, 28 * 32));

}  // namespace
}  // namespace qtipd
