#include "server/base/file_lock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "kernels/api/error.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

TEST(FileLock, IsHeldByOneAndNamesItsPid) {
  TempDir directory;
  const auto first = FileLock::Acquire(directory / "lock");
  ASSERT_TRUE(first.ok());
  const auto second = FileLock::Acquire(directory / "lock");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  const ErrorInfo info = GetErrorInfo(second.status());
  EXPECT_EQ(info.reason, "DATA_DIR_IN_USE");
  EXPECT_EQ(info.metadata.at("pid"), std::to_string(getpid()));
}

TEST(FileLock, CanBeTakenAgainOnceReleased) {
  TempDir directory;
  { ASSERT_TRUE(FileLock::Acquire(directory / "lock").ok()); }
  EXPECT_TRUE(FileLock::Acquire(directory / "lock").ok());
}

TEST(FileLock, NeedsADirectoryThatExists) {
  const auto lock = FileLock::Acquire("/nonexistent/lock");
  EXPECT_EQ(GetErrorInfo(lock.status()).reason, "DATA_DIR_NOT_WRITABLE");
}

}  // namespace
}  // namespace qtipd
