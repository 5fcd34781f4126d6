// How the GPU is timed: the gate, the clocks, caches that are cold, and the device's own ceiling.
#include <algorithm>
#include <chrono>

#include "kernels/api/error.h"
#include "kernels/cuda/cuda_gate.h"
#include "tests/kernels/cuda/cuda_test.h"
#include "tests/kernels/cuda/spin_kernel.h"

namespace qtipd {
namespace {

constexpr unsigned kSpinNanoseconds = 1'000'000;

class CudaTiming : public CudaTest {
 protected:
  std::unique_ptr<Recording> Record(const std::function<absl::Status()>& enqueue) {
    auto recording = device().Record(enqueue);
    EXPECT_TRUE(recording.ok()) << recording.status();
    return std::move(*recording);
  }
  absl::Status Spin() {
    return QTIPD_CUDA_STATUS(EnqueueSpin(device().stream(), kSpinNanoseconds));
  }
  double Property(const char* key) { return std::stod(device().info().properties.at(key)); }
};

TEST_F(CudaTiming, AReplayIsTimedWithinTwoPercentOfAKnownKernel) {
  const auto recording = Record([&] { return Spin(); });
  for (int i = 0; i < 5; ++i) {
    const auto timing = recording->Replay();
    ASSERT_TRUE(timing.ok()) << timing.status();
    EXPECT_NEAR(timing->seconds, kSpinNanoseconds * 1e-9, 0.02 * kSpinNanoseconds * 1e-9);
  }
}

TEST_F(CudaTiming, AReplayTellsAClockThatTheDeviceCanHave) {
  const auto recording = Record([&] { return Spin(); });
  const auto timing = recording->Replay();
  ASSERT_TRUE(timing.ok()) << timing.status();
  EXPECT_GT(timing->clock_hertz, 200e6);
  EXPECT_LT(timing->clock_hertz, 1.02e6 * Property("sm_clock_max_mhz"));
}

// The GPU-wide timer ticks too coarsely to tell the clock of nothing.
TEST_F(CudaTiming, AReplayOfNothingTellsNoClockOrOneThatTheDeviceCanHave) {
  const auto recording = Record([] { return absl::OkStatus(); });
  for (int i = 0; i < 100; ++i) {
    const auto timing = recording->Replay();
    ASSERT_TRUE(timing.ok()) << timing.status();
    if (timing->clock_hertz == 0) continue;
    EXPECT_GT(timing->clock_hertz, 200e6);
    EXPECT_LT(timing->clock_hertz, 1.05e6 * Property("sm_clock_max_mhz"));
  }
}

TEST_F(CudaTiming, AnEmptyRecordingCanBeReplayed) {
  const auto recording = Record([] { return absl::OkStatus(); });
  const auto timing = recording->Replay();
  ASSERT_TRUE(timing.ok()) << timing.status();
  EXPECT_LT(timing->seconds, kSpinNanoseconds * 1e-9);
}

// More nodes than any queue of the driver holds at once must not wait for a gate that waits.
TEST_F(CudaTiming, ALongRecordingIsQueuedBehindTheGate) {
  constexpr int kNodes = 8192;
  const auto recording = Record([&]() -> absl::Status {
    for (int i = 0; i < kNodes; ++i) {
      QTIPD_RETURN_IF_CUDA_ERROR(EnqueueSpin(device().stream(), 0));
    }
    return absl::OkStatus();
  });
  const auto timing = recording->Replay();
  EXPECT_TRUE(timing.ok()) << timing.status();
}

TEST_F(CudaTiming, AGateThatNobodyOpensEndsWithAnError) {
  auto gate = CudaGate::Create(device().stream(), std::chrono::milliseconds(20));
  ASSERT_TRUE(gate.ok()) << gate.status();
  EXPECT_TRUE((*gate)->Check().ok());
  ASSERT_OK((*gate)->Close());
  ASSERT_OK(device().Synchronize());
  EXPECT_EQ(GetErrorInfo((*gate)->Check()).reason, "REPLAY_BLOCKED_TIMEOUT");
  (*gate)->Open();
}

TEST_F(CudaTiming, AGateWorksAgainAfterItsTimeout) {
  auto gate = CudaGate::Create(device().stream(), std::chrono::milliseconds(20));
  ASSERT_TRUE(gate.ok()) << gate.status();
  ASSERT_OK((*gate)->Close());
  ASSERT_OK(device().Synchronize());
  ASSERT_OK((*gate)->Close());
  (*gate)->Open();
  ASSERT_OK(device().Synchronize());
  EXPECT_TRUE((*gate)->Check().ok());
}

TEST_F(CudaTiming, AFlushMakesAHotReadSlower) {
  const size_t bytes = device().info().last_level_cache_bytes / 4;
  const auto from = device().Allocate(bytes);
  const auto to = device().Allocate(bytes);
  ASSERT_TRUE(from.ok() && to.ok());
  const auto copy = Record([&] { return device().Copy(to->data(), from->data(), bytes); });
  const auto median = [&](bool flushes) {
    std::vector<double> seconds;
    for (int i = 0; i < 9; ++i) {
      if (flushes) {
        EXPECT_TRUE(device().FlushCaches().ok());
      }
      const auto timing = copy->Replay();
      EXPECT_TRUE(timing.ok()) << timing.status();
      seconds.push_back(timing->seconds);
    }
    std::nth_element(seconds.begin(), seconds.begin() + 4, seconds.end());
    return seconds[4];
  };
  median(true);  // the flush memory is allocated, the device awake
  EXPECT_GT(median(true), 1.05 * median(false));
}

TEST_F(CudaTiming, TheCeilingIsOneThatTheDeviceCanHave) {
  const auto ceiling = device().MeasureCeiling([] { return false; });
  ASSERT_TRUE(ceiling.ok()) << ceiling.status();
  // Twice: memory of graphics cards and HBM transfers on both edges of its clock.
  const double bus = 2e6 * Property("memory_clock_max_mhz") * Property("memory_bus_bits") / 8;
  ASSERT_GE(ceiling->read.size(), 2u);
  const BandwidthPoint& largest = ceiling->read.back();
  EXPECT_GT(largest.bytes / largest.seconds, 0.30 * bus);
  EXPECT_LT(largest.bytes / largest.seconds, 1.05 * bus);
  EXPECT_EQ(ceiling->problem, "");
  ASSERT_FALSE(ceiling->read_cached.empty());
  EXPECT_LE(ceiling->read_cached.back().bytes, device().info().last_level_cache_bytes);
  EXPECT_GE(ceiling->read_cached.back().seconds, ceiling->read_cached.front().seconds);
  // Where the cache surely holds it, memory is not faster.
  for (const BandwidthPoint& point : ceiling->read_cached) {
    if (4 * point.bytes > device().info().last_level_cache_bytes) break;
    EXPECT_LE(point.seconds, ReadSeconds(*ceiling, point.bytes)) << point.bytes;
  }
  for (const auto* curve : {&ceiling->read, &ceiling->copy}) {
    for (size_t i = 1; i < curve->size(); ++i) {
      EXPECT_GT((*curve)[i].bytes, (*curve)[i - 1].bytes);
      EXPECT_GT((*curve)[i].seconds, (*curve)[i - 1].seconds) << (*curve)[i].bytes;
    }
  }
  const double cycles = ceiling->clock_hertz * device().multiprocessors();
  EXPECT_GT(ceiling->rates.at("issue"), 0.5 * 4 * cycles);
  EXPECT_LT(ceiling->rates.at("issue"), 1.02 * 4 * cycles);
  EXPECT_GT(ceiling->rates.at("shared_memory"), 0.5 * cycles);
  EXPECT_LT(ceiling->rates.at("shared_memory"), 1.02 * cycles);
  EXPECT_GT(ceiling->launch_seconds, 0);
  EXPECT_LT(ceiling->launch_seconds, 20e-6);
  EXPECT_LE(ceiling->overlapped_launch_seconds, 1.2 * ceiling->launch_seconds);
  EXPECT_GT(ceiling->replay_seconds, 0);
}

TEST_F(CudaTiming, ACeilingCanBeCancelled) {
  const auto ceiling = device().MeasureCeiling([] { return true; });
  EXPECT_EQ(GetErrorInfo(ceiling.status()).reason, "CANCELLED");
  EXPECT_TRUE(device().Health().ok());
}

}  // namespace
}  // namespace qtipd
