#include "server/engine/input/matrix_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "tests/fakes/cancelled_at.h"

namespace qtipd {
namespace {

std::vector<float> Normal(uint64_t seed, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  FillNormal(seed, RandomStream::kTest, 0, values);
  return values;
}

// Not a multiple of the squares that a Hessian is mirrored in.
constexpr int64_t kSize = 601;

SourceTensors Tensors() {
  SourceTensors tensors;
  tensors.shape = {400, kSize};
  tensors.weights = HostTensor::Take(DType::kF32, {400, kSize}, Normal(1, 400 * kSize));
  return tensors;
}

SourceTensors WithTriangle() {
  SourceTensors tensors = Tensors();
  const int64_t count = kSize * (kSize + 1) / 2;
  tensors.hessian = HostTensor::Take(DType::kF32, {count}, Normal(2, count));
  tensors.hessian_mean = HostTensor::Take(DType::kF32, {kSize}, Normal(3, kSize));
  tensors.hessian_scale = 0.5;
  tensors.has_hessian = true;
  return tensors;
}

SourceTensors WithFull(std::vector<float> hessian) {
  SourceTensors tensors = Tensors();
  tensors.hessian = HostTensor::Take(DType::kF32, {kSize, kSize}, std::move(hessian));
  tensors.has_hessian = true;
  return tensors;
}

TEST(MatrixSource, ATriangleBecomesAFullMatrix) {
  const SourceTensors tensors = WithTriangle();
  const CancelledAt never = CancelledAt::Never();
  const auto hessian = ReadHessian(tensors, "H", never);
  ASSERT_TRUE(hessian.ok()) << hessian.status();
  const std::vector<float> triangle = tensors.hessian.ToFloat();
  const std::vector<float> mean = tensors.hessian_mean.ToFloat();
  for (int64_t i = 0; i < kSize; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const float expected = 0.5f * triangle[i * (i + 1) / 2 + j] + mean[i] * mean[j];
      EXPECT_NEAR(hessian->span()[i * kSize + j], expected, 1e-6f * (1 + std::abs(expected)));
      EXPECT_EQ(hessian->span()[j * kSize + i], hessian->span()[i * kSize + j]);
    }
  }
}

TEST(MatrixSource, NamesTheFirstPairThatIsNotSymmetric) {
  std::vector<float> h(kSize * kSize);
  for (int64_t i = 0; i < kSize; ++i) h[i * (kSize + 1)] = 1;
  const CancelledAt never = CancelledAt::Never();
  ASSERT_TRUE(ReadHessian(WithFull(h), "H", never).ok());
  h[599 * kSize + 3] = 1;
  h[500 * kSize + 400] = 1;
  const absl::Status status = ReadHessian(WithFull(h), "H", never).status();
  EXPECT_EQ(GetErrorInfo(status).reason, "HESSIAN_NOT_SYMMETRIC");
  EXPECT_NE(status.message().find("[500, 400]"), std::string::npos) << status;
}

TEST(MatrixSource, NamesTheFirstValueThatIsNotFinite) {
  std::vector<float> h(kSize * kSize);
  h[7 * kSize + 9] = INFINITY;
  h[600 * kSize + 1] = NAN;
  const CancelledAt never = CancelledAt::Never();
  const absl::Status status = ReadHessian(WithFull(h), "H", never).status();
  EXPECT_EQ(GetErrorInfo(status).reason, "NON_FINITE");
  EXPECT_NE(status.message().find("infinity at [7, 9]"), std::string::npos) << status;
}

TEST(MatrixSource, ReadsTheSameWeightsAgain) {
  const SourceTensors tensors = Tensors();
  const RandomSource random = {.shape = {400, kSize}, .seed = 5};
  const CancelledAt never = CancelledAt::Never();
  const auto read = ReadWeights(tensors, "W", never);
  const auto drawn = RandomWeights(random, never);
  ASSERT_TRUE(read.ok() && drawn.ok());
  std::vector<float> again(kSize);
  for (const int64_t first : {int64_t{0}, 7 * kSize, 399 * kSize}) {
    ReadWeightsAgain(tensors, first, again);
    EXPECT_TRUE(std::ranges::equal(again, read->span().subspan(first, kSize))) << first;
    RandomWeightsAgain(random, first, again);
    EXPECT_TRUE(std::ranges::equal(again, drawn->span().subspan(first, kSize))) << first;
  }
}

// What is read is looked at in pieces of at most 2^16 elements, 32 rows or 4 MiB.
TEST(MatrixSource, StopsWhereverItIsCancelled) {
  std::vector<float> h(kSize * kSize);
  for (int64_t i = 0; i < kSize; ++i) h[i * (kSize + 1)] = 1;
  const SourceTensors triangle = WithTriangle(), full = WithFull(h);
  const RandomSource random = {.shape = {400, kSize}, .seed = 5};
  struct Case {
    const char* name;
    std::function<absl::Status(const Progress&)> run;
    int64_t least_looks;
  };
  const Case cases[] = {
      {"weights", [&](const Progress& p) { return ReadWeights(full, "W", p).status(); },
       400 * kSize / 65536},
      {"random", [&](const Progress& p) { return RandomWeights(random, p).status(); },
       400 * kSize / 65536},
      {"full", [&](const Progress& p) { return ReadHessian(full, "H", p).status(); },
       kSize * kSize / 65536 + kSize / 32},
      {"triangle", [&](const Progress& p) { return ReadHessian(triangle, "H", p).status(); },
       2 * (kSize / 32)},
      {"hash", [&](const Progress& p) { return ContentSha256(triangle, p).status(); }, 3}};
  for (const Case& c : cases) {
    const CancelledAt never = CancelledAt::Never();
    ASSERT_TRUE(c.run(never).ok()) << c.name;
    EXPECT_GE(never.looks(), c.least_looks) << c.name;
    // Every block looks once; weights that were found not to be zero are not looked at further.
    for (int64_t at = 1; at <= c.least_looks; ++at) {
      EXPECT_TRUE(absl::IsCancelled(c.run(CancelledAt(at)))) << c.name << " " << at;
    }
  }
}

TEST(MatrixSource, HashesInPiecesWhatItHashesWhole) {
  const int64_t count = (int64_t{1} << 21) + 5;  // two pieces and a bit
  SourceTensors tensors;
  tensors.shape = {1, count};
  tensors.weights = HostTensor::Take(DType::kF32, {1, count}, Normal(1, count));
  const CancelledAt never = CancelledAt::Never();
  ASSERT_TRUE(ContentSha256(tensors, never).ok());
  EXPECT_EQ(never.looks(), 3);
}

}  // namespace
}  // namespace qtipd
