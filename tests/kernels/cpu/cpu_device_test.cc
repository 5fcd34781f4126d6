#include "kernels/cpu/cpu_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "kernels/cpu/cpu_backend.h"

namespace qtipd {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMiB = uint64_t{1} << 20;

HostMemory SmallHost() { return {.total_bytes = 1024 * kMiB, .available_bytes = 256 * kMiB}; }

TEST(CpuDevice, SaysWhatItIs) {
  CpuDevice device({.threads = 3, .read_memory = SmallHost});
  EXPECT_EQ(device.info().id, "cpu");
  EXPECT_EQ(device.info().backend, "cpu");
  EXPECT_FALSE(device.info().name.empty());
  EXPECT_EQ(device.info().compute_units, 3);
  EXPECT_EQ(device.pool().threads(), 3);
  EXPECT_TRUE(device.info().is_synchronous);
  EXPECT_EQ(device.info().compute_dtype, DType::kF32);
  EXPECT_EQ(device.info().memory_bytes, 1024 * kMiB);
  EXPECT_THAT(device.info().properties.at("blas"), HasSubstr("OpenBLAS"));
  EXPECT_FALSE(device.info().properties.at("instruction_set").empty());
  EXPECT_TRUE(device.Health().ok());
}

TEST(CpuDevice, MemoryIsAlignedAndCopiedBothWays) {
  CpuDevice device({.threads = 1, .read_memory = {}});
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{1000}, size_t{3 * kMiB + 5}}) {
    const Buffer buffer = device.Allocate(bytes).value();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 256, 0);
    EXPECT_EQ(buffer.bytes(), bytes);
    std::vector<uint8_t> sent(bytes, 0x5A);
    std::vector<uint8_t> received(bytes);
    ASSERT_TRUE(device.CopyToDevice(buffer.data(), sent.data(), bytes).ok());
    ASSERT_TRUE(device.CopyToHost(received.data(), buffer.data(), bytes).ok());
    EXPECT_EQ(received, sent);
    ASSERT_TRUE(device.Fill(buffer.data(), 7, bytes).ok());
    ASSERT_TRUE(device.CopyToHost(received.data(), buffer.data(), bytes).ok());
    EXPECT_EQ(received, std::vector<uint8_t>(bytes, 7));
  }
}

TEST(CpuDevice, RefusesMoreMemoryThanTheHostCanSpare) {
  CpuDevice device({.threads = 1, .read_memory = SmallHost});
  EXPECT_EQ(device.Memory()->free_bytes, 128 * kMiB);  // the host keeps a reserve
  EXPECT_TRUE(device.Allocate(100 * kMiB).ok());
  const absl::Status status = device.Allocate(200 * kMiB).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  const ErrorInfo info = GetErrorInfo(status);
  EXPECT_EQ(info.reason, "DEVICE_MEMORY_EXHAUSTED");
  EXPECT_EQ(info.metadata.at("needed_bytes"), std::to_string(200 * kMiB));
  EXPECT_EQ(info.metadata.at("free_bytes"), std::to_string(128 * kMiB));
}

TEST(CpuDevice, RefusesAnAbsurdAllocationOnARealHost) {
  CpuDevice device({.threads = 1, .read_memory = {}});
  EXPECT_EQ(GetErrorInfo(device.Allocate(size_t{1} << 60).status()).reason,
            "DEVICE_MEMORY_EXHAUSTED");
}

TEST(CpuDevice, ARecordingReplaysWhatWasEnqueued) {
  CpuDevice device({.threads = 1, .read_memory = {}});
  int calls = 0;
  auto recording = device.Record([&] {
    ++calls;
    return absl::OkStatus();
  });
  ASSERT_TRUE(recording.ok());
  const int recorded = calls;
  const auto timing = (*recording)->Replay();
  ASSERT_TRUE(timing.ok());
  EXPECT_GE(timing->seconds, 0);
  EXPECT_EQ(calls, recorded + 1);
}

TEST(CpuDevice, ARecordingReturnsTheErrorOfItsWork) {
  CpuDevice device({.threads = 1, .read_memory = {}});
  EXPECT_FALSE(device.Record([] { return absl::InternalError("broken"); }).ok());
  bool is_broken = false;
  auto recording =
      device.Record([&] { return is_broken ? absl::InternalError("broken") : absl::OkStatus(); });
  ASSERT_TRUE(recording.ok());
  is_broken = true;
  EXPECT_EQ((*recording)->Replay().status().message(), "broken");
}

TEST(CpuDevice, DenseMultiplyAgreesWithDoublePrecision) {
  constexpr int64_t kOut = 37;
  constexpr int64_t kIn = 65;
  CpuDevice device({.threads = 2, .read_memory = {}});
  std::vector<float> w(kOut * kIn);
  FillNormal(1, RandomStream::kTest, 0, w);
  for (const int64_t batch : {1, 2, 5}) {
    std::vector<float> x(batch * kIn);
    FillNormal(2, RandomStream::kTest, 0, x);
    std::vector<float> y(batch * kOut, NAN);
    auto dense = device.PrepareDense({.out_features = kOut, .in_features = kIn, .batch = batch});
    ASSERT_TRUE(dense.ok()) << dense.status();
    ASSERT_TRUE((*dense)->Run(w.data(), x.data(), y.data()).ok());
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t row = 0; row < kOut; ++row) {
        double exact = 0;
        for (int64_t col = 0; col < kIn; ++col) {
          exact += double{w[row * kIn + col]} * double{x[b * kIn + col]};
        }
        EXPECT_NEAR(y[b * kOut + row], exact, 1e-4);
      }
    }
    EXPECT_THAT((*dense)->description(), HasSubstr(batch == 1 ? "cblas_sgemv" : "cblas_sgemm"));
  }
}

TEST(CpuDevice, ConvertsAsTheHostDoesWhateverTheCount) {
  CpuDevice device({.threads = 3, .read_memory = {}});
  for (const int64_t count : {0, 1, 7, 1 << 14, (1 << 14) + 1, 100003}) {
    std::vector<float> source(count);
    FillNormal(3, RandomStream::kTest, 0, source);
    std::vector<uint16_t> got(count + 1, 0xFFFF);
    std::vector<uint16_t> expected = got;
    ASSERT_TRUE(device.Convert(got.data(), DType::kBF16, source.data(), DType::kF32, count).ok());
    ConvertFloats(expected.data(), DType::kBF16, source.data(), DType::kF32, count);
    EXPECT_EQ(got, expected) << count;
    std::vector<float> back(count + 1, -1.0f);
    ASSERT_TRUE(device.Convert(back.data(), DType::kF32, got.data(), DType::kBF16, count).ok());
    for (int64_t i = 0; i < count; ++i) ASSERT_EQ(back[i], Bfloat16ToFloat(expected[i]));
    EXPECT_EQ(back[count], -1.0f);
  }
}

TEST(CpuDevice, ConvertsFloatTypesAlone) {
  CpuDevice device({.threads = 1, .read_memory = {}});
  float value = 1;
  EXPECT_EQ(GetErrorInfo(device.Convert(&value, DType::kF32, &value, DType::kI32, 1)).reason,
            "DTYPE_UNSUPPORTED");
}

TEST(CpuDevice, RefusesDenseProblemsThatItCannotDo) {
  CpuDevice device({.threads = 1, .read_memory = {}});
  const auto reason = [&](const DenseProblem& problem) {
    return GetErrorInfo(device.PrepareDense(problem).status()).reason;
  };
  EXPECT_EQ(reason({.out_features = 0, .in_features = 1, .batch = 1}), "DENSE_PROBLEM_INVALID");
  EXPECT_EQ(reason({.out_features = 1, .in_features = int64_t{1} << 40, .batch = 1}),
            "DENSE_PROBLEM_INVALID");
  EXPECT_EQ(reason({.out_features = 1, .in_features = 1, .batch = 1, .output_dtype = DType::kF16}),
            "DENSE_PROBLEM_INVALID");
  EXPECT_EQ(reason({.out_features = 1, .in_features = 1, .input_dtype = DType::kBF16}),
            "DENSE_PROBLEM_INVALID");
  EXPECT_FALSE(device.info().multiplies_bf16);
}

TEST(CpuBackend, OpensItsOnlyDevice) {
  const std::unique_ptr<Backend> backend = MakeCpuBackend(2);
  EXPECT_EQ(backend->id(), "cpu");
  EXPECT_EQ(*backend->DeviceCount(), 1);
  const auto device = backend->OpenDevice(0);
  ASSERT_TRUE(device.ok());
  EXPECT_EQ((*device)->info().compute_units, 2);
  EXPECT_EQ(GetErrorInfo(backend->OpenDevice(1).status()).reason, "DEVICE_UNKNOWN");
}

TEST(CpuDevice, TheCeilingIsOneThatAHostCanHave) {
  CpuDevice device({.threads = 2, .read_memory = {}});
  const auto ceiling = device.MeasureCeiling([] { return false; });
  ASSERT_TRUE(ceiling.ok()) << ceiling.status();
  ASSERT_GE(ceiling->read.size(), 2u);
  for (const auto* curve : {&ceiling->read, &ceiling->copy}) {
    EXPECT_EQ(curve->front().bytes, uint64_t{1} << 20);
    for (const BandwidthPoint& point : *curve) {
      EXPECT_GT(point.bytes / point.seconds, 1e7);  // the slowest host under a sanitizer
      EXPECT_LT(point.bytes / point.seconds, 1e13);
    }
  }
  const uint64_t cache = device.info().last_level_cache_bytes;
  ASSERT_EQ(ceiling->read_cached.empty(), cache < uint64_t{1} << 20);
  if (!ceiling->read_cached.empty()) {
    EXPECT_LE(ceiling->read_cached.back().bytes, cache);
  }
  EXPECT_LT(ceiling->clock_hertz, 10e9);
  EXPECT_GT(ceiling->clock_hertz, 10e6);
  EXPECT_EQ(ceiling->launch_seconds, 0);
  EXPECT_TRUE(ceiling->rates.empty());
}

TEST(CpuDevice, ACeilingCanBeCancelled) {
  CpuDevice device({.threads = 1, .read_memory = {}});
  const auto ceiling = device.MeasureCeiling([] { return true; });
  EXPECT_EQ(GetErrorInfo(ceiling.status()).reason, "CANCELLED");
}

TEST(CpuDevice, TheCeilingTakesNoMoreMemoryThanThereIs) {
  CpuDevice device({.threads = 1, .read_memory = [] {
                      return HostMemory{uint64_t{1} << 30, uint64_t{192} << 20};
                    }});
  const auto ceiling = device.MeasureCeiling([] { return false; });
  ASSERT_TRUE(ceiling.ok()) << ceiling.status();
  EXPECT_EQ(ceiling->read.back().bytes, uint64_t{16} << 20);  // a quarter of what is not reserved
  const bool is_beyond_cache = uint64_t{16} << 20 >= 3 * device.info().last_level_cache_bytes;
  EXPECT_EQ(ceiling->problem.empty(), is_beyond_cache);
}

}  // namespace
}  // namespace qtipd
