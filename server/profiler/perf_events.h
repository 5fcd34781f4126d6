// The kernel's performance counters (perf_event_open), opened for every thread of this process.
// Source: https://man7.org/linux/man-pages/man2/perf_event_open.2.html
#ifndef QTIPD_SERVER_PROFILER_PERF_EVENTS_H_
#define QTIPD_SERVER_PROFILER_PERF_EVENTS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace qtipd {

// What one open counter reads: it ran for a part of the time that it was enabled where there are
// more counters than the processor has room for.
struct PerfReading {
  uint64_t value = 0;
  uint64_t enabled_nanoseconds = 0;
  uint64_t running_nanoseconds = 0;
};

// The system calls, so that a test can put its own in their place.
struct PerfApi {
  struct Event {
    uint32_t type = 0;
    uint64_t config = 0;
    int pid = 0;   // a thread; -1: whoever runs on `cpu`
    int cpu = -1;  // -1: wherever the thread runs
  };
  std::function<int(const Event&)> open;  // a descriptor that counts nothing yet, or -errno
  std::function<void(int, bool)> enable;  // starts or stops
  std::function<bool(int, PerfReading&)> read;
  std::function<void(int)> close;
  std::function<std::vector<int>()> threads;  // of this process
  std::string root;                           // "/" but for tests; no trailing slash
};
PerfApi SystemPerfApi();

// One thing to count: a sum over all opened counters, times `scale`.
struct PerfMetric {
  std::string name;
  std::string unit;
  std::string description;
  double scale = 1;
  bool is_hardware = true;             // false: the kernel counts it itself, on every machine
  std::vector<PerfApi::Event> events;  // system-wide ones; else one for every thread
  bool is_system_wide = false;
};

// Every metric that can be asked for: "cycles", "instructions", "cache_misses", ..., and
// "memory_read_bytes", "memory_write_bytes" where the processor's memory controllers have events.
std::vector<PerfMetric> PerfCatalogue(const PerfApi& api);

struct PerfCount {
  std::string name;
  int error = 0;  // errno of why it could not be opened; 0: counted
  double value = 0;
  double running_fraction = 1;  // of the time that it was enabled
};

// Counts `metrics` while `work` runs once, values scaled up by enabled over running time. A metric
// that cannot be opened has its error; the others still count. Errors: the work's own.
absl::StatusOr<std::vector<PerfCount>> CountEvents(const PerfApi& api,
                                                   const std::vector<PerfMetric>& metrics,
                                                   const std::function<absl::Status()>& work);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_PERF_EVENTS_H_
