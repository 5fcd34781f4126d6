#include "server/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace qtipd {
namespace {

TEST(ParallelBlocks, CoversEveryIndexOnce) {
  std::vector<int> visits(1003);
  std::atomic<int> short_blocks{0};
  ParallelBlocks(1003, 10, [&](int64_t begin, int64_t end) {
    if (end - begin < 10) ++short_blocks;
    for (int64_t i = begin; i < end; ++i) ++visits[i];
  });
  EXPECT_EQ(visits, std::vector<int>(1003, 1));
  EXPECT_EQ(short_blocks, 1);
}

TEST(ParallelBlocks, OfNothingCallsNothing) {
  ParallelBlocks(0, 10, [](int64_t, int64_t) { FAIL(); });
}

}  // namespace
}  // namespace qtipd
