#include "server/profiler/perf_events.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "kernels/api/status.h"

namespace qtipd {
namespace {

namespace fs = std::filesystem;

constexpr double kNanosecond = 1e-9;
constexpr double kMebibyte = 1 << 20;

int OpenEvent(const PerfApi::Event& event) {
  perf_event_attr attributes{};
  attributes.size = sizeof(attributes);
  attributes.type = event.type;
  attributes.config = event.config;
  attributes.disabled = 1;
  const bool is_of_thread = event.pid >= 0;
  // User mode alone is what an unprivileged process may count; system-wide events know no modes.
  attributes.exclude_kernel = is_of_thread;
  attributes.exclude_hv = is_of_thread;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  const long fd =
      syscall(SYS_perf_event_open, &attributes, event.pid, event.cpu, -1, PERF_FLAG_FD_CLOEXEC);
  return fd >= 0 ? static_cast<int>(fd) : -errno;
}

std::vector<int> OwnThreads() {
  std::vector<int> threads;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc/self/task", error)) {
    threads.push_back(std::atoi(entry.path().filename().c_str()));
  }
  return threads;
}

std::string FirstLine(const fs::path& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

std::optional<uint64_t> ParseNumber(std::string text) {
  const bool is_hexadecimal = text.starts_with("0x");
  if (is_hexadecimal) text.erase(0, 2);
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value, is_hexadecimal ? 16 : 10);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

// "event=0x04,umask=0x03" with the unit's formats ("config:0-7") as a config.
std::optional<uint64_t> EncodeConfig(const fs::path& unit, const std::string& terms) {
  constexpr std::string_view kConfig = "config:";
  uint64_t config = 0;
  std::istringstream stream(terms);
  for (std::string term; std::getline(stream, term, ',');) {
    const size_t equals = term.find('=');
    const auto value = equals == std::string::npos ? std::optional<uint64_t>(1)
                                                   : ParseNumber(term.substr(equals + 1));
    std::string format = FirstLine(unit / "format" / term.substr(0, equals));
    if (!value || !format.starts_with(kConfig)) return std::nullopt;
    format.erase(0, kConfig.size());
    const auto shift = ParseNumber(format.substr(0, format.find('-')));
    if (!shift || *shift > 63) return std::nullopt;
    config |= *value << *shift;
  }
  return config;
}

// The event `name` on every memory controller.
PerfMetric MemoryMetric(const PerfApi& api, const std::string& name, const std::string& event,
                        const std::string& description) {
  PerfMetric metric{name, "bytes", description};
  metric.is_system_wide = true;
  std::error_code error;
  const fs::path units = api.root + "/sys/bus/event_source/devices";
  for (const auto& unit : fs::directory_iterator(units, error)) {
    if (!unit.path().filename().string().starts_with("uncore_imc")) continue;
    const std::string terms = FirstLine(unit.path() / "events" / event);
    const auto type = ParseNumber(FirstLine(unit.path() / "type"));
    const auto config = EncodeConfig(unit.path(), terms);
    const std::string scale = FirstLine(unit.path() / "events" / (event + ".scale"));
    if (terms.empty() || !type || !config || scale.empty()) continue;
    metric.scale = std::atof(scale.c_str()) * kMebibyte;
    // One CPU a socket counts for all: "0,32".
    std::istringstream cpus(FirstLine(unit.path() / "cpumask"));
    for (std::string cpu; std::getline(cpus, cpu, ',');) {
      metric.events.push_back({static_cast<uint32_t>(*type), *config, -1, std::atoi(cpu.c_str())});
    }
  }
  return metric;
}

// Counters of one metric, open while it lives.
class OpenMetric {
 public:
  OpenMetric(const PerfApi& api, const PerfMetric& metric) : api_(api), scale_(metric.scale) {
    count_.name = metric.name;
    for (const PerfApi::Event& event : metric.events) Open(metric, event);
    if (metric.events.empty()) count_.error = ENOENT;
  }
  OpenMetric(const OpenMetric&) = delete;
  ~OpenMetric() {
    for (const int fd : descriptors_) api_.close(fd);
  }

  void Enable(bool is_on) {
    for (const int fd : descriptors_) api_.enable(fd, is_on);
  }

  PerfCount Read() {
    if (count_.error != 0) return count_;
    double enabled = 0;
    double running = 0;
    for (const int fd : descriptors_) {
      PerfReading reading;
      if (!api_.read(fd, reading)) continue;
      enabled += static_cast<double>(reading.enabled_nanoseconds);
      running += static_cast<double>(reading.running_nanoseconds);
      // A thread that never ran counted nothing, and no time either.
      if (reading.running_nanoseconds == 0) continue;
      count_.value += static_cast<double>(reading.value) * scale_ *
                      static_cast<double>(reading.enabled_nanoseconds) /
                      static_cast<double>(reading.running_nanoseconds);
    }
    if (enabled > 0) count_.running_fraction = running / enabled;
    // It had its turn at no time: that is no count of zero.
    if (enabled > 0 && running == 0) count_.error = EBUSY;
    return count_;
  }

 private:
  void Open(const PerfMetric& metric, PerfApi::Event event) {
    if (count_.error != 0) return;
    for (const int thread : metric.is_system_wide ? std::vector<int>{-1} : api_.threads()) {
      event.pid = thread;
      const int fd = api_.open(event);
      if (fd == -ESRCH) continue;  // a thread that has ended meanwhile
      if (fd < 0) {
        count_.error = -fd;
        return;
      }
      descriptors_.push_back(fd);
    }
  }

  const PerfApi& api_;
  const double scale_;
  PerfCount count_;
  std::vector<int> descriptors_;
};

}  // namespace

PerfApi SystemPerfApi() {
  PerfApi api;
  api.open = OpenEvent;
  api.enable = [](int fd, bool is_on) {
    ioctl(fd, is_on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0);
  };
  api.read = [](int fd, PerfReading& reading) {
    return read(fd, &reading, sizeof(reading)) == static_cast<ssize_t>(sizeof(reading));
  };
  api.close = [](int fd) { close(fd); };
  api.threads = OwnThreads;
  return api;
}

std::vector<PerfMetric> PerfCatalogue(const PerfApi& api) {
  const auto hardware = [](const char* name, uint64_t config, const char* unit, const char* what) {
    PerfMetric metric{name, unit, what};
    metric.events = {{PERF_TYPE_HARDWARE, config}};
    return metric;
  };
  std::vector<PerfMetric> metrics = {
      hardware("cycles", PERF_COUNT_HW_CPU_CYCLES, "cycles", "cycles of the cores, user mode"),
      hardware("instructions", PERF_COUNT_HW_INSTRUCTIONS, "instructions",
               "retired instructions, user mode"),
      hardware("cache_references", PERF_COUNT_HW_CACHE_REFERENCES, "",
               "accesses of the last-level cache"),
      hardware("cache_misses", PERF_COUNT_HW_CACHE_MISSES, "", "misses of the last-level cache"),
      hardware("branches", PERF_COUNT_HW_BRANCH_INSTRUCTIONS, "instructions", "retired branches"),
      hardware("branch_misses", PERF_COUNT_HW_BRANCH_MISSES, "", "mispredicted branches"),
      hardware("stalled_cycles_frontend", PERF_COUNT_HW_STALLED_CYCLES_FRONTEND, "cycles",
               "cycles without an instruction to issue"),
      hardware("stalled_cycles_backend", PERF_COUNT_HW_STALLED_CYCLES_BACKEND, "cycles",
               "cycles in which instructions wait for data or units"),
  };
  PerfMetric clock{"task_clock", "seconds", "time of all threads on a CPU", kNanosecond, false};
  clock.events = {{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK}};
  metrics.push_back(clock);
  metrics.push_back(MemoryMetric(api, "memory_read_bytes", "cas_count_read",
                                 "bytes read from memory by the whole machine"));
  metrics.push_back(MemoryMetric(api, "memory_write_bytes", "cas_count_write",
                                 "bytes written to memory by the whole machine"));
  return metrics;
}

absl::StatusOr<std::vector<PerfCount>> CountEvents(const PerfApi& api,
                                                   const std::vector<PerfMetric>& metrics,
                                                   const std::function<absl::Status()>& work) {
  std::vector<std::unique_ptr<OpenMetric>> open;
  for (const PerfMetric& metric : metrics) {
    open.push_back(std::make_unique<OpenMetric>(api, metric));
  }
  for (const auto& metric : open) metric->Enable(true);
  const absl::Status done = work();
  for (const auto& metric : open) metric->Enable(false);
  QTIPD_RETURN_IF_ERROR(done);
  std::vector<PerfCount> counts;
  for (const auto& metric : open) counts.push_back(metric->Read());
  return counts;
}

}  // namespace qtipd
