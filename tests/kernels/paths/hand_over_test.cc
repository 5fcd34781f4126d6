// Which way path `fused` takes, by times that a fake device makes up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "kernels/api/builtin.h"
#include "kernels/api/error.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/registry.h"
#include "tests/fakes/fake_device.h"
#include "tests/fakes/fake_format.h"

namespace qtipd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr Shape kShape{4, 8};

class HandOverTest : public testing::Test {
 protected:
  HandOverTest() {
    RegisterBuiltinPaths(registry_);
    AddFakeFormat(registry_, format_);
    device_ = MakeFakeDevice(control_);
    const FormatBackend* backend = registry_.FindBackend("fake", "fake").value();
    PackedLayer layer{.format = "fake", .options = {}, .shape = kShape, .tensors = {}};
    layer.tensors["rounded"] = HostTensor::Take(DType::kF32, {4, 8}, std::vector<float>(32, 1.0f));
    weights_ = backend->Load(*device_, layer).value();
  }

  // Each inner multiply is replayed four times, of which the first warms up.
  void Take(double fused_seconds, double dequant_seconds) {
    control_->replay_seconds = [=, first = control_->replays.load()](int64_t n) {
      return (n - first) % 4 == 0 ? 1.0 : n - first < 4 ? fused_seconds : dequant_seconds;
    };
  }

  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(int64_t batch) {
    return registry_.FindPath("fused").value()->Prepare(*device_, *weights_,
                                                        {.batch = batch, .copies = 2});
  }

  std::shared_ptr<FakeFormatControl> format_ = std::make_shared<FakeFormatControl>();
  std::shared_ptr<FakeDeviceControl> control_ = std::make_shared<FakeDeviceControl>();
  Registry registry_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<ResidentWeights> weights_;
};

TEST_F(HandOverTest, TheFasterWayIsTakenAndBothTimesAreNoted) {
  Take(3e-3, 2e-3);
  const auto slow = Prepare(4);
  ASSERT_TRUE(slow.ok()) << slow.status();
  EXPECT_THAT((*slow)->steps(), ElementsAre("decode", "gemv", "output_scale"));
  EXPECT_THAT((*slow)->notes(),
              UnorderedElementsAre(Pair("inner_multiply", "dequant"),
                                   Pair("inner_candidate_seconds.fused", "0.003"),
                                   Pair("inner_candidate_seconds.dequant", "0.002"),
                                   Pair("dense_multiply", "naive")));
  EXPECT_EQ((*slow)->scratch_bytes(), 4 * 8 * sizeof(float));
  Take(1e-3, 2e-3);
  const auto fast = Prepare(4);
  ASSERT_TRUE(fast.ok()) << fast.status();
  EXPECT_THAT((*fast)->steps(), ElementsAre("fused_decode", "output_scale"));
  EXPECT_EQ((*fast)->notes().at("inner_multiply"), "fused");
  EXPECT_EQ((*fast)->scratch_bytes(), 0u);
}

TEST_F(HandOverTest, ATieStaysWithTheKernel) {
  Take(2e-3, 1.96e-3);
  EXPECT_EQ((*Prepare(2))->notes().at("inner_multiply"), "fused");
}

TEST_F(HandOverTest, ALongReplayIsNotRepeated) {
  control_->replay_seconds = [](int64_t) { return 1.0; };
  ASSERT_TRUE(Prepare(2).ok());
  EXPECT_EQ(control_->replays, 4);
}

TEST_F(HandOverTest, OneVectorIsTheKernelsWithoutATrial) {
  const auto path = Prepare(1);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_THAT((*path)->steps(), ElementsAre("fused_decode", "output_scale"));
  EXPECT_THAT((*path)->notes(), IsEmpty());
  EXPECT_EQ(control_->replays, 0);
}

TEST_F(HandOverTest, HowTheKernelIsLaunchedIsNotedWhereItRuns) {
  format_->multiply_configuration = "grid 4";
  EXPECT_THAT((*Prepare(1))->notes(), ElementsAre(Pair("fused_configuration", "grid 4")));
  EXPECT_FALSE((*Prepare(5))->notes().contains("fused_configuration"));
}

TEST_F(HandOverTest, ABatchBeyondTheKernelIsHandedOverWithoutATrial) {
  const auto path = Prepare(5);  // the fake format's kernel takes 4
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ((*path)->notes().at("inner_multiply"), "dequant");
  EXPECT_EQ(control_->replays, 0);
  const std::vector<float> x(5 * kShape.in_features, 1.0f);
  std::vector<float> y(5 * kShape.out_features, -1.0f);
  ASSERT_TRUE((*path)->Run(1, x.data(), y.data(), 0, 3).ok());
  EXPECT_THAT(y, testing::Each(8.0f));
}

TEST_F(HandOverTest, WithoutRoomToDecodeTheKernelIsTaken) {
  control_->free_bytes = 2 * 4 * 8 * sizeof(float) + 100;  // two copies, and z
  const auto path = Prepare(2);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_THAT((*path)->notes(), ElementsAre(Pair("inner_multiply", "fused")));
}

TEST_F(HandOverTest, AnErrorOfATrialIsThatOfThePath) {
  control_->replay_status = [](int64_t) { return absl::InternalError("broken"); };
  EXPECT_EQ(Prepare(2).status().message(), "broken");
}

}  // namespace
}  // namespace qtipd
