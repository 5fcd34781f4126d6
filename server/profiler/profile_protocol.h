// What the daemon asks of the profiling helper, and what comes back; shared by both processes.
#ifndef QTIPD_SERVER_PROFILER_PROFILE_PROTOCOL_H_
#define QTIPD_SERVER_PROFILER_PROFILE_PROTOCOL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace qtipd {

// One path of one artefact, replayed under the counters. The helper loads the artefact itself: it
// shares no memory with the daemon.
struct ProfileTask {
  std::string artifact_path;  // the artefact's safetensors file
  std::string device;         // "cuda:0", "cpu"
  std::string cuda_module;    // libqtipd_cuda.so; empty: beside the helper
  std::string path;           // "fused"
  std::string step;           // one of the path's steps, "fused_decode"; empty: all of them
  int64_t batch = 1;
  std::string activation_dtype;  // of x and y; empty: the device's compute dtype
  int copies = 1;
  uint64_t seed = 1;                 // of the activations
  std::string preset;                // "memory", "stalls", "full"; empty: `metrics` alone
  std::vector<std::string> metrics;  // names of the catalogue, beside the preset's
  bool samples_program_counters = false;
};

struct MetricValue {
  std::string name;
  double value = 0;
  std::string unit;         // "percent", "bytes", "seconds", "cycles", "instructions", ""
  std::string description;  // as the catalogue has it
};

// One instruction of the machine, with the samples that found a warp waiting at it.
struct HotInstruction {
  std::string function;  // demangled
  uint64_t offset = 0;   // bytes from the function's start
  std::string text;      // disassembly; empty where there is no disassembler
  uint64_t samples = 0;
  std::map<std::string, uint64_t> stall_samples;  // reason -> samples
};

struct ProfileData {
  std::string chip;    // "GH100"; the CPU's name on the backend cpu
  std::string source;  // "cupti", "perf_event"
  int passes = 0;      // replays that the metrics took
  int64_t runs = 0;    // of the path in each replay: a sum is over all of them
  std::vector<MetricValue> metrics;
  std::vector<std::string> unavailable_metrics;  // asked for, unknown to this chip
  std::vector<HotInstruction> hot_instructions;  // ten at most, most samples first
  uint64_t total_samples = 0;
  uint64_t dropped_samples = 0;
  std::map<std::string, std::string> notes;
};

// What a chip can count, and what it would take to count the preset and metrics asked for.
struct CatalogueTask {
  std::string device;  // "cuda:0", "cpu"; its chip is asked for. Or:
  std::string chip;    // "GH100", no device needed
  std::string preset;
  std::vector<std::string> metrics;
};

struct MetricDescription {
  std::string name;
  std::string description;
};

struct MetricCatalogue {
  std::string chip;
  std::vector<MetricDescription> metrics;
  // Of the preset and metrics asked for; empty and 0 where nothing was.
  std::vector<std::string> selected_metrics;
  std::vector<std::string> unavailable_metrics;
  int passes = 0;
};

// One of the two.
struct HelperRequest {
  std::optional<ProfileTask> profile;
  std::optional<CatalogueTask> catalogue;
};

// Requests and answers as JSON texts. An answer is what was asked for or a status, code, reason and
// metadata included. Errors of the parsers: Internal/PROFILER_HELPER_FAILED for a text that is not
// what these functions write.
std::string ToJson(const HelperRequest& request);
absl::StatusOr<HelperRequest> ParseRequest(std::string_view json);
std::string ProfileAnswer(const absl::StatusOr<ProfileData>& answer);
absl::StatusOr<ProfileData> ParseProfileAnswer(std::string_view json);
std::string CatalogueAnswer(const absl::StatusOr<MetricCatalogue>& answer);
absl::StatusOr<MetricCatalogue> ParseCatalogueAnswer(std::string_view json);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_PROFILE_PROTOCOL_H_
