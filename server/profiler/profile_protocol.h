// What the daemon asks of the profiling helper, and what comes back; shared by both processes.
#ifndef QTIPD_SERVER_PROFILER_PROFILE_PROTOCOL_H_
#define QTIPD_SERVER_PROFILER_PROFILE_PROTOCOL_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
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
  int64_t batch = 1;
  int copies = 1;
  uint64_t seed = 1;  // of the activations
  std::vector<std::string> metrics;  // names of the catalogue; empty: none, PC sampling alone
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
  std::string chip;  // "GH100"; the CPU's name on the backend cpu
  std::string source;  // "cupti", "perf_event"
  int passes = 0;      // replays that the metrics took
  std::vector<MetricValue> metrics;
  std::vector<std::string> unavailable_metrics;  // asked for, unknown to this chip
  std::vector<HotInstruction> hot_instructions;  // ten at most, most samples first
  uint64_t total_samples = 0;
  uint64_t dropped_samples = 0;
  std::map<std::string, std::string> notes;
};

struct MetricDescription {
  std::string name;
  std::string description;
};

// What a chip can count. `passes` of the metrics asked for, told beforehand.
struct MetricCatalogue {
  std::string chip;
  std::vector<MetricDescription> metrics;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_PROFILE_PROTOCOL_H_
