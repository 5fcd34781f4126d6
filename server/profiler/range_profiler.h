// Counters over one range of work, replayed by its owner as often as the counters need: user range,
// user replay.
#ifndef QTIPD_SERVER_PROFILER_RANGE_PROFILER_H_
#define QTIPD_SERVER_PROFILER_RANGE_PROFILER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/profiler/cupti_api.h"
#include "server/profiler/driver_api.h"
#include "server/profiler/metric_host.h"

namespace qtipd {

// Runs the work once and waits for it. Every call does the same work.
using Replay = std::function<absl::Status()>;

// The profiler of one process; made before anything else of CUPTI, ended last. Used by one thread.
class CuptiSession {
 public:
  // `api` outlives the session. Errors: CUPTI_FAILED and the typed ones of CuptiStatus.
  static absl::StatusOr<std::unique_ptr<CuptiSession>> Open(const CuptiApi& api,
                                                            const DriverDevice& device);
  ~CuptiSession();

  const CuptiApi& api() const { return api_; }
  const DriverDevice& device() const { return device_; }
  // Whether the device and its mode can be profiled by `profiler`.
  // Errors: PROFILING_UNSUPPORTED, PROFILING_VIRTUALISED.
  absl::Status CheckSupported(cupti::ProfilerApi profiler) const;
  absl::StatusOr<std::string> ChipName() const;
  // Which counters this process may read, for MetricHost.
  absl::StatusOr<std::vector<uint8_t>> CounterAvailability() const;

 private:
  CuptiSession(const CuptiApi& api, const DriverDevice& device) : api_(api), device_(device) {}
  const CuptiApi& api_;
  const DriverDevice device_;
};

struct RangeCounters {
  std::vector<uint8_t> image;  // for MetricHost::Evaluate
  int passes = 0;              // that it took
};

// Collects `config` over `replay`. Errors: those of CuptiStatus; DataLoss/RANGES_DROPPED if the
// device dropped the range; the replay's own.
absl::StatusOr<RangeCounters> CollectRange(const CuptiSession& session, const MetricConfig& config,
                                           const Replay& replay);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_RANGE_PROFILER_H_
