#include <atomic>
#include <string>

#include "kernels/api/error.h"
#include "kernels/cuda/cuda_gate.h"
#include "kernels/cuda/ptx/memory.h"
#include "kernels/cuda/ptx/timer.h"

namespace qtipd {
namespace {

// Both clocks of a multiprocessor at one moment.
struct ClockStamp {
  uint64_t nanoseconds;
  uint64_t cycles;
  uint32_t ticket;  // of the replay that it belongs to
};

}  // namespace

// In the host's memory, on lines of their own: the GPU polls the first while the host writes it.
struct CudaGateMemory {
  alignas(128) uint32_t released;  // ticket of the newest gate that was opened
  alignas(128) uint32_t expired;   // ticket of the newest gate that ended by itself
  alignas(128) ClockStamp begin;
  alignas(128) ClockStamp end;
  uint64_t tick_nanoseconds;  // of the GPU-wide timer
};

namespace {

constexpr int kTicksSeen = 16;
// A span of fewer ticks tells a clock worse than within 1 %.
constexpr uint64_t kLeastTicks = 100;

// The least step that the timer was seen to make.
__global__ void MeasureTick(CudaGateMemory* memory) {
  uint64_t least = UINT64_MAX;
  uint64_t last = ptx::GlobalTimerNanoseconds();
  for (int seen = 0; seen < kTicksSeen;) {
    const uint64_t now = ptx::GlobalTimerNanoseconds();
    if (now == last) continue;
    least = min(least, now - last);
    last = now;
    ++seen;
  }
  memory->tick_nanoseconds = least;
}

__global__ void WaitForHost(CudaGateMemory* memory, uint32_t* multiprocessor, uint32_t ticket,
                            uint64_t timeout_nanoseconds) {
  const uint64_t end = ptx::GlobalTimerNanoseconds() + timeout_nanoseconds;
  *multiprocessor = ptx::MultiprocessorId();
  while (ptx::LoadSystem(&memory->released) != ticket) {
    if (ptx::GlobalTimerNanoseconds() < end) continue;
    memory->expired = ticket;
    return;
  }
  memory->begin = {ptx::GlobalTimerNanoseconds(), ptx::ClockCycles(), ticket};
}

// One block a multiprocessor; the one on that of the gate writes. A write to the host is what takes
// time here: one is enough.
__global__ void StampClocks(CudaGateMemory* memory, const uint32_t* multiprocessor,
                            uint32_t ticket) {
  if (ptx::MultiprocessorId() != *multiprocessor) return;
  memory->end = {ptx::GlobalTimerNanoseconds(), ptx::ClockCycles(), ticket};
}

}  // namespace

absl::StatusOr<std::unique_ptr<CudaGate>> CudaGate::Create(cudaStream_t stream,
                                                           std::chrono::nanoseconds timeout) {
  std::unique_ptr<CudaGate> gate(new CudaGate(stream, timeout));
  int device = 0;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGetDevice(&device));
  QTIPD_RETURN_IF_CUDA_ERROR(
      cudaDeviceGetAttribute(&gate->blocks_, cudaDevAttrMultiProcessorCount, device));
  void* memory = nullptr;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaHostAlloc(&memory, sizeof(CudaGateMemory), cudaHostAllocMapped));
  gate->memory_.reset(new (memory) CudaGateMemory());
  void* multiprocessor = nullptr;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaMalloc(&multiprocessor, sizeof(uint32_t)));
  gate->multiprocessor_.reset(static_cast<uint32_t*>(multiprocessor));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaMemsetAsync(multiprocessor, 0, sizeof(uint32_t), stream));
  MeasureTick<<<1, 1, 0, stream>>>(gate->memory_.get());
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGetLastError());
  // The stamp first: while a module is being loaded the gate must not be closed.
  QTIPD_RETURN_IF_ERROR(gate->Stamp());
  QTIPD_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream));
  const absl::Status closed = gate->Close();
  gate->Open();
  QTIPD_RETURN_IF_ERROR(closed);
  QTIPD_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream));
  return gate;
}

absl::Status CudaGate::Close() {
  ++ticket_;
  WaitForHost<<<1, 1, 0, stream_>>>(memory_.get(), multiprocessor_.get(), ticket_,
                                    static_cast<uint64_t>(timeout_.count()));
  return QTIPD_CUDA_STATUS(cudaGetLastError());
}

absl::Status CudaGate::Stamp() {
  StampClocks<<<blocks_, 1, 0, stream_>>>(memory_.get(), multiprocessor_.get(), ticket_);
  return QTIPD_CUDA_STATUS(cudaGetLastError());
}

void CudaGate::Open() {
  std::atomic_ref<uint32_t>(memory_->released).store(ticket_, std::memory_order_release);
}

absl::Status CudaGate::Check() const {
  if (std::atomic_ref<uint32_t>(memory_->expired).load(std::memory_order_acquire) != ticket_) {
    return absl::OkStatus();
  }
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(timeout_).count();
  return FieldError(absl::StatusCode::kUnavailable, "REPLAY_BLOCKED_TIMEOUT",
                    "time to queue a replay", "more than " + std::to_string(limit) + " ms",
                    "less; the host is overloaded or the driver was blocked, try again");
}

double CudaGate::ClockHertz() const {
  const ClockStamp& begin = memory_->begin;
  const ClockStamp& end = memory_->end;
  if (begin.ticket != ticket_ || end.ticket != ticket_) return 0;
  const uint64_t span = end.nanoseconds - begin.nanoseconds;
  if (end.nanoseconds <= begin.nanoseconds) return 0;
  if (span < kLeastTicks * memory_->tick_nanoseconds) return 0;
  return 1e9 * static_cast<double>(end.cycles - begin.cycles) / static_cast<double>(span);
}

}  // namespace qtipd
