// CUPTI's host half for one chip: what it can count, how many passes that takes, and values out of
// collected counter data. Needs neither device nor driver.
#ifndef QTIPD_SERVER_PROFILER_METRIC_HOST_H_
#define QTIPD_SERVER_PROFILER_METRIC_HOST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/profiler/cupti_api.h"
#include "server/profiler/profile_protocol.h"

namespace qtipd {

// What a chip was asked for, and what of it it has; order kept, each name once.
struct MetricSelection {
  std::vector<std::string> available;
  std::vector<std::string> unavailable;
};

// A configuration for the device, and how often the work must be repeated for it.
struct MetricConfig {
  std::vector<std::string> metrics;
  std::vector<uint8_t> image;
  int passes = 0;
};

// Used by one thread. A metric is a base with its sub-metric: "dram__bytes_read.sum".
class MetricHost {
 public:
  // `availability` is the device's counter availability image; empty: all that the chip has. `api`
  // outlives the host. Errors: InvalidArgument/CHIP_UNKNOWN with every known chip; CUPTI_FAILED.
  static absl::StatusOr<std::unique_ptr<MetricHost>> Open(const CuptiApi& api,
                                                          const std::string& chip,
                                                          std::vector<uint8_t> availability);
  ~MetricHost();

  const std::string& chip() const { return chip_; }
  // Bases of every kind, sorted: "dram__bytes_read",
  // "smsp__warp_issue_stalled_wait_per_warp_active".
  const std::vector<std::string>& bases() const { return bases_; }
  MetricSelection Select(const std::vector<std::string>& names) const;
  // The base's or metric's description, in CUPTI's words, and its unit as this project says it.
  absl::StatusOr<MetricValue> Describe(const std::string& name) const;

  // Errors: InvalidArgument/METRIC_UNKNOWN if `metrics` is empty or this chip lacks one.
  absl::StatusOr<MetricConfig> Configure(const std::vector<std::string>& metrics) const;

  // Values of the first range in `counter_data`, collected with `config`, each with its own name.
  // Seconds where CUPTI says nanoseconds. NaN where the device could not count.
  absl::StatusOr<std::vector<MetricValue>> Evaluate(const MetricConfig& config,
                                                    std::span<const uint8_t> counter_data) const;

 private:
  MetricHost(const CuptiApi& api, std::string chip, std::vector<uint8_t> availability)
      : api_(api), chip_(std::move(chip)), availability_(std::move(availability)) {}
  // A host object of its own: one that was configured once takes no other configuration, and one
  // that refused a metric refuses every later call.
  absl::StatusOr<cupti::HostObject*> NewObject() const;
  void Release(cupti::HostObject* object) const;
  absl::Status ReadBases();
  absl::Status CheckAll(const std::vector<std::string>& metrics) const;

  const CuptiApi& api_;
  const std::string chip_;
  const std::vector<uint8_t> availability_;
  cupti::HostObject* object_ = nullptr;  // for questions about the catalogue
  std::vector<std::string> bases_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_METRIC_HOST_H_
