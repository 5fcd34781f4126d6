#include "server/base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "kernels/api/status.h"

extern char** environ;

namespace qtipd {
namespace {

constexpr int kPollMilliseconds = 100;
constexpr std::chrono::milliseconds kWaitInterval{5};
constexpr size_t kMostErrors = size_t{64} << 10;

absl::Status SystemError(const std::string& what, int error) {
  return absl::InternalError(what + ": " + std::strerror(error));
}

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A connected pair: sockets, since a write to one whose reader is gone need not raise SIGPIPE.
struct Channel {
  Descriptor ours;
  Descriptor theirs;
};

absl::StatusOr<Channel> MakeChannel() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return SystemError("socketpair", errno);
  }
  Channel channel{Descriptor(pair[0]), Descriptor(pair[1])};
  fcntl(pair[0], F_SETFL, O_NONBLOCK);
  return channel;
}

// The child with the three channels to it. Killed and waited for when destroyed.
class Child {
 public:
  static absl::StatusOr<std::unique_ptr<Child>> Spawn(const std::vector<std::string>& arguments,
                                                      bool shares_group) {
    auto child = std::make_unique<Child>();
    child->shares_group_ = shares_group;
    std::array<Channel, 3> channels;
    for (Channel& channel : channels) {
      QTIPD_ASSIGN_OR_RETURN(channel, MakeChannel());
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3; ++i) {
      posix_spawn_file_actions_adddup2(&actions, channels[i].theirs.get(), i);
    }
    // Libraries open some of this process's descriptors without close-on-exec.
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_t attributes;
    SetAttributes(attributes, shares_group);
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const int error =
        posix_spawn(&child->pid_, argv[0], &actions, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
      child->pid_ = -1;
      return absl::NotFoundError(arguments[0] + ": " + std::strerror(error));
    }
    for (int i = 0; i < 3; ++i) child->channels_[i] = std::move(channels[i].ours);
    return child;
  }
  ~Child() {
    Kill();
    Wait();
  }

  Descriptor& input() { return channels_[0]; }
  Descriptor& output() { return channels_[1]; }
  Descriptor& errors() { return channels_[2]; }

  void Kill() {
    if (pid_ > 0) kill(shares_group_ ? pid_ : -pid_, SIGKILL);
  }
  // Its status as waitpid gives it; nothing while it runs. Not again after it has ended.
  std::optional<int> PollStatus() {
    int status = 0;
    const pid_t ended = waitpid(pid_, &status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) return std::nullopt;
    pid_ = -1;
    return status;
  }

 private:
  void Wait() {
    if (pid_ < 0) return;
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

  // Signals as a fresh program expects them, and a group of its own unless it shares ours.
  static void SetAttributes(posix_spawnattr_t& attributes, bool shares_group) {
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) {
      sigaddset(&defaults, signal);
    }
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    const int group = shares_group ? 0 : POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setflags(&attributes, group | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }

  pid_t pid_ = -1;
  bool shares_group_ = false;
  std::array<Descriptor, 3> channels_;
};

// Sends what is left of `input`; closes the channel at its end, or where nobody reads.
void Send(Descriptor& channel, std::string_view& input) {
  const ssize_t sent = send(channel.get(), input.data(), input.size(), MSG_NOSIGNAL);
  if (sent > 0) input.remove_prefix(static_cast<size_t>(sent));
  const bool is_broken = sent < 0 && errno != EAGAIN && errno != EINTR;
  if (input.empty() || is_broken) channel.Close();
}

void Receive(Descriptor& channel, std::string& text) {
  char block[16384];
  const ssize_t count = read(channel.get(), block, sizeof(block));
  if (count > 0) {
    text.append(block, static_cast<size_t>(count));
  } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
    channel.Close();
  }
}

// Moves what can be moved within one poll.
void Exchange(Child& child, std::string_view& input, ChildResult& result) {
  std::array<pollfd, 3> polled = {pollfd{child.input().get(), POLLOUT, 0},
                                  pollfd{child.output().get(), POLLIN, 0},
                                  pollfd{child.errors().get(), POLLIN, 0}};
  if (poll(polled.data(), polled.size(), kPollMilliseconds) <= 0) return;
  if (polled[0].revents != 0) Send(child.input(), input);
  if (polled[1].revents != 0) Receive(child.output(), result.output);
  if (polled[2].revents != 0) Receive(child.errors(), result.errors);
  if (result.errors.size() > kMostErrors)
    result.errors.erase(0, result.errors.size() - kMostErrors);
}

using Clock = std::chrono::steady_clock;
using Deadline = std::chrono::time_point<Clock, std::chrono::duration<double>>;

// Why to wait no longer, if there is a reason.
std::optional<ChildEnd> EndOfPatience(const ChildTask& task, Deadline deadline,
                                      const ChildResult& result) {
  if (task.is_cancelled && task.is_cancelled()) return ChildEnd::kCancelled;
  if (Clock::now() > deadline) return ChildEnd::kTimedOut;
  if (result.output.size() > kMostChildOutput) return ChildEnd::kTooMuchOutput;
  return std::nullopt;
}

}  // namespace

absl::StatusOr<ChildResult> RunChild(const ChildTask& task) {
  QTIPD_ASSIGN_OR_RETURN(const std::unique_ptr<Child> child,
                         Child::Spawn(task.arguments, task.shares_group));
  const Deadline deadline = Clock::now() + std::chrono::duration<double>(task.timeout_seconds);
  std::string_view input = task.input;
  if (input.empty()) child->input().Close();
  ChildResult result;
  // Its end is the end of what it writes: a grandchild that holds on to it is waited for too. And
  // of itself: it may close its outputs long before.
  std::optional<int> status;
  while (!status) {
    if (const auto end = EndOfPatience(task, deadline, result)) {
      result.end = *end;
      return result;
    }
    if (child->output().is_open() || child->errors().is_open()) {
      Exchange(*child, input, result);
    } else if (!(status = child->PollStatus())) {
      std::this_thread::sleep_for(kWaitInterval);
    }
  }
  result.end = WIFSIGNALED(*status) ? ChildEnd::kSignalled : ChildEnd::kExited;
  result.code = WIFSIGNALED(*status) ? WTERMSIG(*status) : WEXITSTATUS(*status);
  return result;
}

std::string LastLine(const std::string& text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return "";
  const size_t newline = text.find_last_of('\n', end);
  const size_t begin = newline == std::string::npos ? 0 : newline + 1;
  return text.substr(begin, end - begin + 1);
}

}  // namespace qtipd
