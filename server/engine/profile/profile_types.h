// A profile as the engine takes and keeps it. Its figures are counters, never a benchmark's result:
// no type of a run holds one, and none of these holds a sample of latency.
#ifndef QTIPD_SERVER_ENGINE_PROFILE_PROFILE_TYPES_H_
#define QTIPD_SERVER_ENGINE_PROFILE_PROFILE_TYPES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/engine/types.h"
#include "server/profiler/profile_protocol.h"

namespace qtipd {

struct ProfileSpec {
  std::string request_id;
  std::string artifact;
  std::string device;  // empty: the first healthy one
  std::string path;
  std::string step;  // one of the path's steps; empty: all of them
  int64_t batch = 1;
  std::string preset;                // "memory", "stalls", "full"; empty: `metrics` alone
  std::vector<std::string> metrics;  // beside the preset's
  bool samples_instructions = false;
  uint64_t seed = 1;  // activations
  std::string activation_dtype;  // of x and y: "BF16"; empty: the device's compute dtype
};

struct ProfileRecord {
  std::string id;
  std::string artifact;
  std::string artifact_sha256;
  std::string format;
  Options options;
  Shape shape;
  std::string path;
  std::string step;
  int64_t batch = 1;
  std::string activation_dtype;  // of x and y; empty as in BenchmarkResult
  int copies = 1;  // weight copies rotated over
  std::string preset;
  std::string device;
  std::string device_name;
  std::map<std::string, std::string> environment;
  UnixMillis create_time = 0;
  double seconds = 0;  // wall time of the profile, loading included
  ProfileData data;    // lists leave metrics, instructions and notes out
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_PROFILE_PROFILE_TYPES_H_
