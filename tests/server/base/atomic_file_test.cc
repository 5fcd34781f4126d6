#include "server/base/atomic_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string ReadAll(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

size_t CountEntries(const std::string& directory) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++count;
  return count;
}

TEST(AtomicFile, AppearsUnderItsNameOnlyWhenCommitted) {
  TempDir directory;
  auto file = AtomicFile::Create(directory.path());
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->Write(Bytes("some ")).ok());
  ASSERT_TRUE(file->Write(Bytes("bytes")).ok());
  EXPECT_FALSE(std::filesystem::exists(directory / "name"));
  ASSERT_TRUE(file->Commit("name").ok());
  EXPECT_EQ(ReadAll(directory / "name"), "some bytes");
  EXPECT_EQ(CountEntries(directory.path()), 1u);
}

TEST(AtomicFile, LeavesNothingBehindUncommitted) {
  TempDir directory;
  { ASSERT_TRUE(AtomicFile::Create(directory.path())->Write(Bytes("half")).ok()); }
  EXPECT_EQ(CountEntries(directory.path()), 0u);
}

TEST(AtomicFile, ReplacesAnExistingFile) {
  TempDir directory;
  for (const char* text : {"first", "second"}) {
    auto file = AtomicFile::Create(directory.path());
    ASSERT_TRUE(file->Write(Bytes(text)).ok());
    ASSERT_TRUE(file->CommitUnsynced("name").ok());
  }
  EXPECT_EQ(ReadAll(directory / "name"), "second");
}

TEST(AtomicFile, ReleasedIsReadableWithoutAName) {
  TempDir directory;
  auto file = AtomicFile::Create(directory.path());
  ASSERT_TRUE(file->Write(Bytes("bytes")).ok());
  const auto descriptor = file->ReleaseUnnamed();
  ASSERT_TRUE(descriptor.ok());
  EXPECT_EQ(CountEntries(directory.path()), 0u);
  char text[8] = {};
  EXPECT_EQ(read(*descriptor, text, sizeof(text)), 5);
  EXPECT_STREQ(text, "bytes");
  close(*descriptor);
}

TEST(AtomicFile, SaysWhereItCannotBeCreated) {
  const auto file = AtomicFile::Create("/nonexistent/directory");
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInternal);
  EXPECT_NE(std::string(file.status().message()).find("/nonexistent/directory"), std::string::npos);
}

}  // namespace
}  // namespace qtipd
