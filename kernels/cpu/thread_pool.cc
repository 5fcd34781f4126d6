#include "kernels/cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "hwy/cache_control.h"

namespace qtipd {
namespace {

// Polling first, for the gap between two steps; then polling that gives the core to whoever wants
// it (OpenBLAS's own threads), for the gap between two samples. Sleeping comes last: where waking
// takes 100 us, as in a virtual machine, a team that has once slept would be late for every loop
// after.
constexpr int kSpins = 1000;
constexpr auto kYielding = std::chrono::milliseconds(2);

// Waits until `value` differs from `old`: spins, then yields, then sleeps.
uint32_t WaitForChange(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    hwy::Pause();
  }
  const auto end = std::chrono::steady_clock::now() + kYielding;
  while (std::chrono::steady_clock::now() < end) {
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    std::this_thread::yield();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

IndexRange StaticRange(int64_t count, int worker, int workers) {
  const int64_t base = count / workers;
  const int64_t extra = count % workers;  // the first `extra` parts are one longer
  const int64_t begin = base * worker + std::min<int64_t>(worker, extra);
  return {begin, begin + base + (worker < extra ? 1 : 0)};
}

ThreadPool::ThreadPool(int threads) {
  for (int worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker] { WorkerLoop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  is_stopping_.store(true, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(int64_t count, Call call, void* context) {
  if (count <= 0) return;
  if (workers_.empty() || count == 1) {
    call(context, 0, 0, count);
    return;
  }
  call_ = call;
  context_ = context;
  count_ = count;
  unfinished_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  RunPart(0);
  uint32_t unfinished = unfinished_.load(std::memory_order_acquire);
  while (unfinished != 0) unfinished = WaitForChange(unfinished_, unfinished);
}

void ThreadPool::RunPart(int worker) const {
  const IndexRange range = StaticRange(count_, worker, threads());
  if (range.begin < range.end) call_(context_, worker, range.begin, range.end);
}

void ThreadPool::WorkerLoop(int worker) {
  uint32_t generation = 0;
  while (true) {
    // The team finishes a loop before the next one starts, so no generation is missed.
    generation = WaitForChange(generation_, generation);
    if (is_stopping_.load(std::memory_order_relaxed)) return;
    RunPart(worker);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
  }
}

}  // namespace qtipd
