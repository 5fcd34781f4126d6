#include "kernels/cuda/cuda_ceiling.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/cuda/cuda_ceiling_kernels.h"

namespace qtipd {
namespace {

constexpr int kReplays = 5;
constexpr int kMedians = 3;  // an interruption only ever makes one of them slower
constexpr uint64_t kSmallest = uint64_t{1} << 20;
constexpr uint64_t kLargest = uint64_t{1} << 30;
// What one replay reads at least, in multiples of L2 and in bytes: what it began with is then gone
// from the cache when the next one begins.
constexpr uint64_t kCacheFactor = 4;
constexpr int kFewNodes = 50;
constexpr int kManyNodes = 250;
// Of the device's time under load, in which an idle one reaches its clocks.
constexpr double kWarmUpSeconds = 0.1;

using Enqueue = std::function<absl::Status(int index)>;

bool IsFaster(const ReplayTiming& a, const ReplayTiming& b) { return a.seconds < b.seconds; }

// Replays graphs on one device.
class Meter {
 public:
  Meter(CudaDevice& device, const std::function<bool()>& is_cancelled)
      : device_(device), is_cancelled_(is_cancelled) {}

  CudaDevice& device() const { return device_; }

  // The least of several median replays of enqueue(0) ... enqueue(count - 1).
  absl::StatusOr<ReplayTiming> Best(int count, const Enqueue& enqueue) const {
    QTIPD_ASSIGN_OR_RETURN(const auto recording, Record(count, enqueue));
    QTIPD_RETURN_IF_ERROR(recording->Replay().status());
    std::vector<ReplayTiming> medians(kMedians);
    for (ReplayTiming& median : medians) {
      QTIPD_ASSIGN_OR_RETURN(median, Median(*recording));
    }
    return *std::min_element(medians.begin(), medians.end(), IsFaster);
  }

  // Replays until the device was busy for `seconds`.
  absl::Status Spend(double seconds, int count, const Enqueue& enqueue) const {
    QTIPD_ASSIGN_OR_RETURN(const auto recording, Record(count, enqueue));
    while (seconds > 0) {
      QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, Replay(*recording));
      seconds -= timing.seconds;
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::unique_ptr<Recording>> Record(int count, const Enqueue& enqueue) const {
    return device_.Record([&]() -> absl::Status {
      for (int i = 0; i < count; ++i) QTIPD_RETURN_IF_ERROR(enqueue(i));
      return absl::OkStatus();
    });
  }
  absl::StatusOr<ReplayTiming> Replay(Recording& recording) const {
    if (is_cancelled_()) {
      return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "cancelled between replays");
    }
    return recording.Replay();
  }
  absl::StatusOr<ReplayTiming> Median(Recording& recording) const {
    std::vector<ReplayTiming> timings(kReplays);
    for (ReplayTiming& timing : timings) {
      QTIPD_ASSIGN_OR_RETURN(timing, Replay(recording));
    }
    const auto middle = timings.begin() + kReplays / 2;
    std::nth_element(timings.begin(), middle, timings.end(), IsFaster);
    return *middle;
  }

  CudaDevice& device_;
  const std::function<bool()>& is_cancelled_;
};

uint64_t ColdBytes(const CudaDevice& device) {
  return std::max(kColdBytesOnGpu, kCacheFactor * device.info().last_level_cache_bytes);
}

// The buffer that the curves run over: a power of two up to kLargest, a quarter of what is free.
absl::StatusOr<Buffer> AllocateCurveMemory(CudaDevice& device) {
  QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, device.Memory());
  const uint64_t least = ColdBytes(device);
  uint64_t bytes = kLargest;
  while (bytes > least && bytes > memory.free_bytes / 4) bytes /= 2;
  QTIPD_ASSIGN_OR_RETURN(Buffer buffer, device.Allocate(std::max(bytes, least)));
  QTIPD_RETURN_IF_ERROR(device.Fill(buffer.data(), 0, buffer.bytes()));
  return buffer;
}

// run(data, size) enqueues one pass over `size` bytes at `data`.
using Pass = std::function<absl::Status(char* data, uint64_t size)>;

// Passes over `size` bytes each, one window of `buffer` after the other, as many as leave the cache
// cold; or, where `is_cached`, over the same window again and again.
absl::StatusOr<BandwidthPoint> MeasurePoint(const Meter& meter, const Buffer& buffer, uint64_t size,
                                            bool is_cached, const Pass& run) {
  const uint64_t windows = is_cached ? 1 : buffer.bytes() / size;
  const uint64_t least = ColdBytes(meter.device());
  const int passes = static_cast<int>(std::max<uint64_t>(2, (least + size - 1) / size));
  QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, meter.Best(passes, [&](int i) {
    return run(buffer.as<char>() + i % windows * size, size);
  }));
  return BandwidthPoint{.bytes = size, .seconds = timing.seconds / passes};
}

absl::StatusOr<std::vector<BandwidthPoint>> MeasureCurve(const Meter& meter, const Buffer& buffer,
                                                         bool is_cached, const Pass& run) {
  const uint64_t largest =
      is_cached ? meter.device().info().last_level_cache_bytes : buffer.bytes();
  std::vector<BandwidthPoint> curve;
  for (uint64_t size = kSmallest; size <= largest; size *= 2) {
    QTIPD_ASSIGN_OR_RETURN(const BandwidthPoint point,
                           MeasurePoint(meter, buffer, size, is_cached, run));
    curve.push_back(point);
  }
  return curve;
}

// Point by point, the faster of two curves over the same sizes; `into` may be empty.
void TakeFaster(const std::vector<BandwidthPoint>& curve, std::vector<BandwidthPoint>& into) {
  if (into.empty()) into = curve;
  for (size_t i = 0; i < curve.size(); ++i) {
    into[i].seconds = std::min(into[i].seconds, curve[i].seconds);
  }
}

absl::Status MeasureCurves(const Meter& meter, DeviceCeiling& ceiling) {
  CudaDevice& device = meter.device();
  QTIPD_ASSIGN_OR_RETURN(const Buffer buffer, AllocateCurveMemory(device));
  QTIPD_ASSIGN_OR_RETURN(const Buffer sink, device.Allocate(sizeof(uint32_t)));
  for (int way = 0; way < kReadWays; ++way) {
    const Pass read = [&](char* data, uint64_t size) {
      return LaunchRead(device, way, data, size, sink.data());
    };
    QTIPD_ASSIGN_OR_RETURN(const auto cold, MeasureCurve(meter, buffer, false, read));
    TakeFaster(cold, ceiling.read);
    QTIPD_ASSIGN_OR_RETURN(const auto cached, MeasureCurve(meter, buffer, true, read));
    TakeFaster(cached, ceiling.read_cached);
  }
  const Pass copy = [&](char* data, uint64_t size) {
    return LaunchCopy(device, data + size / 2, data, size / 2);
  };
  QTIPD_ASSIGN_OR_RETURN(ceiling.copy, MeasureCurve(meter, buffer, false, copy));
  return absl::OkStatus();
}

// Each further empty kernel of a graph.
absl::StatusOr<double> LaunchSeconds(const Meter& meter, bool overlaps) {
  const Enqueue empty = [&](int) { return LaunchEmpty(meter.device(), overlaps); };
  QTIPD_ASSIGN_OR_RETURN(const ReplayTiming few, meter.Best(kFewNodes, empty));
  QTIPD_ASSIGN_OR_RETURN(const ReplayTiming many, meter.Best(kManyNodes, empty));
  return (many.seconds - few.seconds) / (kManyNodes - kFewNodes);
}

absl::Status MeasureLaunches(const Meter& meter, DeviceCeiling& ceiling) {
  QTIPD_ASSIGN_OR_RETURN(ceiling.launch_seconds, LaunchSeconds(meter, false));
  if (meter.device().compute_capability() >= 90) {
    QTIPD_ASSIGN_OR_RETURN(ceiling.overlapped_launch_seconds, LaunchSeconds(meter, true));
  }
  QTIPD_ASSIGN_OR_RETURN(const ReplayTiming empty,
                         meter.Best(0, [](int) { return absl::OkStatus(); }));
  ceiling.replay_seconds = empty.seconds;
  return absl::OkStatus();
}

absl::Status MeasureRates(const Meter& meter, DeviceCeiling& ceiling) {
  CudaDevice& device = meter.device();
  QTIPD_ASSIGN_OR_RETURN(const Buffer sink, device.Allocate(sizeof(uint32_t)));
  const Enqueue issues = [&](int) { return LaunchIssue(device, sink.data()); };
  QTIPD_RETURN_IF_ERROR(meter.Spend(kWarmUpSeconds, 2, issues));
  QTIPD_ASSIGN_OR_RETURN(const ReplayTiming issue, meter.Best(2, issues));
  QTIPD_ASSIGN_OR_RETURN(const ReplayTiming loads, meter.Best(2, [&](int) {
    return LaunchSharedLoads(device, sink.data());
  }));
  ceiling.rates["issue"] = 2 * IssueInstructions(device) / issue.seconds;
  ceiling.rates["shared_memory"] = 2 * SharedLoadWavefronts(device) / loads.seconds;
  ceiling.clock_hertz = issue.clock_hertz;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DeviceCeiling> MeasureCudaCeiling(CudaDevice& device,
                                                 const std::function<bool()>& is_cancelled) {
  const Meter meter(device, is_cancelled);
  DeviceCeiling ceiling;
  // The rates first: with them goes the warm-up, after which nothing lets the device idle.
  QTIPD_RETURN_IF_ERROR(MeasureRates(meter, ceiling));
  QTIPD_RETURN_IF_ERROR(MeasureLaunches(meter, ceiling));
  QTIPD_RETURN_IF_ERROR(MeasureCurves(meter, ceiling));
  return ceiling;
}

}  // namespace qtipd
