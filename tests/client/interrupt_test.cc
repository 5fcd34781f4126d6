#include "client/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>

namespace qtipd {
namespace {

TEST(InterruptScope, BeginsWithoutAnInterrupt) {
  {
    const InterruptScope scope;
    raise(SIGTERM);
    EXPECT_TRUE(scope.WasInterrupted());
  }
  EXPECT_FALSE(InterruptScope().WasInterrupted());
}

TEST(InterruptScope, SeesWhatTheOuterOneCaughtBetweenTwoInnerOnes) {
  const InterruptScope outer;
  { const InterruptScope first; }
  raise(SIGINT);
  const InterruptScope second;
  EXPECT_TRUE(second.WasInterrupted());
}

TEST(InterruptScope, OuterOneSeesWhatCameDuringAnInnerOne) {
  const InterruptScope outer;
  {
    const InterruptScope inner;
    raise(SIGINT);
  }
  EXPECT_TRUE(outer.WasInterrupted());
}

TEST(InterruptScope, LeavesTheSecondSignalToTheSystem) {
  const auto interrupt_twice = [] {
    const InterruptScope outer;
    const InterruptScope inner;
    raise(SIGINT);
    raise(SIGINT);
  };
  EXPECT_EXIT(interrupt_twice(), ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace qtipd
