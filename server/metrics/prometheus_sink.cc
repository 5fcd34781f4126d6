#include "server/metrics/prometheus_sink.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "server/metrics/series_limit.h"

namespace qtipd {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;

// 1 ms to 10 min: an RPC's answer and an operation's whole life.
const Histogram::BucketBoundaries& DurationBuckets() {
  static const Histogram::BucketBoundaries buckets = {0.001, 0.005, 0.02, 0.1, 0.5, 1,
                                                      5,     20,    60,   180, 600};
  return buckets;
}

// Bucket lines of DurationBuckets, with +Inf, _sum and _count.
constexpr size_t kHistogramSeries = 11 + 3;

prometheus::Family<Gauge>& AddGauge(prometheus::Registry& registry, const std::string& name,
                                    const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<Counter>& AddCounter(prometheus::Registry& registry, const std::string& name,
                                        const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<Histogram>& AddHistogram(prometheus::Registry& registry, const std::string& name,
                                            const std::string& help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

void Set(LimitedFamily<Gauge>& family, const Labels& labels, double value) {
  if (Gauge* gauge = family.Get(labels)) gauge->Set(value);
}

// A series exists only while its value is known.
void SetIfKnown(LimitedFamily<Gauge>& family, const Labels& labels,
                const std::optional<double>& value) {
  if (value) {
    Set(family, labels, *value);
  } else {
    family.Remove(labels);
  }
}

// Follows a counter of somebody else, which may begin again at 0.
void Follow(LimitedFamily<Counter>& family, const Labels& labels, uint64_t value, uint64_t& last) {
  Counter* counter = family.Get(labels);
  if (counter == nullptr) return;
  counter->Increment(static_cast<double>(value >= last ? value - last : value));
  last = value;
}

void Increment(LimitedFamily<Counter>& family, const Labels& labels) {
  if (Counter* counter = family.Get(labels)) counter->Increment();
}

void Observe(LimitedFamily<Histogram>& family, const Labels& labels, double value) {
  if (Histogram* histogram = family.Get(labels, DurationBuckets())) histogram->Observe(value);
}

std::string Property(const DeviceInfo& info, const std::string& key) {
  const auto found = info.properties.find(key);
  return found == info.properties.end() ? "" : found->second;
}

// An option's text where the format has that option, else empty. Only `code` and `bits` are asked
// for: both are closed sets in every format's schema.
std::string OptionLabel(const Options& options, const std::string& name) {
  const auto found = options.values().find(name);
  return found == options.values().end() ? "" : OptionText(found->second);
}

// Batch sizes are the caller's choice, so only the usual ones get a series of their own.
std::string BatchLabel(int64_t batch) {
  static constexpr int64_t kUsual[] = {1, 2, 4, 8, 16};
  const bool is_usual = std::find(std::begin(kUsual), std::end(kUsual), batch) != std::end(kUsual);
  return is_usual ? std::to_string(batch) : "other";
}

Labels RpcLabels(const RpcName& rpc) {
  return {{"grpc_service", rpc.service}, {"grpc_method", rpc.method}, {"grpc_type", rpc.type}};
}

}  // namespace

struct PrometheusSink::Families {
  explicit Families(int max_series)
      : dropped(AddCounter(registry, "qtipd_metrics_dropped_series_total",
                           "Label sets not exported because of the bound on series.")
                    .Add({})),
        limit(static_cast<size_t>(max_series), dropped) {}

  LimitedFamily<Gauge> GaugeFamily(const std::string& name, const std::string& help) {
    return {AddGauge(registry, name, help), limit};
  }
  LimitedFamily<Counter> CounterFamily(const std::string& name, const std::string& help) {
    return {AddCounter(registry, name, help), limit};
  }
  LimitedFamily<Histogram> HistogramFamily(const std::string& name, const std::string& help) {
    return {AddHistogram(registry, name, help), limit, kHistogramSeries};
  }

  prometheus::Registry registry;
  Counter& dropped;
  SeriesLimit limit;
  LimitedFamily<Gauge> build_info = GaugeFamily("qtipd_build_info", "What was built; always 1.");
  LimitedFamily<Gauge> device_info =
      GaugeFamily("qtipd_device_info", "What a device is; always 1.");
  LimitedFamily<Gauge> device_healthy =
      GaugeFamily("qtipd_device_healthy", "1 while the device can be used, else 0.");
  LimitedFamily<Gauge> device_memory =
      GaugeFamily("qtipd_device_memory_bytes", "Memory of the device.");
  LimitedFamily<Gauge> device_memory_free =
      GaugeFamily("qtipd_device_memory_free_bytes", "Memory of the device that nobody uses.");
  LimitedFamily<Gauge> gpu_temperature =
      GaugeFamily("qtipd_gpu_temperature_celsius", "Temperature of the GPU.");
  LimitedFamily<Gauge> gpu_power = GaugeFamily("qtipd_gpu_power_watts", "Power the GPU takes now.");
  LimitedFamily<Gauge> gpu_sm_clock =
      GaugeFamily("qtipd_gpu_sm_clock_hertz", "Clock of the GPU's multiprocessors now.");
  LimitedFamily<Gauge> gpu_memory_clock =
      GaugeFamily("qtipd_gpu_memory_clock_hertz", "Clock of the GPU's memory now.");
  LimitedFamily<Counter> gpu_ecc_errors = CounterFamily(
      "qtipd_gpu_ecc_errors_total", "Memory errors of the GPU since its driver was loaded.");
  std::mutex reading_mutex;             // held while a reading is shown: its series come and go
  std::map<Labels, uint64_t> last_ecc;  // guarded by reading_mutex
  LimitedFamily<Gauge> queue_depth =
      GaugeFamily("qtipd_device_queue_depth", "Jobs that wait for the device or run on it.");
  LimitedFamily<Counter> operations =
      CounterFamily("qtipd_operations_total", "Operations that ended, by kind and outcome.");
  LimitedFamily<Histogram> operation_duration = HistogramFamily(
      "qtipd_operation_duration_seconds", "Time from an operation's first step to its end.");
  LimitedFamily<Gauge> artifacts = GaugeFamily("qtipd_artifacts", "Artefacts in the store.");
  LimitedFamily<Gauge> artifact_bytes =
      GaugeFamily("qtipd_artifact_bytes", "Packed bytes of the artefacts in the store.");
  LimitedFamily<Gauge> resident_artifacts =
      GaugeFamily("qtipd_resident_artifacts", "Artefacts resident in device memory.");
  LimitedFamily<Gauge> resident_bytes = GaugeFamily(
      "qtipd_resident_artifact_bytes", "Device memory of the artefacts resident on a device.");
  LimitedFamily<Gauge> median = GaugeFamily("qtipd_benchmark_median_seconds",
                                            "Median time of one run in the latest benchmark.");
  LimitedFamily<Gauge> bandwidth =
      GaugeFamily("qtipd_benchmark_bandwidth_bytes_per_second",
                  "Bytes a run must move over its median time, latest benchmark.");
  LimitedFamily<Gauge> relative_error =
      GaugeFamily("qtipd_benchmark_relative_error",
                  "Output against double precision on the same weights, latest benchmark.");
  LimitedFamily<Counter> benchmarks = CounterFamily(
      "qtipd_benchmarks_total", "Benchmarked cells (path and batch), by path and outcome.");
  LimitedFamily<Counter> rpc_started =
      CounterFamily("grpc_server_started_total", "RPCs started on the server.");
  LimitedFamily<Counter> rpc_handled =
      CounterFamily("grpc_server_handled_total", "RPCs completed on the server, by code.");
  LimitedFamily<Histogram> rpc_handling = HistogramFamily(
      "grpc_server_handling_seconds", "Time from an RPC's start to its completion on the server.");
};

PrometheusSink::PrometheusSink(const std::map<std::string, std::string>& build_info, int max_series)
    : families_(std::make_unique<Families>(max_series)) {
  Set(families_->build_info, Labels(build_info.begin(), build_info.end()), 1);
}

PrometheusSink::~PrometheusSink() = default;

void PrometheusSink::DeviceChanged(const DeviceStatus& device) {
  const DeviceInfo& info = device.info;
  Set(families_->device_info,
      {{"device", info.id},
       {"backend", info.backend},
       {"name", info.name},
       {"uuid", info.uuid},
       {"driver", Property(info, "driver")},
       {"compute_capability", Property(info, "compute_capability")}},
      1);
  const Labels labels = {{"device", info.id}};
  Set(families_->device_healthy, labels, device.is_healthy ? 1 : 0);
  Set(families_->device_memory, labels, static_cast<double>(info.memory_bytes));
  Set(families_->device_memory_free, labels, static_cast<double>(device.memory.free_bytes));
  Set(families_->queue_depth, labels, device.queue_depth);
  if (device.reading && info.backend != "cpu") ShowReading(labels, *device.reading);
}

void PrometheusSink::ShowReading(const std::map<std::string, std::string>& labels,
                                 const DeviceReading& reading) {
  std::lock_guard lock(families_->reading_mutex);
  SetIfKnown(families_->gpu_temperature, labels, reading.temperature_celsius);
  SetIfKnown(families_->gpu_power, labels, reading.power_watts);
  SetIfKnown(families_->gpu_sm_clock, labels, reading.clock_hertz);
  SetIfKnown(families_->gpu_memory_clock, labels, reading.memory_clock_hertz);
  const auto follow = [&](const char* kind, const std::optional<uint64_t>& errors) {
    if (!errors) return;
    Labels of_kind = labels;
    of_kind["kind"] = kind;
    Follow(families_->gpu_ecc_errors, of_kind, *errors, families_->last_ecc[of_kind]);
  };
  follow("corrected", reading.ecc_corrected_errors);
  follow("uncorrected", reading.ecc_uncorrected_errors);
}

void PrometheusSink::OperationFinished(const OperationRecord& operation, double seconds) {
  const std::string outcome(OperationStateName(operation.state));
  Increment(families_->operations, {{"kind", operation.kind}, {"outcome", outcome}});
  Observe(families_->operation_duration, {{"kind", operation.kind}}, seconds);
}

void PrometheusSink::BenchmarkFinished(const RunRecord& run) {
  for (const BenchmarkResult& result : run.results) {
    Increment(families_->benchmarks, {{"device", run.device},
                                      {"path", result.path},
                                      {"outcome", result.status.ok() ? "ok" : "error"}});
    if (!result.status.ok()) continue;
    Labels labels = {{"device", run.device},
                     {"path", result.path},
                     {"format", run.format},
                     {"code", OptionLabel(run.options, "code")},
                     {"bits", OptionLabel(run.options, "bits")},
                     {"batch", BatchLabel(result.batch)},
                     {"cache_mode", std::string(CacheModeName(result.cache_mode))}};
    // Without the label where they are of the compute dtype, as before there were others.
    if (const std::string activations = OtherActivations(run, result); !activations.empty()) {
      labels["activations"] = activations;
    }
    Set(families_->median, labels, result.latency.median);
    Set(families_->bandwidth, labels, result.effective_bytes_per_second);
    Set(families_->relative_error, labels, result.relative_error);
  }
}

void PrometheusSink::ArtifactsChanged(const std::string& format, int64_t count, uint64_t bytes) {
  Set(families_->artifacts, {{"format", format}}, static_cast<double>(count));
  Set(families_->artifact_bytes, {{"format", format}}, static_cast<double>(bytes));
}

void PrometheusSink::ResidentChanged(const std::string& device, const std::string& format,
                                     int64_t count, uint64_t bytes) {
  const Labels labels = {{"device", device}, {"format", format}};
  Set(families_->resident_artifacts, labels, static_cast<double>(count));
  Set(families_->resident_bytes, labels, static_cast<double>(bytes));
}

void PrometheusSink::RpcStarted(const RpcName& rpc) {
  Increment(families_->rpc_started, RpcLabels(rpc));
}

void PrometheusSink::RpcHandled(const RpcName& rpc, const std::string& code, double seconds) {
  Labels labels = RpcLabels(rpc);
  Observe(families_->rpc_handling, labels, seconds);
  labels["grpc_code"] = code;
  Increment(families_->rpc_handled, labels);
}

void PrometheusSink::SetRefresh(std::function<void()> refresh) { refresh_ = std::move(refresh); }

std::string PrometheusSink::Text() {
  if (refresh_) refresh_();
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace qtipd
