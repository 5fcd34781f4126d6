#include "server/service/run_conversion.h"

#include <cmath>
#include <optional>
#include <string>

#include "google/protobuf/util/time_util.h"
#include "server/service/artifact_conversion.h"
#include "server/service/common_conversion.h"
#include "server/service/status_proto.h"

namespace qtipd {
namespace {

v1::Latency LatencyProto(const BenchmarkResult& result, Samples samples) {
  v1::Latency proto;
  proto.set_median(result.latency.median);
  proto.set_ci_low(result.latency.ci_low);
  proto.set_ci_high(result.latency.ci_high);
  proto.set_mean(result.latency.mean);
  proto.set_minimum(result.latency.minimum);
  proto.set_maximum(result.latency.maximum);
  if (result.latency.p10) proto.set_p10(*result.latency.p10);
  if (result.latency.p90) proto.set_p90(*result.latency.p90);
  proto.set_iqr(result.latency.iqr);
  proto.set_mad(result.latency.mad);
  if (result.latency.p95) proto.set_p95(*result.latency.p95);
  if (result.latency.p99) proto.set_p99(*result.latency.p99);
  proto.set_modes(result.latency.modes);
  proto.set_low_outliers(result.latency.low_outliers);
  proto.set_high_outliers(result.latency.high_outliers);
  proto.set_replay_overhead_seconds(result.replay_overhead_seconds);
  if (samples == Samples::kKeep) {
    proto.mutable_samples()->Add(result.samples.begin(), result.samples.end());
    proto.mutable_sample_clock_hertz()->Add(result.sample_clock_hertz.begin(),
                                            result.sample_clock_hertz.end());
  }
  proto.set_stop_reason(std::string(StopReasonName(result.stop_reason)));
  proto.set_stable(result.is_stable);
  return proto;
}

v1::Roofline RooflineProto(const Roofline& roofline) {
  v1::Roofline proto;
  proto.set_limit(roofline.limit);
  proto.set_seconds(roofline.seconds);
  proto.set_fraction(roofline.fraction);
  for (const auto& [limit, seconds] : roofline.limit_seconds) {
    (*proto.mutable_limit_seconds())[limit] = seconds;
  }
  return proto;
}

v1::PhaseBreakdown PhasesProto(const PhaseBreakdown& breakdown) {
  v1::PhaseBreakdown proto;
  proto.set_kernel_seconds(breakdown.kernel_seconds);
  proto.set_shipped_kernel_seconds(breakdown.shipped_kernel_seconds);
  proto.set_instrumented_overhead(breakdown.instrumented_overhead);
  for (const PhaseResult& result : breakdown.phases) {
    v1::Phase* phase = proto.add_phases();
    phase->set_name(result.name);
    phase->set_seconds(result.seconds);
    phase->set_fraction(result.fraction);
  }
  return proto;
}

v1::Conditions ConditionsProto(const Conditions& conditions) {
  v1::Conditions proto;
  const auto set = [&](const std::optional<double>& value, void (v1::Conditions::*setter)(double)) {
    if (value) (proto.*setter)(*value);
  };
  set(conditions.clock_hertz, &v1::Conditions::set_clock_hertz);
  set(conditions.clock_hertz_minimum, &v1::Conditions::set_clock_hertz_minimum);
  set(conditions.clock_hertz_maximum, &v1::Conditions::set_clock_hertz_maximum);
  set(conditions.temperature_begin_celsius, &v1::Conditions::set_temperature_begin_celsius);
  set(conditions.temperature_end_celsius, &v1::Conditions::set_temperature_end_celsius);
  set(conditions.power_watts, &v1::Conditions::set_power_watts);
  set(conditions.joules_per_run, &v1::Conditions::set_joules_per_run);
  proto.mutable_clock_events()->Add(conditions.clock_events.begin(), conditions.clock_events.end());
  proto.set_throttled_samples(conditions.throttled_samples);
  proto.set_retaken_samples(conditions.retaken_samples);
  proto.mutable_foreign_work()->Add(conditions.foreign_work.begin(), conditions.foreign_work.end());
  proto.set_clock_policy(conditions.clock_policy);
  return proto;
}

v1::BenchmarkResult ResultProto(const BenchmarkResult& result, Samples samples) {
  v1::BenchmarkResult proto;
  proto.set_path(result.path);
  proto.set_batch(result.batch);
  proto.set_cache_mode(std::string(CacheModeName(result.cache_mode)));
  proto.set_activation_dtype(result.activation_dtype);
  if (!result.status.ok()) {
    // Nothing was measured: figures stay absent rather than 0 with the look of a measurement.
    *proto.mutable_error() = ToProto(result.status);
    return proto;
  }
  proto.set_copies(result.copies);
  proto.set_runs_per_sample(result.runs_per_sample);
  *proto.mutable_latency() = LatencyProto(result, samples);
  for (const StepResult& step : result.steps) {
    v1::StepLatency* latency = proto.add_steps();
    latency->set_name(step.name);
    latency->set_median_seconds(step.median_seconds);
    if (step.alone_seconds) latency->set_alone_seconds(*step.alone_seconds);
  }
  proto.set_bytes_per_run(result.bytes_per_run);
  proto.set_effective_bytes_per_second(result.effective_bytes_per_second);
  proto.set_weight_bytes(result.weight_bytes);
  proto.set_compression_ratio(result.compression_ratio);
  proto.set_tokens_per_second(result.tokens_per_second);
  proto.set_relative_error(result.relative_error);
  proto.set_relative_error_bound(result.relative_error_bound);
  if (result.roofline) *proto.mutable_roofline() = RooflineProto(*result.roofline);
  if (result.phases) *proto.mutable_phases() = PhasesProto(*result.phases);
  if (result.packed_read_seconds) proto.set_packed_read_seconds(*result.packed_read_seconds);
  *proto.mutable_conditions() = ConditionsProto(result.conditions);
  proto.mutable_warnings()->Add(result.warnings.begin(), result.warnings.end());
  proto.set_comparability_key(result.comparability_key);
  proto.set_wall_seconds(result.wall_seconds);
  for (const auto& [key, value] : result.notes) (*proto.mutable_notes())[key] = value;
  return proto;
}

v1::CacheMode CacheModeProto(CacheMode mode) {
  switch (mode) {
    case CacheMode::kRotate:
      return v1::CACHE_MODE_ROTATE;
    case CacheMode::kCold:
      return v1::CACHE_MODE_COLD;
    case CacheMode::kHot:
      return v1::CACHE_MODE_HOT;
  }
  return v1::CACHE_MODE_UNSPECIFIED;
}

v1::StartBenchmarkRequest RequestProto(const BenchmarkSpec& spec) {
  v1::StartBenchmarkRequest proto;
  proto.set_artifact(spec.artifact);
  proto.set_device(spec.device);
  proto.mutable_paths()->Add(spec.paths.begin(), spec.paths.end());
  proto.mutable_batches()->Add(spec.batches.begin(), spec.batches.end());
  proto.set_cache_mode(CacheModeProto(spec.cache_mode));
  proto.set_seed(spec.seed);
  proto.set_lock_clocks(spec.lock_clocks);
  proto.set_activation_dtype(spec.activation_dtype);
  v1::StoppingRule& stopping = *proto.mutable_stopping();
  stopping.set_samples(spec.samples);
  stopping.set_min_samples(spec.min_samples);
  stopping.set_max_samples(spec.max_samples);
  stopping.set_relative_half_width(spec.relative_half_width);
  *stopping.mutable_timeout() =
      google::protobuf::util::TimeUtil::NanosecondsToDuration(std::llround(spec.max_seconds * 1e9));
  stopping.set_criterion(spec.stopping_criterion);
  for (const auto& [name, value] : spec.stopping_parameters) {
    (*stopping.mutable_parameters())[name] = value;
  }
  return proto;
}

}  // namespace

v1::Run ToProto(const RunRecord& record, Samples samples) {
  v1::Run proto;
  proto.set_id(record.id);
  proto.set_artifact(record.artifact);
  proto.set_artifact_sha256(record.artifact_sha256);
  proto.set_format(record.format);
  FillOptions(record.options, *proto.mutable_format_options());
  *proto.mutable_shape() = ToProto(record.shape);
  if (record.quality) *proto.mutable_quality() = ToProto(*record.quality);
  proto.set_device(record.device);
  proto.set_device_name(record.device_name);
  for (const auto& [key, value] : record.environment) (*proto.mutable_environment())[key] = value;
  *proto.mutable_create_time() = ToTimestamp(record.create_time);
  proto.set_seconds(record.seconds);
  if (record.spec) *proto.mutable_request() = RequestProto(*record.spec);
  for (const BenchmarkResult& result : record.results) {
    *proto.add_results() = ResultProto(result, samples);
  }
  return proto;
}

}  // namespace qtipd
