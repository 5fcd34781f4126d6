// What the engine tells about itself; implemented by server/metrics over Prometheus, faked in tests.
#ifndef QTIPD_SERVER_ENGINE_METRICS_SINK_H_
#define QTIPD_SERVER_ENGINE_METRICS_SINK_H_

#include <cstdint>
#include <string>

#include "server/engine/types.h"

namespace qtipd {

// Thread-safe; every call is cheap and never fails.
class MetricsSink {
 public:
  virtual ~MetricsSink() = default;
  virtual void DeviceChanged(const DeviceStatus& device) = 0;  // info, health, memory, queue depth
  virtual void OperationFinished(const OperationRecord& operation, double seconds) = 0;
  virtual void BenchmarkFinished(const RunRecord& run) = 0;
  // Artefacts stored, and resident on a device, by format.
  virtual void ArtifactsChanged(const std::string& format, int64_t count, uint64_t bytes) = 0;
  virtual void ResidentChanged(const std::string& device, const std::string& format, int64_t count,
                               uint64_t bytes) = 0;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_METRICS_SINK_H_
