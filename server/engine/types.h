// What the engine takes and returns: plain values, one struct a resource.
#ifndef QTIPD_SERVER_ENGINE_TYPES_H_
#define QTIPD_SERVER_ENGINE_TYPES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "kernels/api/device.h"
#include "kernels/api/distribution.h"
#include "kernels/api/options.h"
#include "kernels/api/weight_format.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {

// Milliseconds since the Unix epoch.
using UnixMillis = int64_t;

// ---- Where matrices come from -------------------------------------------------------------------

// Weights from kernels/api/distribution.h.
struct RandomSource {
  Shape shape;
  uint64_t seed = 0;
  Distribution distribution = Distribution::kNormal;
};

// Tensors of a safetensors file: one that a client uploaded, or one under an allowed directory of
// the server. Exactly one of the two is set.
struct FileSource {
  std::string upload_id;
  std::string server_path;
};

struct TensorSource {
  FileSource file;
  std::string tensor;
  // Optional Hessian, a tensor of `file` or, with hessian_file set, of that one.
  std::string hessian_tensor;
  FileSource hessian_file;
  // What the client calls its file; recorded, never opened.
  std::string display_name;
  // Instead of hessian_tensor: one that was calibrated.
  std::string hessian_name;
};

// ---- Requests -----------------------------------------------------------------------------------

struct QuantizeSpec {
  std::string request_id;  // empty, or a client's key for deduplication
  std::string name;        // artefact to create, [A-Za-z0-9._/-]{1,200}
  std::string device;      // empty: the first healthy one
  std::string format;
  std::map<std::string, OptionValue> options;
  std::optional<RandomSource> random;  // exactly one of random, tensor
  std::optional<TensorSource> tensor;
  uint64_t seed = 0;  // sign vectors
  bool if_absent = false;
};

struct ImportSpec {
  std::string request_id;
  std::string name;
  FileSource file;
  std::string prefix;  // "model.layers.0.self_attn.q_proj."; empty: the file's only layer
  std::string format;  // empty: recognised
  std::map<std::string, OptionValue> options;
  bool if_absent = false;
  std::string display_name;
  // Of a whole model whose linears `file` uploads: the text of its config.json, and the names of
  // its tensors that the upload leaves out. Of a directory on the server, both are read there.
  std::string model_config;
  std::vector<std::string> absent_tensors;
};

struct CalibrateSpec {
  std::string request_id;
  std::string name;
  std::string device;  // whose turn it takes, so that it spoils no measurement; empty: the first
  FileSource file;
  std::string tensor;  // activations [tokens, in_features], F16, BF16 or F32
  bool add = false;    // to the Hessian of that name, which exists
  std::string display_name;
};

enum class CacheMode { kRotate, kCold, kHot };
std::string_view CacheModeName(CacheMode mode);  // "rotate", "cold", "hot"

struct BenchmarkSpec {
  std::string request_id;
  std::string artifact;
  std::string device;
  std::vector<std::string> paths;  // at least one
  std::vector<int64_t> batches;    // at least one
  CacheMode cache_mode = CacheMode::kRotate;
  uint64_t seed = 1;  // activations
  // Stopping: exactly `samples` if not 0, else when `stopping_criterion` (harness/stopping.h) says
  // so, between min_samples and max_samples, at most `max_seconds` of wall time.
  int64_t samples = 0;
  std::string stopping_criterion = "ci-width";
  std::map<std::string, double> stopping_parameters;  // the criterion's own that are not default
  int64_t min_samples = 0;                            // 0: the criterion's default
  int64_t max_samples = 0;                            // 0: the criterion's default
  // Half the 95 % interval of the median, over the median, at which a result is stable.
  double relative_half_width = 0.005;
  double max_seconds = 15;
  bool lock_clocks = false;      // hold the device's clock at its default meanwhile
  std::string activation_dtype;  // of x and y: "BF16"; empty: the device's compute dtype
};

struct LoadSpec {
  std::string artifact;
  std::string device;
};

// ---- Resources ----------------------------------------------------------------------------------

struct Quality {
  double weight_mse = 0;           // mean (W - W_hat)^2
  double relative_weight_mse = 0;  // over mean W^2
  double output_mse = 0;  // mean over outputs and activations of (Wx - W_hat x)^2, x ~ N(0,1)
  double relative_output_mse = 0;
  double proxy_error = 0;
};

struct ArtifactRecord {
  std::string name;
  std::string sha256;  // of the file; also its name on disk
  std::string format;
  Options options;
  Shape shape;
  double bits_per_weight = 0;  // stored bits over weights, scales and codebooks included
  uint64_t packed_bytes = 0;
  double compression_ratio = 0;  // FP16 bytes over packed bytes
  std::string source;            // "random seed=0", "file W.safetensors tensor=W", "import ..."
  std::string recipe_sha256;     // of everything that determines the bytes; for --if-absent
  uint64_t seed = 0;
  std::optional<Quality> quality;  // absent for imports
  std::vector<std::pair<std::string, double>> quantize_step_seconds;
  std::vector<ScaleTrial> scale_trials;  // empty where the scale was given
  double quantize_seconds = 0;
  std::string quantized_on;  // device name
  UnixMillis create_time = 0;
  std::vector<std::string> loaded_on;  // device ids it is resident on now
};

// What was kept of an imported model beside its artefacts.
struct ModelRecord {
  std::string name;
  std::string format;
  std::string config;                       // text of config.json as it was imported
  std::vector<std::string> absent_tensors;  // of the directory, that are not held
  std::string source;
  UnixMillis create_time = 0;  // 0: there is no record, only artefacts
};

// A model as it is now.
struct ModelView {
  ModelRecord record;                                          // its config made anew by the format
  std::vector<std::pair<std::string, ArtifactRecord>> layers;  // by prefix, with the final dot
};

// H = X^T X / tokens over the activations X [tokens, in_features] accumulated so far.
struct HessianRecord {
  std::string name;
  std::string sha256;  // of the file; also its name on disk
  int64_t in_features = 0;
  int64_t tokens = 0;
  double mean_diagonal = 0;  // of H
  uint64_t stored_bytes = 0;
  std::vector<std::string> sources;
  UnixMillis create_time = 0;
  UnixMillis update_time = 0;
};

enum class StopReason {
  kConverged,
  kNoiseStable,  // the spread of the samples no longer changes: more of them would not help
  kSampleLimit,
  kTimeout,
  kThrottled,  // it would be one of the first two, but most samples were taken at a reduced clock
  kCancelled
};
std::string_view StopReasonName(StopReason reason);  // "CONVERGED", ...

struct Statistics {
  double median = 0;
  double ci_low = 0;  // 95 % interval of the median from order statistics
  double ci_high = 0;
  double mean = 0;
  double minimum = 0;
  double maximum = 0;
  double iqr = 0;
  double mad = 0;  // median absolute deviation, not scaled
  // Absent below the samples that carry them, harness/statistics.h: 64, 64, 130 and 662.
  std::optional<double> p10;
  std::optional<double> p90;
  std::optional<double> p95;
  std::optional<double> p99;
  int modes = 1;              // of the distribution
  int64_t low_outliers = 0;   // below Tukey's fence, q1 - 1.5 IQR; counted, never deleted
  int64_t high_outliers = 0;  // above q3 + 1.5 IQR
};

struct StepResult {
  std::string name;
  double median_seconds = 0;  // 0: too short to tell from nothing
  // Of the step by itself, replayed back to back, where that is another measurement.
  std::optional<double> alone_seconds;
};

// The least time that the device's own measured ceiling allows a run, by the limit that binds.
struct Roofline {
  std::string limit;    // "bandwidth", "cache_bandwidth", "issue", "shared_memory", "launch"
  double seconds = 0;   // that a run takes at that limit
  double fraction = 0;  // seconds / median latency
  std::map<std::string, double> limit_seconds;  // every limit that is known
};

struct PhaseResult {
  std::string name;     // "codebook", "loop", "reduce", "launch_skew": see PhaseTimes
  double seconds = 0;   // mean over the kernel's blocks
  double fraction = 0;  // of kernel_seconds
};

// Where the time inside the fused kernel goes, from time stamps in an instrumented build of it.
struct PhaseBreakdown {
  double kernel_seconds =
      0;  // of the instrumented kernel, by its own time stamps; phases add up to it
  // Of the shipped kernel alone, by the device's timer around as many of it: a row of it, less what
  // a row of empty kernels of the same shape takes for launching.
  double shipped_kernel_seconds = 0;
  double instrumented_overhead = 0;  // how much longer the instrumented row took, as a share
  std::vector<PhaseResult> phases;
};

// What the device was like while it was measured. A value that the device does not tell is absent.
struct Conditions {
  std::optional<double> clock_hertz;  // median over the samples
  std::optional<double> clock_hertz_minimum;
  std::optional<double> clock_hertz_maximum;
  std::optional<double> temperature_begin_celsius;
  std::optional<double> temperature_end_celsius;
  std::optional<double> power_watts;      // mean, while the path ran without a gap
  std::optional<double> joules_per_run;   // from the same window
  std::vector<std::string> clock_events;  // reasons seen, e.g. "SW_POWER_CAP"
  int64_t throttled_samples = 0;          // kept ones
  int64_t retaken_samples = 0;            // throttled ones that were taken again
  std::vector<std::string> foreign_work;  // other work seen on the device, one line each
  std::string clock_policy = "default";   // "default", "locked"
};

struct BenchmarkResult {
  std::string path;
  int64_t batch = 1;
  // Of x and y: "F16", "BF16", "F32"; empty in records that did not keep it, all of the device's
  // compute dtype.
  std::string activation_dtype;
  CacheMode cache_mode = CacheMode::kRotate;
  int copies = 1;               // weight copies rotated over
  int64_t runs_per_sample = 1;  // path runs in one replay; a sample is their mean
  Statistics latency;           // seconds per run
  std::vector<double> samples;
  StopReason stop_reason = StopReason::kConverged;
  bool is_stable = true;  // the interval reached the wanted width
  std::vector<StepResult> steps;
  uint64_t bytes_per_run = 0;
  double effective_bytes_per_second = 0;  // bytes_per_run / median
  uint64_t weight_bytes = 0;
  double compression_ratio = 0;  // FP16 bytes of the weights over weight_bytes of this path
  double tokens_per_second = 0;  // batch / median
  double relative_error = 0;  // ||y - y_ref|| / ||y_ref||, y_ref in double on the same W_hat and x
  double relative_error_bound = 0;
  std::vector<double>
      sample_clock_hertz;  // one a sample, 0 where not known; empty: the device has none
  double replay_overhead_seconds =
      0;  // what an empty replay measures: in every sample, spread over its runs
  std::optional<Roofline> roofline;           // absent where the ceiling was not measured
  std::optional<PhaseBreakdown> phases;       // path fused, where the backend has the build for it
  std::optional<double> packed_read_seconds;  // a bare read of the weights of this path, cache cold
  Conditions conditions;
  std::vector<std::string> warnings;  // "THROTTLED", "FOREIGN_WORK", "UNSTABLE", ...
  double wall_seconds = 0;            // that this cell took, preparation and breakdowns included
  // Results compare only where these are equal: device model, driver, clocks, cache mode, case.
  std::string comparability_key;
  std::map<std::string, std::string> notes;
  absl::Status status;  // not OK: this cell could not be measured, and why
};

struct RunRecord {
  std::string id;
  std::string artifact;
  std::string artifact_sha256;
  std::string format;
  Options options;
  Shape shape;
  std::optional<Quality> quality;
  std::string device;  // id
  std::string device_name;
  std::map<std::string, std::string> environment;  // driver, versions, commit, host, ...
  UnixMillis create_time = 0;
  double seconds = 0;  // wall time of the run
  // What measures the same again, every default filled in; absent in records that did not keep it.
  std::optional<BenchmarkSpec> spec;
  std::vector<BenchmarkResult> results;
};

// "BF16" where x and y of `result` were not of the device's compute dtype; else empty.
std::string OtherActivations(const RunRecord& run, const BenchmarkResult& result);

enum class OperationState { kQueued, kRunning, kSucceeded, kFailed, kCancelled, kInterrupted };
std::string_view OperationStateName(OperationState state);  // "QUEUED", ...
bool IsTerminal(OperationState state);

// A long-running operation. `result` is the name of what it made: an artefact or a run.
struct OperationRecord {
  std::string id;      // "operations/<id>" is the transport's spelling
  std::string kind;    // quantize, import, import_model, calibrate, benchmark, load, unload
  std::string target;  // artefact name
  std::string device;
  OperationState state = OperationState::kQueued;
  double progress = 0;  // [0, 1]
  std::string stage;
  std::string result;
  absl::Status error;  // for kFailed, kCancelled and kInterrupted
  UnixMillis create_time = 0;
  UnixMillis update_time = 0;
  uint64_t revision = 0;  // grows with every change
};

struct DeviceStatus {
  DeviceInfo info;
  bool is_healthy = true;
  std::string unhealthy_reason;
  DeviceMemory memory;
  uint64_t artifact_bytes = 0;
  int queue_depth = 0;
  std::optional<DeviceCeiling> ceiling;  // once a benchmark of this boot has measured it
  std::optional<DeviceReading> reading;  // absent: its monitor was not asked
};

// A backend that could not be used, and why.
struct BackendStatus {
  std::string id;
  bool is_available = false;
  std::string reason;
};

// One page of a list; an empty token ends it.
template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_page_token;
};

struct PageRequest {
  int page_size = 0;  // 0: 100; at most 1000
  std::string page_token;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_TYPES_H_
