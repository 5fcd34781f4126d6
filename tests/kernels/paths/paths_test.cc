// All paths over a layer that records what is asked of it. Numbers of real formats are
// checked by tests/conformance.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/api/builtin.h"
#include "kernels/api/error.h"
#include "kernels/cpu/cpu_device.h"

namespace qtipd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kOut = 2;
constexpr int64_t kIn = 3;

using Calls = std::vector<std::string>;

// W_inner is all ones; with transforms, x is doubled before and y negated (and then tripled) after.
class ScriptedWeights final : public ResidentWeights {
 public:
  ScriptedWeights(Calls& calls, bool has_transforms, int copies, DType activations = DType::kF32)
      : calls_(calls),
        has_transforms_(has_transforms),
        copies_(copies),
        activations_(activations) {}

  bool takes_bf16 = false;

  Shape shape() const override { return {kOut, kIn}; }
  int copies() const override { return copies_; }
  uint64_t device_bytes() const override { return 5; }
  uint64_t multiply_bytes() const override { return 5; }
  uint64_t transform_bytes() const override { return has_transforms_ ? 2 : 0; }
  int64_t max_fused_batch() const override { return 4; }
  DType inner_dtype() const override { return DType::kF32; }
  DType activation_dtype() const override { return activations_; }
  bool takes_activations(DType dtype) const override {
    return dtype == DType::kF32 || (takes_bf16 && dtype == DType::kBF16);
  }
  std::vector<std::string> input_steps() const override {
    return has_transforms_ ? Calls{"in"} : Calls{};
  }
  std::vector<std::string> output_steps() const override {
    return has_transforms_ ? Calls{"negate", "triple"} : Calls{};
  }
  absl::Status InputTransform(int64_t batch, const void* x, void* u, int count) override {
    calls_.push_back("input " + std::to_string(count));
    for (int64_t i = 0; i < batch * kIn; ++i) F(u)[i] = 2 * F(x)[i];
    return absl::OkStatus();
  }
  absl::Status OutputTransform(int64_t batch, void* z, void* y, int count) override {
    calls_.push_back("output " + std::to_string(count));
    for (int64_t i = 0; i < batch * kOut; ++i) F(y)[i] = F(z)[i] * (count == 1 ? -1.0f : -3.0f);
    return absl::OkStatus();
  }
  absl::Status Multiply(int copy, int64_t batch, const void* u, void* z) override {
    calls_.push_back("multiply copy " + std::to_string(copy));
    for (int64_t b = 0; b < batch; ++b) {
      float sum = 0;
      for (int64_t i = 0; i < kIn; ++i) sum += F(u)[b * kIn + i];
      for (int64_t row = 0; row < kOut; ++row) F(z)[b * kOut + row] = sum;
    }
    return absl::OkStatus();
  }
  int64_t max_rounded_batch() const override { return 3; }
  absl::Status MultiplyRounded(int copy, int64_t batch, const void* u, void* z) override {
    calls_.push_back("rounded");
    return Multiply(copy, batch, u, z);
  }
  absl::Status Decode(int copy, void* w) override {
    calls_.push_back("decode copy " + std::to_string(copy));
    std::fill_n(F(w), kOut * kIn, 1.0f);
    return absl::OkStatus();
  }
  absl::Status DecodeOriginal(void* w, DType, const Progress&) override {
    calls_.push_back("decode original");
    std::fill_n(F(w), kOut * kIn, has_transforms_ ? -6.0f : 1.0f);
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int copies,
                                                               DType activations) const override {
    return std::make_unique<ScriptedWeights>(calls_, has_transforms_, copies, activations);
  }

  static float* F(void* data) { return static_cast<float*>(data); }
  static const float* F(const void* data) { return static_cast<const float*>(data); }

  Calls& calls_;
  bool has_transforms_;
  int copies_;
  DType activations_;
};

class PathsTest : public testing::TestWithParam<bool> {
 protected:
  PathsTest() { RegisterBuiltinPaths(registry_); }

  const InferencePath& Path(std::string_view id) { return *registry_.FindPath(id).value(); }

  std::unique_ptr<PreparedPath> Prepare(std::string_view id, int64_t batch = 2,
                                        DType activations = DType::kF32) {
    auto prepared = Path(id).Prepare(device_, weights_,
                                     {.batch = batch, .copies = 3, .activations = activations});
    EXPECT_TRUE(prepared.ok()) << prepared.status();
    return std::move(prepared).value();
  }

  // y of two rows of x, sums 6 and 15.
  std::vector<float> Run(PreparedPath& path, int copy = 0) {
    const std::vector<float> x = {1, 2, 3, 4, 5, 6};
    std::vector<float> y(2 * kOut, NAN);
    EXPECT_TRUE(path.Run(copy, x.data(), y.data(), 0, static_cast<int>(path.steps().size())).ok());
    return y;
  }

  Calls calls_;
  ScriptedWeights weights_{calls_, GetParam(), 1};
  CpuDevice device_{{.threads = 1, .read_memory = {}}};
  Registry registry_;
};

// Activations of another dtype than the kernels take.
class CastPathsTest : public PathsTest {};

// A layer with transforms, so with several steps and scratch of its own.
class TransformedPathsTest : public PathsTest {};

TEST_P(PathsTest, EveryPathComputesTheWholeLinear) {
  const float scale = GetParam() ? -6.0f : 1.0f;
  for (const auto& path : registry_.paths()) {
    EXPECT_EQ(Run(*Prepare(path->id())),
              (std::vector<float>{6 * scale, 6 * scale, 15 * scale, 15 * scale}))
        << path->id();
  }
}

TEST_P(PathsTest, StepsAreNamedInOrder) {
  EXPECT_THAT(Prepare("dense")->steps(), ElementsAre("gemv"));
  if (GetParam()) {
    EXPECT_THAT(Prepare("fused")->steps(), ElementsAre("in", "fused_decode", "negate", "triple"));
    EXPECT_THAT(Prepare("dequant")->steps(),
                ElementsAre("in", "decode", "gemv", "negate", "triple"));
  } else {
    EXPECT_THAT(Prepare("fused")->steps(), ElementsAre("fused_decode"));
    EXPECT_THAT(Prepare("dequant")->steps(), ElementsAre("decode", "gemv"));
  }
}

TEST_P(PathsTest, BytesAreWeightsOfThePathAndActivations) {
  const uint64_t activations = 2 * (kOut + kIn) * sizeof(float);
  for (const auto& path : registry_.paths()) {
    const bool is_dense = path->id() == "dense";
    const uint64_t rotated = is_dense ? kOut * kIn * sizeof(float) : 5;
    const uint64_t weights = rotated + (GetParam() && !is_dense ? 2 : 0);
    const auto prepared = Prepare(path->id());
    EXPECT_EQ(prepared->weight_bytes(), weights) << path->id();
    EXPECT_EQ(prepared->bytes_per_run(), weights + activations) << path->id();
    EXPECT_EQ(path->WeightBytesPerCopy(weights_, device_), rotated) << path->id();
    EXPECT_EQ(prepared->copies(), 3);
    const uint64_t decoded = path->id() == "dequant" ? kOut * kIn * sizeof(float) : 0;
    EXPECT_EQ(prepared->scratch_bytes(), decoded) << path->id();
  }
}

TEST_P(PathsTest, RunsReadTheCopyThatWasAskedFor) {
  const auto fused = Prepare("fused");
  calls_.clear();
  Run(*fused, 2);
  EXPECT_THAT(calls_, testing::Contains("multiply copy 2"));
  const auto dequant = Prepare("dequant");
  calls_.clear();
  Run(*dequant, 1);
  EXPECT_THAT(calls_, testing::Contains("decode copy 1"));
}

TEST_P(PathsTest, OnlyFusedA16AddsErrorByDesignAndRoundsActivations) {
  for (const auto& path : registry_.paths()) {
    const auto prepared = Prepare(path->id());
    calls_.clear();
    Run(*prepared);
    const bool rounds = path->id() == "fused_a16";
    EXPECT_EQ(path->designed_error() > 0, rounds) << path->id();
    EXPECT_EQ(std::ranges::count(calls_, "rounded"), rounds ? 1 : 0) << path->id();
  }
}

TEST_P(PathsTest, DenseDecodesOnceAndNeverWhileRunning) {
  const auto dense = Prepare("dense");
  EXPECT_THAT(calls_, ElementsAre("decode original"));
  calls_.clear();
  const std::vector<float> first = Run(*dense, 0);
  EXPECT_EQ(Run(*dense, 2), first);
  EXPECT_THAT(calls_, IsEmpty());
}

TEST_P(TransformedPathsTest, ARangeRunsOnlyItsSteps) {
  const auto fused = Prepare("fused");
  const std::vector<float> x(2 * kIn, 1.0f);
  std::vector<float> y(2 * kOut);
  const auto range = [&](int first, int end) {
    calls_.clear();
    EXPECT_TRUE(fused->Run(0, x.data(), y.data(), first, end).ok());
    return calls_;
  };
  EXPECT_THAT(range(0, 0), IsEmpty());
  EXPECT_THAT(range(0, 1), ElementsAre("input 1"));
  EXPECT_THAT(range(1, 2), ElementsAre("multiply copy 0"));
  EXPECT_THAT(range(0, 3), ElementsAre("input 1", "multiply copy 0", "output 1"));
  EXPECT_THAT(range(2, 4), ElementsAre("output 2"));
}

TEST_P(PathsTest, RefusesBatchesThatItCannotTake) {
  const absl::Status status = Path("fused_a16").Prepare(device_, weights_, {.batch = 5}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(GetErrorInfo(status).reason, "BATCH_UNSUPPORTED");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("allowed"), "1 to 3");
  for (const auto& path : registry_.paths()) {
    EXPECT_EQ(GetErrorInfo(path->Prepare(device_, weights_, {.batch = 0}).status()).reason,
              "BATCH_UNSUPPORTED")
        << path->id();
  }
  EXPECT_TRUE(Path("dense").Prepare(device_, weights_, {.batch = 5}).ok());
}

TEST_P(TransformedPathsTest, AFullDeviceIsAnErrorAndNotACrash) {
  CpuDevice full({.threads = 1, .read_memory = [] { return HostMemory{}; }});
  const absl::Status status = Path("dequant").Prepare(full, weights_, {.batch = 1 << 20}).status();
  EXPECT_EQ(GetErrorInfo(status).reason, "DEVICE_MEMORY_EXHAUSTED");
}

TEST_P(CastPathsTest, EveryPathComputesTheWholeLinearOnBf16) {
  const float scale = GetParam() ? -6.0f : 1.0f;
  const std::vector<std::byte> x = EncodeFloats(std::vector<float>{1, 2, 3, 4, 5, 6}, DType::kBF16);
  for (const auto& path : registry_.paths()) {
    const auto prepared = Prepare(path->id(), 2, DType::kBF16);
    std::vector<uint16_t> y(2 * kOut, 0xFFFF);
    ASSERT_TRUE(
        prepared->Run(0, x.data(), y.data(), 0, static_cast<int>(prepared->steps().size())).ok());
    EXPECT_EQ(y, (std::vector<uint16_t>{FloatToBfloat16(6 * scale), FloatToBfloat16(6 * scale),
                                        FloatToBfloat16(15 * scale), FloatToBfloat16(15 * scale)}))
        << path->id();
  }
}

TEST_P(CastPathsTest, CastsAreStepsAroundThoseOfThePath) {
  EXPECT_THAT(Prepare("dense", 1, DType::kBF16)->steps(),
              ElementsAre("input_cast", "gemv", "output_cast"));
  for (const auto& path : registry_.paths()) {
    const auto plain = Prepare(path->id(), 1);
    const auto cast = Prepare(path->id(), 1, DType::kBF16);
    Calls expected = plain->steps();
    expected.insert(expected.begin(), "input_cast");
    expected.push_back("output_cast");
    EXPECT_EQ(cast->steps(), expected) << path->id();
    EXPECT_FALSE(cast->RepeatsPrevious(0));
    EXPECT_FALSE(cast->RepeatsPrevious(static_cast<int>(expected.size()) - 1));
    for (int step = 0; step < static_cast<int>(plain->steps().size()); ++step) {
      EXPECT_EQ(cast->RepeatsPrevious(step + 1), plain->RepeatsPrevious(step)) << path->id();
    }
    EXPECT_EQ(cast->operations().at("launch"), plain->operations()["launch"] + 2) << path->id();
    EXPECT_EQ(cast->notes().at("activation_casts"), "BF16 to F32 and back");
    EXPECT_FALSE(plain->notes().contains("activation_casts"));
  }
}

TEST_P(CastPathsTest, ARangeRunsOnlyItsSteps) {
  const auto cast = Prepare("dequant", 2, DType::kBF16);
  const int steps = static_cast<int>(cast->steps().size());
  const std::vector<std::byte> x = EncodeFloats(std::vector<float>{1, 2, 3, 4, 5, 6}, DType::kBF16);
  std::vector<uint16_t> y(2 * kOut, 0xFFFF);
  calls_.clear();
  ASSERT_TRUE(cast->Run(0, x.data(), y.data(), 0, 1).ok());
  EXPECT_THAT(calls_, IsEmpty());
  ASSERT_TRUE(cast->Run(1, x.data(), y.data(), 1, steps - 1).ok());
  EXPECT_THAT(calls_, testing::Contains("decode copy 1"));
  EXPECT_THAT(y, testing::Each(0xFFFF)) << "before the last cast";
  calls_.clear();
  ASSERT_TRUE(cast->Run(1, x.data(), y.data(), steps - 1, steps).ok());
  EXPECT_THAT(calls_, IsEmpty());
  EXPECT_EQ(y[0], FloatToBfloat16(GetParam() ? -36.0f : 6.0f));
}

TEST_P(CastPathsTest, XAndYCountAsTheyAreAndTheirCopiesAsScratch) {
  for (const auto& path : registry_.paths()) {
    const auto plain = Prepare(path->id());
    const auto cast = Prepare(path->id(), 2, DType::kBF16);
    EXPECT_EQ(cast->weight_bytes(), plain->weight_bytes());
    EXPECT_EQ(cast->bytes_per_run(), plain->weight_bytes() + 2 * (kOut + kIn) * 2) << path->id();
    EXPECT_EQ(cast->scratch_bytes(), plain->scratch_bytes() + 2 * (kOut + kIn) * sizeof(float))
        << path->id();
    EXPECT_EQ(cast->copies(), 3);
  }
}

TEST_P(CastPathsTest, ALayerThatTakesTheDTypeIsNotCast) {
  weights_.takes_bf16 = true;
  for (const char* id : {"fused", "dequant"}) {
    const auto path = Prepare(id, 1, DType::kBF16);
    EXPECT_EQ(path->steps(), Prepare(id, 1)->steps()) << id;
    EXPECT_EQ(path->bytes_per_run(), path->weight_bytes() + (kOut + kIn) * 2) << id;
  }
  EXPECT_EQ(GetErrorInfo(weights_.Replicate(1, DType::kF16).status()).reason,
            "ACTIVATION_DTYPE_UNSUPPORTED");
}

TEST_P(PathsTest, NotesNameTheDenseRoutine) {
  EXPECT_THAT(Prepare("dense")->notes().at("dense_multiply"), HasSubstr("cblas"));
  EXPECT_THAT(Prepare("dequant")->notes().at("dense_multiply"), HasSubstr("cblas"));
}

INSTANTIATE_TEST_SUITE_P(Transforms, TransformedPathsTest, testing::Values(true));
INSTANTIATE_TEST_SUITE_P(Transforms, CastPathsTest, testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "With" : "Without");
});
INSTANTIATE_TEST_SUITE_P(Transforms, PathsTest, testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "With" : "Without");
});

}  // namespace
}  // namespace qtipd
