#include "server/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace qtipd {
namespace {

constexpr int kEndSignals[] = {SIGTERM, SIGINT};
constexpr uint8_t kClose = 0;  // no signal has this number

// The one thing that a signal handler can reach: the pipe's write end.
std::atomic<int> signal_pipe{-1};

void PassOn(int signal) {
  const int saved_errno = errno;
  const auto byte = static_cast<uint8_t>(signal);
  [[maybe_unused]] const ssize_t written = write(signal_pipe, &byte, 1);
  errno = saved_errno;
}

void SetHandlers(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : kEndSignals) sigaction(signal, &action, nullptr);
}

}  // namespace

void IgnoreBrokenPipes() { std::signal(SIGPIPE, SIG_IGN); }

SignalThread::SignalThread(std::function<void(int)> handler) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    std::perror("pipe2");
    std::abort();
  }
  read_end_ = ends[0];
  write_end_ = ends[1];
  thread_ = std::thread([descriptor = read_end_, handler = std::move(handler)] {
    uint8_t signal = kClose;
    while (read(descriptor, &signal, 1) == 1 && signal != kClose) handler(signal);
  });
  signal_pipe = write_end_;
  SetHandlers(PassOn);
}

SignalThread::~SignalThread() {
  SetHandlers(SIG_DFL);
  [[maybe_unused]] const ssize_t written = write(write_end_, &kClose, 1);
  thread_.join();
  signal_pipe = -1;
  close(read_end_);
  close(write_end_);
}

}  // namespace qtipd
