// The CPU backend's threads: a fixed team that runs one parallel loop at a time.
#ifndef QTIPD_KERNELS_CPU_THREAD_POOL_H_
#define QTIPD_KERNELS_CPU_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace qtipd {

// Half-open range of iterations.
struct IndexRange {
  int64_t begin = 0;
  int64_t end = 0;
};

// Part `worker` of `workers` contiguous, nearly equal parts of [0, count). A part depends on
// nothing but the arguments, so that work is split the same way in every run.
IndexRange StaticRange(int64_t count, int worker, int workers);

// Persistent worker threads. Between loops a worker polls for about two milliseconds, so
// that back-to-back loops start in about a microsecond, then sleeps. Thread-compatible: one thread
// at a time may call ParallelFor, and a body must not call it on the same pool.
class ThreadPool {
 public:
  // `threads` >= 1 counts the calling thread, which works as worker 0.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(worker, begin, end) for StaticRange(count, worker, threads()) on each thread whose
  // range is not empty; returns when all have finished. Bodies must not throw.
  template <typename Body>
  void ParallelFor(int64_t count, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    const Call call = [](void* context, int worker, int64_t begin, int64_t end) {
      (*static_cast<Plain*>(context))(worker, begin, end);
    };
    Run(count, call, const_cast<void*>(static_cast<const void*>(&body)));
  }

 private:
  using Call = void (*)(void* context, int worker, int64_t begin, int64_t end);

  void Run(int64_t count, Call call, void* context);
  void RunPart(int worker) const;
  void WorkerLoop(int worker);

  // The loop in progress; written before `generation_` is advanced, read by the workers after it.
  Call call_ = nullptr;
  void* context_ = nullptr;
  int64_t count_ = 0;

  // Each on a cache line of its own: the workers poll one while the others are written.
  alignas(64) std::atomic<uint32_t> generation_ = 0;
  alignas(64) std::atomic<uint32_t> unfinished_ = 0;
  alignas(64) std::atomic<bool> is_stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_THREAD_POOL_H_
