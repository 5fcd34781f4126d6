#include "server/engine/history/record_json.h"

#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

using Json = nlohmann::json;

// JSON has no NaN: nlohmann writes null for it.
double Number(const Json& json, const char* key) {
  const Json& value = json.at(key);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

Json FromOptions(const Options& options) {
  Json json = Json::object();
  for (const auto& [name, value] : options.values()) {
    std::visit([&, &key = name](const auto& v) { json[key] = v; }, value);
  }
  return json;
}

Options ToOptions(const Json& json) {
  std::map<std::string, OptionValue> values;
  for (const auto& [name, value] : json.items()) {
    if (value.is_boolean()) {
      values[name] = value.get<bool>();
    } else if (value.is_number_integer()) {
      values[name] = value.get<int64_t>();
    } else if (value.is_number()) {
      values[name] = value.get<double>();
    } else {
      values[name] = value.get<std::string>();
    }
  }
  return Options(std::move(values));
}

Json FromShape(const Shape& shape) { return Json::array({shape.out_features, shape.in_features}); }

Shape ToShape(const Json& json) { return {json.at(0).get<int64_t>(), json.at(1).get<int64_t>()}; }

Json FromQuality(const std::optional<Quality>& quality) {
  if (!quality) return nullptr;
  return {{"weight_mse", quality->weight_mse},
          {"relative_weight_mse", quality->relative_weight_mse},
          {"output_mse", quality->output_mse},
          {"relative_output_mse", quality->relative_output_mse},
          {"proxy_error", quality->proxy_error}};
}

std::optional<Quality> ToQuality(const Json& json) {
  if (json.is_null()) return std::nullopt;
  Quality quality;
  quality.weight_mse = Number(json, "weight_mse");
  quality.relative_weight_mse = Number(json, "relative_weight_mse");
  quality.output_mse = Number(json, "output_mse");
  quality.relative_output_mse = Number(json, "relative_output_mse");
  quality.proxy_error = Number(json, "proxy_error");
  return quality;
}

Json FromStatus(const absl::Status& status) {
  if (status.ok()) return nullptr;
  const ErrorInfo info = GetErrorInfo(status);
  return {{"code", static_cast<int>(status.code())},
          {"message", std::string(status.message())},
          {"reason", info.reason},
          {"metadata", info.metadata}};
}

absl::Status ToStatus(const Json& json) {
  if (json.is_null()) return absl::OkStatus();
  return MakeError(static_cast<absl::StatusCode>(json.at("code").get<int>()),
                   json.at("reason").get<std::string>(), json.at("message").get<std::string>(),
                   json.at("metadata").get<std::map<std::string, std::string>>());
}

Json FromOptional(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// Also absent in records of versions that did not have it.
std::optional<double> OptionalNumber(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::nullopt;
  return found->get<double>();
}

Json FromStatistics(const Statistics& s) {
  return {{"median", s.median},
          {"ci_low", s.ci_low},
          {"ci_high", s.ci_high},
          {"mean", s.mean},
          {"minimum", s.minimum},
          {"maximum", s.maximum},
          {"p10", FromOptional(s.p10)},
          {"p90", FromOptional(s.p90)},
          {"iqr", s.iqr},
          {"mad", s.mad},
          {"p95", FromOptional(s.p95)},
          {"p99", FromOptional(s.p99)},
          {"modes", s.modes},
          {"low_outliers", s.low_outliers},
          {"high_outliers", s.high_outliers}};
}

Statistics ToStatistics(const Json& json) {
  return {.median = Number(json, "median"),
          .ci_low = Number(json, "ci_low"),
          .ci_high = Number(json, "ci_high"),
          .mean = Number(json, "mean"),
          .minimum = Number(json, "minimum"),
          .maximum = Number(json, "maximum"),
          .iqr = Number(json, "iqr"),
          .mad = OptionalNumber(json, "mad").value_or(0),
          .p10 = OptionalNumber(json, "p10"),
          .p90 = OptionalNumber(json, "p90"),
          .p95 = OptionalNumber(json, "p95"),
          .p99 = OptionalNumber(json, "p99"),
          .modes = json.value("modes", 1),
          .low_outliers = json.value("low_outliers", int64_t{0}),
          .high_outliers = json.value("high_outliers", int64_t{0})};
}

Json FromRoofline(const std::optional<Roofline>& roofline) {
  if (!roofline) return nullptr;
  return {{"limit", roofline->limit},
          {"seconds", roofline->seconds},
          {"fraction", roofline->fraction},
          {"limit_seconds", roofline->limit_seconds}};
}

std::optional<Roofline> ToRoofline(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return Roofline{.limit = json.at("limit"),
                  .seconds = Number(json, "seconds"),
                  .fraction = Number(json, "fraction"),
                  .limit_seconds = json.at("limit_seconds")};
}

Json FromPhases(const std::optional<PhaseBreakdown>& breakdown) {
  if (!breakdown) return nullptr;
  Json phases = Json::array();
  for (const PhaseResult& phase : breakdown->phases) {
    phases.push_back(Json::array({phase.name, phase.seconds, phase.fraction}));
  }
  return {{"kernel_seconds", breakdown->kernel_seconds},
          {"shipped_kernel_seconds", breakdown->shipped_kernel_seconds},
          {"instrumented_overhead", breakdown->instrumented_overhead},
          {"phases", phases}};
}

std::optional<PhaseBreakdown> ToPhases(const Json& json) {
  if (json.is_null()) return std::nullopt;
  PhaseBreakdown breakdown;
  breakdown.kernel_seconds = Number(json, "kernel_seconds");
  breakdown.shipped_kernel_seconds = Number(json, "shipped_kernel_seconds");
  breakdown.instrumented_overhead = Number(json, "instrumented_overhead");
  for (const Json& phase : json.at("phases")) {
    breakdown.phases.push_back({phase.at(0), phase.at(1), phase.at(2)});
  }
  return breakdown;
}

Json FromConditions(const Conditions& c) {
  return {{"clock_hertz", FromOptional(c.clock_hertz)},
          {"clock_hertz_minimum", FromOptional(c.clock_hertz_minimum)},
          {"clock_hertz_maximum", FromOptional(c.clock_hertz_maximum)},
          {"temperature_begin_celsius", FromOptional(c.temperature_begin_celsius)},
          {"temperature_end_celsius", FromOptional(c.temperature_end_celsius)},
          {"power_watts", FromOptional(c.power_watts)},
          {"joules_per_run", FromOptional(c.joules_per_run)},
          {"clock_events", c.clock_events},
          {"throttled_samples", c.throttled_samples},
          {"retaken_samples", c.retaken_samples},
          {"foreign_work", c.foreign_work},
          {"clock_policy", c.clock_policy}};
}

Conditions ToConditions(const Json& json) {
  return {.clock_hertz = OptionalNumber(json, "clock_hertz"),
          .clock_hertz_minimum = OptionalNumber(json, "clock_hertz_minimum"),
          .clock_hertz_maximum = OptionalNumber(json, "clock_hertz_maximum"),
          .temperature_begin_celsius = OptionalNumber(json, "temperature_begin_celsius"),
          .temperature_end_celsius = OptionalNumber(json, "temperature_end_celsius"),
          .power_watts = OptionalNumber(json, "power_watts"),
          .joules_per_run = OptionalNumber(json, "joules_per_run"),
          .clock_events = json.at("clock_events"),
          .throttled_samples = json.at("throttled_samples"),
          .retaken_samples = json.at("retaken_samples"),
          .foreign_work = json.at("foreign_work"),
          .clock_policy = json.at("clock_policy")};
}

// The value of an enum whose Name function gives `name`, over [first, last].
template <typename Enum>
Enum FromName(const std::string& name, std::string_view (*name_of)(Enum), Enum first, Enum last) {
  for (int i = static_cast<int>(first); i <= static_cast<int>(last); ++i) {
    if (name_of(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
  }
  throw std::invalid_argument("unknown name " + name);
}

// Text that is not UTF-8 (an error message with a file's name) is kept readable instead of
// throwing.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Runs `parse` on the JSON of `text`; the library's exceptions end here.
template <typename Parse>
auto Read(const std::string& text, Parse parse) -> absl::StatusOr<decltype(parse(Json()))> {
  try {
    return parse(Json::parse(text));
  } catch (const std::exception& error) {
    return MakeError(absl::StatusCode::kDataLoss, "HISTORY_RECORD_DAMAGED",
                     std::string("a record of the history cannot be read: ") + error.what());
  }
}

Json FromScaleTrials(const std::vector<ScaleTrial>& trials) {
  Json json = Json::array();
  for (const ScaleTrial& trial : trials) json.push_back({trial.scale, trial.error});
  return json;
}

// Absent in records of versions that did not have them.
std::vector<ScaleTrial> ToScaleTrials(const Json& record) {
  std::vector<ScaleTrial> trials;
  for (const Json& trial : record.value("scale_trials", Json::array())) {
    trials.push_back({.scale = trial.at(0).get<double>(), .error = trial.at(1).get<double>()});
  }
  return trials;
}

ArtifactRecord ParseArtifact(const Json& json) {
  ArtifactRecord record;
  record.name = json.at("name");
  record.sha256 = json.at("sha256");
  record.format = json.at("format");
  record.options = ToOptions(json.at("options"));
  record.shape = ToShape(json.at("shape"));
  record.bits_per_weight = Number(json, "bits_per_weight");
  record.packed_bytes = json.at("packed_bytes");
  record.compression_ratio = Number(json, "compression_ratio");
  record.source = json.at("source");
  record.recipe_sha256 = json.at("recipe_sha256");
  record.seed = json.at("seed");
  record.quality = ToQuality(json.at("quality"));
  record.quantize_step_seconds = json.at("quantize_step_seconds");
  record.quantize_seconds = Number(json, "quantize_seconds");
  record.quantized_on = json.at("quantized_on");
  record.create_time = json.at("create_time");
  record.scale_trials = ToScaleTrials(json);
  return record;
}

Json FromSpec(const BenchmarkSpec& spec) {
  return {{"artifact", spec.artifact},
          {"device", spec.device},
          {"paths", spec.paths},
          {"batches", spec.batches},
          {"cache_mode", CacheModeName(spec.cache_mode)},
          {"seed", spec.seed},
          {"samples", spec.samples},
          {"stopping_criterion", spec.stopping_criterion},
          {"stopping_parameters", spec.stopping_parameters},
          {"min_samples", spec.min_samples},
          {"max_samples", spec.max_samples},
          {"relative_half_width", spec.relative_half_width},
          {"max_seconds", spec.max_seconds},
          {"lock_clocks", spec.lock_clocks},
          {"activation_dtype", spec.activation_dtype}};
}

BenchmarkSpec ToSpec(const Json& json) {
  BenchmarkSpec spec;
  spec.artifact = json.at("artifact");
  spec.device = json.at("device");
  spec.paths = json.at("paths").get<std::vector<std::string>>();
  spec.batches = json.at("batches").get<std::vector<int64_t>>();
  spec.cache_mode =
      FromName(json.at("cache_mode"), CacheModeName, CacheMode::kRotate, CacheMode::kHot);
  spec.seed = json.at("seed");
  spec.samples = json.at("samples");
  spec.stopping_criterion = json.at("stopping_criterion");
  spec.stopping_parameters = json.at("stopping_parameters");
  spec.min_samples = json.at("min_samples");
  spec.max_samples = json.at("max_samples");
  spec.relative_half_width = json.at("relative_half_width");
  spec.max_seconds = json.at("max_seconds");
  spec.lock_clocks = json.at("lock_clocks");
  spec.activation_dtype = json.value("activation_dtype", "");
  return spec;
}

RunRecord ParseRun(const Json& json) {
  RunRecord run;
  run.artifact = json.at("artifact");
  run.artifact_sha256 = json.at("artifact_sha256");
  run.format = json.at("format");
  run.options = ToOptions(json.at("options"));
  run.shape = ToShape(json.at("shape"));
  run.quality = ToQuality(json.at("quality"));
  run.device = json.at("device");
  run.device_name = json.at("device_name");
  run.environment = json.at("environment");
  run.create_time = json.at("create_time");
  run.seconds = Number(json, "seconds");
  if (const auto spec = json.find("spec"); spec != json.end() && !spec->is_null()) {
    run.spec = ToSpec(*spec);
  }
  return run;
}

BenchmarkResult ParseResult(const Json& json) {
  BenchmarkResult result;
  result.path = json.at("path");
  result.batch = json.at("batch");
  result.activation_dtype = json.value("activation_dtype", "");
  result.cache_mode =
      FromName(json.at("cache_mode"), CacheModeName, CacheMode::kRotate, CacheMode::kHot);
  result.copies = json.at("copies");
  result.runs_per_sample = json.at("runs_per_sample");
  result.latency = ToStatistics(json.at("latency"));
  result.stop_reason = FromName(json.at("stop_reason"), StopReasonName, StopReason::kConverged,
                                StopReason::kCancelled);
  result.is_stable = json.at("is_stable");
  for (const Json& step : json.at("steps")) {
    StepResult& read = result.steps.emplace_back();
    read.name = step.at(0);
    read.median_seconds = step.at(1);
    if (step.size() > 2) read.alone_seconds = step.at(2).get<double>();
  }
  result.bytes_per_run = json.at("bytes_per_run");
  result.effective_bytes_per_second = Number(json, "effective_bytes_per_second");
  result.weight_bytes = json.at("weight_bytes");
  result.compression_ratio = Number(json, "compression_ratio");
  result.tokens_per_second = Number(json, "tokens_per_second");
  result.relative_error = Number(json, "relative_error");
  result.relative_error_bound = Number(json, "relative_error_bound");
  result.replay_overhead_seconds = OptionalNumber(json, "replay_overhead_seconds").value_or(0);
  result.roofline = ToRoofline(json.value("roofline", Json()));
  result.phases = ToPhases(json.value("phases", Json()));
  result.packed_read_seconds = OptionalNumber(json, "packed_read_seconds");
  if (json.contains("conditions")) result.conditions = ToConditions(json.at("conditions"));
  result.warnings = json.value("warnings", std::vector<std::string>());
  result.comparability_key = json.value("comparability_key", "");
  result.wall_seconds = OptionalNumber(json, "wall_seconds").value_or(0);
  result.notes = json.at("notes");
  result.status = ToStatus(json.at("status"));
  return result;
}

OperationRecord ParseOperation(const Json& json) {
  OperationRecord operation;
  operation.kind = json.at("kind");
  operation.target = json.at("target");
  operation.device = json.at("device");
  operation.state = FromName(json.at("state"), OperationStateName, OperationState::kQueued,
                             OperationState::kInterrupted);
  operation.progress = Number(json, "progress");
  operation.stage = json.at("stage");
  operation.result = json.at("result");
  operation.error = ToStatus(json.at("error"));
  operation.create_time = json.at("create_time");
  operation.update_time = json.at("update_time");
  operation.revision = json.at("revision");
  return operation;
}

}  // namespace

std::string ArtifactToJson(const ArtifactRecord& record) {
  return Dump({{"name", record.name},
               {"sha256", record.sha256},
               {"format", record.format},
               {"options", FromOptions(record.options)},
               {"shape", FromShape(record.shape)},
               {"bits_per_weight", record.bits_per_weight},
               {"packed_bytes", record.packed_bytes},
               {"compression_ratio", record.compression_ratio},
               {"source", record.source},
               {"recipe_sha256", record.recipe_sha256},
               {"seed", record.seed},
               {"quality", FromQuality(record.quality)},
               {"quantize_step_seconds", record.quantize_step_seconds},
               {"quantize_seconds", record.quantize_seconds},
               {"quantized_on", record.quantized_on},
               {"create_time", record.create_time},
               {"scale_trials", FromScaleTrials(record.scale_trials)}});
}

absl::StatusOr<ArtifactRecord> ArtifactFromJson(const std::string& text) {
  return Read(text, ParseArtifact);
}

std::string RunToJson(const RunRecord& run) {
  return Dump({{"artifact", run.artifact},
               {"artifact_sha256", run.artifact_sha256},
               {"format", run.format},
               {"options", FromOptions(run.options)},
               {"shape", FromShape(run.shape)},
               {"quality", FromQuality(run.quality)},
               {"device", run.device},
               {"device_name", run.device_name},
               {"environment", run.environment},
               {"create_time", run.create_time},
               {"seconds", run.seconds},
               {"spec", run.spec ? FromSpec(*run.spec) : Json(nullptr)}});
}

absl::StatusOr<RunRecord> RunFromJson(const std::string& text) { return Read(text, ParseRun); }

std::string ResultToJson(const BenchmarkResult& result) {
  Json steps = Json::array();
  for (const StepResult& step : result.steps) {
    Json& written = steps.emplace_back(Json::array({step.name, step.median_seconds}));
    if (step.alone_seconds) written.push_back(*step.alone_seconds);
  }
  return Dump({{"path", result.path},
               {"batch", result.batch},
               {"activation_dtype", result.activation_dtype},
               {"cache_mode", CacheModeName(result.cache_mode)},
               {"copies", result.copies},
               {"runs_per_sample", result.runs_per_sample},
               {"latency", FromStatistics(result.latency)},
               {"stop_reason", StopReasonName(result.stop_reason)},
               {"is_stable", result.is_stable},
               {"steps", steps},
               {"bytes_per_run", result.bytes_per_run},
               {"effective_bytes_per_second", result.effective_bytes_per_second},
               {"weight_bytes", result.weight_bytes},
               {"compression_ratio", result.compression_ratio},
               {"tokens_per_second", result.tokens_per_second},
               {"relative_error", result.relative_error},
               {"relative_error_bound", result.relative_error_bound},
               {"replay_overhead_seconds", result.replay_overhead_seconds},
               {"roofline", FromRoofline(result.roofline)},
               {"phases", FromPhases(result.phases)},
               {"packed_read_seconds", FromOptional(result.packed_read_seconds)},
               {"conditions", FromConditions(result.conditions)},
               {"warnings", result.warnings},
               {"comparability_key", result.comparability_key},
               {"wall_seconds", result.wall_seconds},
               {"notes", result.notes},
               {"status", FromStatus(result.status)}});
}

absl::StatusOr<BenchmarkResult> ResultFromJson(const std::string& text) {
  return Read(text, ParseResult);
}

std::string OperationToJson(const OperationRecord& operation) {
  return Dump({{"kind", operation.kind},
               {"target", operation.target},
               {"device", operation.device},
               {"state", OperationStateName(operation.state)},
               {"progress", operation.progress},
               {"stage", operation.stage},
               {"result", operation.result},
               {"error", FromStatus(operation.error)},
               {"create_time", operation.create_time},
               {"update_time", operation.update_time},
               {"revision", operation.revision}});
}

absl::StatusOr<OperationRecord> OperationFromJson(const std::string& text) {
  return Read(text, ParseOperation);
}

std::string OptionsToJson(const Options& options) { return Dump(FromOptions(options)); }

absl::StatusOr<Options> OptionsFromJson(const std::string& text) { return Read(text, ToOptions); }

}  // namespace qtipd
