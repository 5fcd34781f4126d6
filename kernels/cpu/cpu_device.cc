#include "kernels/cpu/cpu_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "hwy/targets.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/cpu_ceiling.h"
#include "kernels/cpu/openblas_dense.h"

namespace qtipd {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kHugePageBytes = size_t{2} << 20;
// Left for the rest of the host: an allocation that took the last page would get us killed.
constexpr uint64_t kReserveBytes = uint64_t{128} << 20;
// Asking the system costs tens of microseconds; smaller blocks cannot exhaust it by themselves.
constexpr size_t kUncheckedBytes = size_t{1} << 20;

// A cache that does not replace the oldest line first wants more than its own size to forget all.
constexpr uint64_t kFlushFactor = 2;
constexpr int64_t kLineBytes = 64;
constexpr uint64_t kLeastFlushBytes = uint64_t{64} << 20;

// Of a conversion that one thread does sooner than it would wake another.
constexpr int64_t kConvertedAlone = 1 << 14;

class CallRecording final : public Recording {
 public:
  explicit CallRecording(std::function<absl::Status()> enqueue) : enqueue_(std::move(enqueue)) {}

  absl::StatusOr<ReplayTiming> Replay() override {
    const auto start = std::chrono::steady_clock::now();
    const absl::Status status = enqueue_();
    const auto end = std::chrono::steady_clock::now();
    QTIPD_RETURN_IF_ERROR(status);
    return ReplayTiming{.seconds = std::chrono::duration<double>(end - start).count()};
  }

 private:
  std::function<absl::Status()> enqueue_;
};

// Highway numbers better targets lower within an architecture.
std::string BestInstructionSet() {
  const int64_t targets = hwy::SupportedTargets();
  return hwy::TargetName(targets & -targets);
}

DeviceInfo MakeInfo(const HostFacts& facts, const HostMemory& memory, int threads) {
  DeviceInfo info;
  info.id = "cpu";
  info.backend = "cpu";
  info.name = facts.cpu_name.empty() ? "CPU" : facts.cpu_name;
  info.memory_bytes = memory.total_bytes;
  info.last_level_cache_bytes = facts.last_level_cache_bytes;
  info.compute_units = threads;
  info.is_synchronous = true;
  info.compute_dtype = DType::kF32;
  info.properties = {{"instruction_set", BestInstructionSet()},
                     {"blas", OpenBlasDescription()},
                     {"threads", std::to_string(threads)}};
  return info;
}

absl::Status MemoryExhausted(size_t needed, uint64_t free) {
  return MakeError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED",
                   "device memory: got a need of " + std::to_string(needed) +
                       " bytes, allowed the " + std::to_string(free) + " bytes free on cpu",
                   {{"device", "cpu"},
                    {"needed_bytes", std::to_string(needed)},
                    {"free_bytes", std::to_string(free)}});
}

}  // namespace

CpuDevice::CpuDevice(CpuDeviceConfig config)
    : read_memory_(config.read_memory ? std::move(config.read_memory)
                                      : [] { return ReadHostMemory(); }),
      pool_(config.threads > 0 ? config.threads : ReadHostFacts().usable_threads) {
  SetOpenBlasThreads(pool_.threads());
  info_ = MakeInfo(ReadHostFacts(), read_memory_(), pool_.threads());
}

absl::StatusOr<DeviceMemory> CpuDevice::Memory() {
  const HostMemory memory = read_memory_();
  return DeviceMemory{memory.available_bytes - std::min(memory.available_bytes, kReserveBytes),
                      memory.total_bytes};
}

absl::StatusOr<Buffer> CpuDevice::Allocate(size_t bytes) {
  if (bytes > kUncheckedBytes) {
    QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, Memory());
    if (bytes > memory.free_bytes) return MemoryExhausted(bytes, memory.free_bytes);
  }
  const bool is_huge = bytes >= kHugePageBytes;
  void* data = nullptr;
  if (posix_memalign(&data, is_huge ? kHugePageBytes : kAlignment, std::max<size_t>(bytes, 1)) !=
      0) {
    QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, Memory());
    return MemoryExhausted(bytes, memory.free_bytes);
  }
  // Only advice: where it is refused, pages are small and reads a few percent slower.
  if (is_huge) madvise(data, bytes - bytes % kHugePageBytes, MADV_HUGEPAGE);
  return Buffer(this, data, bytes);
}

void CpuDevice::Free(void* data) { std::free(data); }

absl::Status CpuDevice::CopyToDevice(void* device_dst, const void* host_src, size_t bytes) {
  return Copy(device_dst, host_src, bytes);
}

absl::Status CpuDevice::CopyToHost(void* host_dst, const void* device_src, size_t bytes) {
  return Copy(host_dst, device_src, bytes);
}

absl::Status CpuDevice::Copy(void* dst, const void* src, size_t bytes) {
  if (bytes > 0) std::memmove(dst, src, bytes);
  return absl::OkStatus();
}

absl::Status CpuDevice::Fill(void* dst, uint8_t value, size_t bytes) {
  if (bytes > 0) std::memset(dst, value, bytes);
  return absl::OkStatus();
}

absl::Status CpuDevice::Convert(void* dst, DType dst_dtype, const void* src, DType src_dtype,
                                int64_t count) {
  QTIPD_RETURN_IF_ERROR(CheckConvertible(dst_dtype, src_dtype));
  const auto convert = [&](int, int64_t begin, int64_t end) {
    ConvertFloats(static_cast<std::byte*>(dst) + begin * DTypeSize(dst_dtype), dst_dtype,
                  static_cast<const std::byte*>(src) + begin * DTypeSize(src_dtype), src_dtype,
                  end - begin);
  };
  if (count <= kConvertedAlone) {
    convert(0, 0, count);
  } else {
    pool_.ParallelFor(count, convert);
  }
  return absl::OkStatus();
}

absl::Status CpuDevice::FlushCaches() {
  if (flush_memory_.data() == nullptr) {
    const size_t bytes = std::max(kFlushFactor * info_.last_level_cache_bytes, kLeastFlushBytes);
    QTIPD_ASSIGN_OR_RETURN(flush_memory_, Allocate(bytes));
    // Pages that were never written may all be one page of zeros.
    QTIPD_RETURN_IF_ERROR(Fill(flush_memory_.data(), 1, bytes));
  }
  // Reads, as large fills may pass the caches by; on every thread, as each core has caches of its
  // own. That also keeps the threads awake for the run that follows.
  const auto* bytes = flush_memory_.as<const volatile char>();
  const auto lines = static_cast<int64_t>(flush_memory_.bytes() / kLineBytes);
  pool_.ParallelFor(lines, [bytes](int, int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) static_cast<void>(bytes[line * kLineBytes]);
  });
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Recording>> CpuDevice::Record(
    const std::function<absl::Status()>& enqueue) {
  QTIPD_RETURN_IF_ERROR(enqueue());
  return std::make_unique<CallRecording>(enqueue);
}

absl::StatusOr<std::unique_ptr<DenseMultiply>> CpuDevice::PrepareDense(
    const DenseProblem& problem) {
  return PrepareOpenBlasDense(problem);
}

absl::StatusOr<DeviceCeiling> CpuDevice::MeasureCeiling(const std::function<bool()>& is_cancelled) {
  return MeasureCpuCeiling(*this, is_cancelled);
}

}  // namespace qtipd
