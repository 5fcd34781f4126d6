// CUPTI's real host half, which needs no device.
#ifndef QTIPD_TESTS_SERVER_PROFILER_CUPTI_FIXTURE_H_
#define QTIPD_TESTS_SERVER_PROFILER_CUPTI_FIXTURE_H_

#include <gtest/gtest.h>

#include "server/profiler/cupti_api.h"

namespace qtipd {

// Skips where CUPTI is not installed, or cannot be opened under a sanitizer.
class CuptiFixture : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "CUPTI opens a library with RTLD_DEEPBIND, which a sanitizer cannot be in";
#endif
    auto api = OpenCupti();
    if (!api.ok()) GTEST_SKIP() << api.status();
    api_ = *std::move(api);
  }

  CuptiApi api_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_SERVER_PROFILER_CUPTI_FIXTURE_H_
