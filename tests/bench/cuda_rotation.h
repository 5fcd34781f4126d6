// Timing of enqueued work on a GPU over weights that rotate: enough copies that the cache holds
// none of them when their turn comes again; CUDA-graph replays; the median of several runs.
#ifndef QTIPD_TESTS_BENCH_CUDA_ROTATION_H_
#define QTIPD_TESTS_BENCH_CUDA_ROTATION_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/status.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Ends the program where there is no value.
template <typename T>
T Checked(absl::StatusOr<T> value) {
  if (value.ok()) return std::move(value).value();
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::exit(1);
}

inline void Check(const absl::Status& status) {
  if (!status.ok()) Checked(absl::StatusOr<int>(status));
}

// "4096x1024,..." as rows x columns.
inline std::vector<Shape> ParseShapes(const std::string& text) {
  std::vector<Shape> shapes;
  const char* at = text.c_str();
  while (*at != '\0') {
    char* rest = nullptr;
    const int64_t out = std::strtoll(at, &rest, 10);
    const int64_t in = *rest == 'x' ? std::strtoll(rest + 1, &rest, 10) : 0;
    if (out < 1 || in < 1 || (*rest != '\0' && *rest != ',')) {
      Check(absl::InvalidArgumentError("shape: got " + text + ", allowed OUTxIN[,OUTxIN...]"));
    }
    shapes.push_back({out, in});
    at = *rest == ',' ? rest + 1 : rest;
  }
  return shapes;
}

// "1,2,16"
inline std::vector<int64_t> ParseNumbers(const std::string& text) {
  std::vector<int64_t> numbers;
  const char* at = text.c_str();
  while (*at != '\0') {
    char* rest = nullptr;
    numbers.push_back(std::strtoll(at, &rest, 10));
    if (numbers.back() < 1 || (*rest != '\0' && *rest != ',')) {
      Check(absl::InvalidArgumentError("numbers: got " + text + ", allowed N[,N...] from 1"));
    }
    at = *rest == ',' ? rest + 1 : rest;
  }
  return numbers;
}

// Copies of `bytes` that total what no GPU's cache holds.
inline int ColdCopies(uint64_t bytes) { return static_cast<int>(kColdBytesOnGpu / bytes) + 1; }

struct RotationTiming {
  double median_seconds = 0;  // of one call, of the median run
  double least_seconds = 0;   // of the fastest run
  double most_seconds = 0;    // of the slowest run
};

// Times enqueue(copy), which goes through `copies` copies in turn: a graph goes through all of
// them, and has at least 24 calls; a run is the median of its replays; five runs.
inline RotationTiming TimeRotation(Device& device, int copies,
                                   const std::function<absl::Status(int copy)>& enqueue) {
  constexpr int kLeastCalls = 24;
  constexpr int kRuns = 5;
  constexpr int kReplays = 7;
  const int calls = (std::max(copies, kLeastCalls) + copies - 1) / copies * copies;
  const auto recording = Checked(device.Record([&]() -> absl::Status {
    for (int i = 0; i < calls; ++i) QTIPD_RETURN_IF_ERROR(enqueue(i % copies));
    return absl::OkStatus();
  }));
  for (int i = 0; i < kReplays; ++i) Checked(recording->Replay());  // warms up
  std::vector<double> runs(kRuns);
  for (double& run : runs) {
    std::vector<double> replays(kReplays);
    for (double& replay : replays) replay = Checked(recording->Replay()).seconds;
    std::ranges::sort(replays);
    run = replays[kReplays / 2] / calls;
  }
  std::ranges::sort(runs);
  return {runs[kRuns / 2], runs.front(), runs.back()};
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_BENCH_CUDA_ROTATION_H_
