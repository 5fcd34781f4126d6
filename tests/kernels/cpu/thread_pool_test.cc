#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace qtipd {
namespace {

TEST(ThreadPool, RangesAreContiguousAndNearlyEqual) {
  for (const int workers : {1, 2, 3, 7}) {
    for (const int64_t count : {0, 1, 5, 7, 100, 4097}) {
      int64_t next = 0;
      for (int worker = 0; worker < workers; ++worker) {
        const IndexRange range = StaticRange(count, worker, workers);
        EXPECT_EQ(range.begin, next);
        EXPECT_LE(range.end - range.begin, count / workers + 1);
        EXPECT_GE(range.end - range.begin, count / workers);
        next = range.end;
      }
      EXPECT_EQ(next, count);
    }
  }
}

TEST(ThreadPool, EveryIterationRunsOnceOnItsOwnWorker) {
  ThreadPool pool(4);
  for (const int64_t count : {1, 2, 3, 4, 5, 1000}) {
    std::vector<std::atomic<int>> runs(count);
    std::vector<int> owner(count, -1);
    pool.ParallelFor(count, [&](int worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        ++runs[i];
        owner[i] = worker;
      }
    });
    for (int64_t i = 0; i < count; ++i) {
      EXPECT_EQ(runs[i], 1);
      const IndexRange range = StaticRange(count, owner[i], count == 1 ? 1 : 4);
      EXPECT_TRUE(range.begin <= i && i < range.end) << i << " ran on " << owner[i];
    }
  }
}

TEST(ThreadPool, AnEmptyLoopCallsNothing) {
  ThreadPool pool(2);
  pool.ParallelFor(0, [](int, int64_t, int64_t) { ADD_FAILURE(); });
}

TEST(ThreadPool, TheCallerIsWorkerZeroAndAPoolOfOneHasNoThreads) {
  ThreadPool pool(1);
  EXPECT_EQ(pool.threads(), 1);
  const std::thread::id caller = std::this_thread::get_id();
  pool.ParallelFor(10, [&](int worker, int64_t begin, int64_t end) {
    EXPECT_EQ(worker, 0);
    EXPECT_EQ(begin, 0);
    EXPECT_EQ(end, 10);
    EXPECT_EQ(std::this_thread::get_id(), caller);
  });
}

TEST(ThreadPool, WritesOfOneLoopAreSeenByTheNext) {
  ThreadPool pool(3);
  std::vector<int> values(300, 0);
  for (int round = 0; round < 2000; ++round) {
    // Each worker reads what another one wrote in the round before.
    pool.ParallelFor(300, [&](int, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++values[round % 2 == 0 ? i : 299 - i];
    });
  }
  for (const int value : values) ASSERT_EQ(value, 2000);
}

TEST(ThreadPool, APoolThatWasNeverUsedStops) {
  for (int i = 0; i < 50; ++i) ThreadPool pool(3);
}

}  // namespace
}  // namespace qtipd
