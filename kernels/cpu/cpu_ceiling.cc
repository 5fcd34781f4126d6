#include "kernels/cpu/cpu_ceiling.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr uint64_t kSmallest = uint64_t{1} << 20;
constexpr uint64_t kLargest = uint64_t{256} << 20;
constexpr uint64_t kCacheFactor = 3;
// Medians of passes at one size: one, and more as time allows.
constexpr int kPasses = 3;
constexpr int kMostMedians = 3;
constexpr double kSecondsPerSize = 0.05;
constexpr int64_t kPageBytes = 4096;
constexpr int kEmptyReplays = 101;
constexpr int kClockRounds = 5;
constexpr int64_t kClockSteps = 1 << 18;
constexpr int kStepsUnrolled = 32;

using Seconds = std::chrono::duration<double>;

double Now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The compiler must assume that `value` is used and changed.
template <typename T>
void Keep(T& value) {
  asm volatile("" : "+r"(value));
}

void ReadPages(const char* data, int64_t pages) {
  constexpr int kSums = 8;
  uint64_t sums[kSums] = {};
  const auto* words = reinterpret_cast<const uint64_t*>(data);
  for (int64_t i = 0; i < pages * kPageBytes / 8; i += kSums) {
    for (int k = 0; k < kSums; ++k) sums[k] += words[i + k];
  }
  for (uint64_t& sum : sums) Keep(sum);
}

// Runs pass(data, size) over windows of `size` bytes, each the one after the last, all around the
// buffer: `cursor` goes on from size to size. Where `is_cached`, always over the first. Returns the
// least of several medians: a disturbance only ever makes one longer.
template <typename Pass>
double BestPass(const Buffer& buffer, uint64_t size, bool is_cached, uint64_t& cursor,
                const Pass& pass) {
  double best = std::numeric_limits<double>::infinity();
  const double begin = Now();
  for (int median = 0; median < kMostMedians; ++median) {
    if (median > 0 && Now() - begin >= kSecondsPerSize) break;
    std::vector<double> seconds(kPasses);
    for (double& s : seconds) {
      if (is_cached || cursor + size > buffer.bytes()) cursor = 0;
      const double start = Now();
      pass(buffer.as<char>() + cursor, size);
      s = Now() - start;
      cursor += size;
    }
    best = std::min(best, Median(std::move(seconds)));
  }
  return best;
}

template <typename Pass>
absl::StatusOr<std::vector<BandwidthPoint>> MeasureCurve(const Buffer& buffer, uint64_t largest,
                                                         bool is_cached,
                                                         const std::function<bool()>& is_cancelled,
                                                         const Pass& pass) {
  std::vector<BandwidthPoint> curve;
  uint64_t cursor = 0;
  for (uint64_t size = kSmallest; size <= std::min(largest, buffer.bytes()); size *= 2) {
    if (is_cancelled()) {
      return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "cancelled between sizes");
    }
    curve.push_back({.bytes = size, .seconds = BestPass(buffer, size, is_cached, cursor, pass)});
  }
  return curve;
}

uint64_t WantedScratch(const CpuDevice& device) {
  return std::max(kLargest, kCacheFactor * device.info().last_level_cache_bytes);
}

absl::StatusOr<Buffer> AllocateScratch(CpuDevice& device) {
  QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, device.Memory());
  const uint64_t wanted = WantedScratch(device);
  const uint64_t affordable = std::max(kSmallest, memory.free_bytes / 4);
  const uint64_t bytes = std::min(wanted, affordable) / kPageBytes * kPageBytes;
  QTIPD_ASSIGN_OR_RETURN(Buffer buffer, device.Allocate(bytes));
  device.pool().ParallelFor(static_cast<int64_t>(bytes), [&](int, int64_t begin, int64_t end) {
    std::memset(buffer.as<char>() + begin, 1, static_cast<size_t>(end - begin));
  });
  return buffer;
}

absl::Status MeasureCurves(CpuDevice& device, const Buffer& buffer,
                           const std::function<bool()>& is_cancelled, DeviceCeiling& ceiling) {
  ThreadPool& pool = device.pool();
  const auto read = [&](const char* data, uint64_t size) {
    pool.ParallelFor(static_cast<int64_t>(size) / kPageBytes, [&](int, int64_t begin, int64_t end) {
      ReadPages(data + begin * kPageBytes, end - begin);
    });
  };
  const auto copy = [&](char* data, uint64_t size) {
    const auto half = static_cast<int64_t>(size / 2);
    pool.ParallelFor(half / kPageBytes, [&](int, int64_t begin, int64_t end) {
      std::memcpy(data + half + begin * kPageBytes, data + begin * kPageBytes,
                  static_cast<size_t>((end - begin) * kPageBytes));
    });
  };
  QTIPD_ASSIGN_OR_RETURN(ceiling.read, MeasureCurve(buffer, kLargest, false, is_cancelled, read));
  QTIPD_ASSIGN_OR_RETURN(ceiling.copy, MeasureCurve(buffer, kLargest, false, is_cancelled, copy));
  const uint64_t cache = device.info().last_level_cache_bytes;
  QTIPD_ASSIGN_OR_RETURN(ceiling.read_cached,
                         MeasureCurve(buffer, std::min(cache, kLargest), true, is_cancelled, read));
  return absl::OkStatus();
}

absl::StatusOr<double> EmptyReplaySeconds(CpuDevice& device) {
  QTIPD_ASSIGN_OR_RETURN(const auto recording, device.Record([] { return absl::OkStatus(); }));
  std::vector<double> seconds(kEmptyReplays);
  for (double& s : seconds) {
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, recording->Replay());
    s = timing.seconds;
  }
  return Median(std::move(seconds));
}

}  // namespace

double MeasureCoreClockHertz() {
  double fastest = 0;  // an interruption only ever makes a round slower
  for (int round = 0; round < kClockRounds; ++round) {
    uint64_t sum = 0;
    uint64_t step = 3;
    Keep(step);  // a register: some cores do chains of small constants for nothing
    const double start = Now();
    for (int64_t i = 0; i < kClockSteps; ++i) {
#pragma GCC unroll 32
      for (int k = 0; k < kStepsUnrolled; ++k) {
        sum += step;
        Keep(sum);
      }
    }
    const double seconds = Now() - start;
    fastest = std::max(fastest, kClockSteps * kStepsUnrolled / seconds);
  }
  return fastest;
}

absl::StatusOr<DeviceCeiling> MeasureCpuCeiling(CpuDevice& device,
                                                const std::function<bool()>& is_cancelled) {
  DeviceCeiling ceiling;
  ceiling.clock_hertz = MeasureCoreClockHertz();
  QTIPD_ASSIGN_OR_RETURN(ceiling.replay_seconds, EmptyReplaySeconds(device));
  QTIPD_ASSIGN_OR_RETURN(const Buffer buffer, AllocateScratch(device));
  if (buffer.bytes() < kCacheFactor * device.info().last_level_cache_bytes) {
    ceiling.problem = "too little free memory for a scratch buffer of three times the cache";
  }
  QTIPD_RETURN_IF_ERROR(MeasureCurves(device, buffer, is_cancelled, ceiling));
  return ceiling;
}

}  // namespace qtipd
