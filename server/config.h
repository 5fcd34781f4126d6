// What a daemon is told: flags, environment variables and a TOML file.
#ifndef QTIPD_SERVER_CONFIG_H_
#define QTIPD_SERVER_CONFIG_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace qtipd {

struct Config {
  std::string listen;       // gRPC, "HOST:PORT", loopback
  std::string http_listen;  // /metrics, /healthz, /readyz
  std::string data_dir;
  std::string device;  // auto, cpu, cuda, cuda:N
  std::vector<std::string> server_paths;
  std::string log_level;
  std::string log_format;  // text, json
  uint64_t max_upload_bytes = 0;
  std::string cuda_module;
  std::string profiler;  // qtip-profiler
  double drain_timeout_seconds = 0;
  std::string gpu_telemetry;  // on, off: whether /metrics has what GPUs tell of themselves
};

// Where the settings come from; a test passes its own.
struct ConfigSources {
  std::vector<std::string> arguments;                                         // without argv[0]
  std::function<std::optional<std::string>(const std::string&)> environment;  // by name
  std::string program_directory;  // of the running binary: modules lie beside it
  std::string version;            // printed by --version
};

// The process's own.
ConfigSources ProcessSources(int argc, char** argv);

// A configuration to run with, or a text to print instead (--help, --version).
struct ConfigOutcome {
  Config config;
  bool is_release_clocks = false;  // --release-clocks: no daemon is wanted
  std::string text;
};

// Reads every setting from the first of: its flag `--NAME`, its environment variable QTIPD_NAME
// (upper case, '_' for '-'), its key NAME in the file that --config or QTIPD_CONFIG names, its
// default. Errors, all InvalidArgument: FLAG_UNKNOWN, FLAG_INVALID, CONFIG_KEY_UNKNOWN,
// CONFIG_FILE_INVALID, CONFIG_INVALID, ADDRESS_INVALID, TLS_REQUIRED; each names the setting.
absl::StatusOr<ConfigOutcome> ReadConfig(const ConfigSources& sources);

}  // namespace qtipd

#endif  // QTIPD_SERVER_CONFIG_H_
