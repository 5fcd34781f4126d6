// The daemon's metrics as Prometheus series: base units, bounded labels, help on every one.
#ifndef QTIPD_SERVER_METRICS_PROMETHEUS_SINK_H_
#define QTIPD_SERVER_METRICS_PROMETHEUS_SINK_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "server/engine/metrics_sink.h"
#include "server/metrics/rpc_metrics.h"

namespace qtipd {

// Thread-safe. Labels come from closed sets (devices, formats, paths, codes, RPCs), never from
// names or ids; past kMaxSeries a new label set is dropped and counted instead.
class PrometheusSink final : public MetricsSink, public RpcMetrics {
 public:
  static constexpr int kMaxSeries = 2000;

  // `build_info` becomes the labels of qtipd_build_info; its keys are valid label names.
  explicit PrometheusSink(const std::map<std::string, std::string>& build_info,
                          int max_series = kMaxSeries);
  ~PrometheusSink() override;

  void DeviceChanged(const DeviceStatus& device) override;
  void OperationFinished(const OperationRecord& operation, double seconds) override;
  void BenchmarkFinished(const RunRecord& run) override;
  void ArtifactsChanged(const std::string& format, int64_t count, uint64_t bytes) override;
  void ResidentChanged(const std::string& device, const std::string& format, int64_t count,
                       uint64_t bytes) override;
  void RpcStarted(const RpcName& rpc) override;
  void RpcHandled(const RpcName& rpc, const std::string& code, double seconds) override;

  // `refresh` runs before every scrape, on the scraping thread, for values that change by
  // themselves (free memory). It may call this sink. Set once, before the first Text().
  void SetRefresh(std::function<void()> refresh);

  // The exposition text (format 0.0.4).
  std::string Text();

 private:
  struct Families;
  void ShowReading(const std::map<std::string, std::string>& labels, const DeviceReading& reading);
  std::unique_ptr<Families> families_;
  std::function<void()> refresh_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_METRICS_PROMETHEUS_SINK_H_
