#include "server/base/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string>

namespace qtipd {
namespace {

ChildResult Shell(const std::string& script, const std::string& input = "", double timeout = 30) {
  ChildTask task;
  task.arguments = {"/bin/sh", "-c", script};
  task.input = input;
  task.timeout_seconds = timeout;
  const auto result = RunChild(task);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : ChildResult{};
}

TEST(ChildProcess, GivesInputAndTakesBothOutputs) {
  const ChildResult result = Shell("cat; echo told >&2; exit 3", "hello");
  EXPECT_EQ(result.end, ChildEnd::kExited);
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.output, "hello");
  EXPECT_EQ(result.errors, "told\n");
}

TEST(ChildProcess, MovesMoreThanAPipeHolds) {
  const std::string input(size_t{3} << 20, 'x');
  EXPECT_EQ(Shell("cat", input).output, input);
}

TEST(ChildProcess, AChildThatReadsNothingIsNoError) {
  const ChildResult result = Shell("exec 0<&-; echo done", std::string(size_t{1} << 20, 'x'));
  EXPECT_EQ(result.end, ChildEnd::kExited);
  EXPECT_EQ(result.output, "done\n");
}

TEST(ChildProcess, TellsTheSignalThatEndedIt) {
  const ChildResult result = Shell("echo last words >&2; kill -SEGV $$");
  EXPECT_EQ(result.end, ChildEnd::kSignalled);
  EXPECT_EQ(result.code, SIGSEGV);
  EXPECT_EQ(LastLine(result.errors), "last words");
}

TEST(ChildProcess, KillsTheWholeGroupWhenTimeIsUp) {
  // The grandchild holds on to the output: a kill of the child alone would wait for it.
  const ChildResult result = Shell("sleep 600 & sleep 600", "", 0.05);
  EXPECT_EQ(result.end, ChildEnd::kTimedOut);
}

TEST(ChildProcess, InheritsNoDescriptorButItsThree) {
  const int inherited = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GE(inherited, 3);
  // A fourth is the listing's own.
  EXPECT_EQ(Shell("ls /proc/self/fd | wc -l").output, "4\n");
  close(inherited);
}

TEST(ChildProcess, TimeIsUpForOneThatHasClosedItsOutputsToo) {
  EXPECT_EQ(Shell("exec >&- 2>&-; sleep 600", "", 0.05).end, ChildEnd::kTimedOut);
}

TEST(ChildProcess, CancellationEndsOneThatHasClosedItsOutputs) {
  ChildTask task;
  task.arguments = {"/bin/sh", "-c", "exec >&- 2>&-; sleep 600"};
  std::atomic<int> asked{0};
  // More often than there is anything to read.
  task.is_cancelled = [&] { return ++asked > 10; };
  const auto result = RunChild(task);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->end, ChildEnd::kCancelled);
}

TEST(ChildProcess, WaitsForTheStatusOfOneThatHasClosedItsOutputs) {
  const ChildResult result = Shell("exec >&- 2>&-; sleep 0.02; exit 4");
  EXPECT_EQ(result.end, ChildEnd::kExited);
  EXPECT_EQ(result.code, 4);
}

TEST(ChildProcess, EndsOneThatWritesTooMuch) {
  const ChildResult result = Shell("exec cat /dev/zero");
  EXPECT_EQ(result.end, ChildEnd::kTooMuchOutput);
  EXPECT_GT(result.output.size(), kMostChildOutput);
}

// The process group that `cut` finds itself in.
std::string GroupOfChild(bool shares_group) {
  ChildTask task;
  task.arguments = {"/bin/sh", "-c", "cut -d' ' -f5 /proc/self/stat"};
  task.shares_group = shares_group;
  const auto result = RunChild(task);
  return result.ok() ? result->output : "";
}

TEST(ChildProcess, SharesTheCallersGroupWhereItIsAskedTo) {
  const std::string own = std::to_string(getpgrp()) + "\n";
  EXPECT_EQ(GroupOfChild(true), own);
  EXPECT_NE(GroupOfChild(false), own);
}

TEST(ChildProcess, OneThatSharesTheGroupIsKilledAlone) {
  ChildTask task;
  task.arguments = {"/bin/sleep", "600"};
  task.shares_group = true;
  task.timeout_seconds = 0.05;
  const auto result = RunChild(task);  // and the caller is still here
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->end, ChildEnd::kTimedOut);
}

TEST(ChildProcess, CancellationKillsIt) {
  ChildTask task;
  task.arguments = {"/bin/sh", "-c", "sleep 600"};
  std::atomic<int> asked{0};
  task.is_cancelled = [&] { return ++asked > 1; };
  const auto result = RunChild(task);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->end, ChildEnd::kCancelled);
}

TEST(ChildProcess, ANameThatIsNoProgramIsNotFound) {
  ChildTask task;
  task.arguments = {"/nonexistent/program"};
  EXPECT_EQ(RunChild(task).status().code(), absl::StatusCode::kNotFound);
}

TEST(ChildProcess, FindsTheLastLine) {
  EXPECT_EQ(LastLine("a\nb\n\n"), "b");
  EXPECT_EQ(LastLine("a"), "a");
  EXPECT_EQ(LastLine(" \n"), "");
}

}  // namespace
}  // namespace qtipd
