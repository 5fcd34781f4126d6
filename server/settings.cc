#include "server/settings.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/transport/listen_address.h"

namespace qtipd {
namespace {

constexpr double kMaxDrainSeconds = 3600;

absl::Status Refuse(const std::string& name, const std::string& got, const std::string& allowed) {
  return InvalidField("CONFIG_INVALID", name, got.empty() ? "nothing" : "'" + got + "'", allowed);
}

using Apply = std::function<absl::Status(const std::vector<std::string>&, Config&)>;

// One of a closed set of words.
Apply Choice(std::string name, std::string Config::*field, std::vector<std::string> choices) {
  return [=](const std::vector<std::string>& values, Config& config) -> absl::Status {
    if (std::find(choices.begin(), choices.end(), values[0]) == choices.end()) {
      std::string allowed;
      for (const std::string& choice : choices) allowed += (allowed.empty() ? "" : ", ") + choice;
      return Refuse(name, values[0], allowed);
    }
    config.*field = values[0];
    return absl::OkStatus();
  };
}

absl::Status ApplyListen(const std::vector<std::string>& values, Config& config) {
  QTIPD_ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(values[0], "listen"));
  QTIPD_RETURN_IF_ERROR(CheckLoopback(address, "listen"));
  config.listen = address.Text();
  return absl::OkStatus();
}

absl::Status ApplyHttpListen(const std::vector<std::string>& values, Config& config) {
  QTIPD_ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(values[0], "http-listen"));
  config.http_listen = address.Text();
  return absl::OkStatus();
}

absl::Status ApplyDevice(const std::vector<std::string>& values, Config& config) {
  const std::string& value = values[0];
  constexpr std::string_view kIndexed = "cuda:";
  const bool is_indexed = value.starts_with(kIndexed) && value.size() > kIndexed.size() &&
                          value.size() <= kIndexed.size() + 3 &&
                          value.find_first_not_of("0123456789", kIndexed.size()) == value.npos;
  if (value != "auto" && value != "cpu" && value != "cuda" && !is_indexed) {
    return Refuse("device", value, "auto, cpu, cuda, cuda:N");
  }
  config.device = value;
  return absl::OkStatus();
}

absl::Status ApplyDataDir(const std::vector<std::string>& values, Config& config) {
  if (values.empty() || values[0].empty()) {
    return Refuse("data-dir", "", "a directory (neither XDG_DATA_HOME nor HOME is set)");
  }
  config.data_dir = values[0];
  return absl::OkStatus();
}

absl::Status ApplyServerPaths(const std::vector<std::string>& values, Config& config) {
  for (const std::string& path : values) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      return Refuse("server-path", path, "a directory that exists");
    }
  }
  config.server_paths = values;
  return absl::OkStatus();
}

absl::Status ApplyMaxUpload(const std::vector<std::string>& values, Config& config) {
  const char* end = values[0].data() + values[0].size();
  const auto parsed = std::from_chars(values[0].data(), end, config.max_upload_bytes);
  if (parsed.ec != std::errc() || parsed.ptr != end || config.max_upload_bytes == 0) {
    return Refuse("max-upload-bytes", values[0], "a whole number of bytes, at least 1");
  }
  return absl::OkStatus();
}

absl::Status ApplyCudaModule(const std::vector<std::string>& values, Config& config) {
  config.cuda_module = values[0];
  return absl::OkStatus();
}

absl::Status ApplyProfiler(const std::vector<std::string>& values, Config& config) {
  config.profiler = values[0];
  return absl::OkStatus();
}

// "30", "30s" or "2m".
absl::Status ApplyDrainTimeout(const std::vector<std::string>& values, Config& config) {
  const char* end = values[0].data() + values[0].size();
  double seconds = 0;
  const auto parsed = std::from_chars(values[0].data(), end, seconds);
  const std::string unit(parsed.ptr, end);
  if (unit == "m") seconds *= 60;
  const bool is_valid = parsed.ec == std::errc() && (unit.empty() || unit == "s" || unit == "m") &&
                        seconds > 0 && seconds <= kMaxDrainSeconds;
  if (!is_valid) return Refuse("drain-timeout", values[0], "more than 0 s, at most 60m");
  config.drain_timeout_seconds = seconds;
  return absl::OkStatus();
}

std::vector<std::string> DefaultDataDir(const ConfigSources& sources) {
  if (const auto data = sources.environment("XDG_DATA_HOME"); data && !data->empty()) {
    return {*data + "/qtipd"};
  }
  if (const auto home = sources.environment("HOME"); home && !home->empty()) {
    return {*home + "/.local/share/qtipd"};
  }
  return {};
}

}  // namespace

std::string EnvironmentName(const std::string& setting) {
  std::string name = "QTIPD_";
  for (const char c : setting) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::vector<Setting> Settings(const ConfigSources& sources) {
  return {
      {"listen",
       "address of the gRPC server, loopback; port 0 picks one [127.0.0.1:7070]",
       {"127.0.0.1:7070"},
       ApplyListen},
      {"http-listen",
       "address of /metrics, /healthz, /readyz; port 0 picks one [127.0.0.1:9464]",
       {"127.0.0.1:9464"},
       ApplyHttpListen},
      {"data-dir",
       "directory of artefacts and history [$XDG_DATA_HOME/qtipd, ~/.local/share/qtipd]",
       DefaultDataDir(sources), ApplyDataDir},
      {"device", "devices to serve: auto, cpu, cuda, cuda:N [auto]", {"auto"}, ApplyDevice},
      {"server-path",
       "directory that requests may read files from; repeatable [none]",
       {},
       ApplyServerPaths,
       /*is_list=*/true},
      {"log-level",
       "trace, debug, info, warn, error, off [info]",
       {"info"},
       Choice("log-level", &Config::log_level, {"trace", "debug", "info", "warn", "error", "off"})},
      {"log-format",
       "text or json, one line an event, on stderr [text]",
       {"text"},
       Choice("log-format", &Config::log_format, {"text", "json"})},
      {"max-upload-bytes",
       "largest file that a client may upload [64 GiB]",
       {std::to_string(uint64_t{64} << 30)},
       ApplyMaxUpload},
      {"cuda-module",
       "the CUDA backend's library [libqtipd_cuda.so beside this binary]",
       {sources.program_directory + "/libqtipd_cuda.so"},
       ApplyCudaModule},
      {"gpu-telemetry",
       "metrics of temperature, power, clocks and ECC errors of GPUs: on, off [on]",
       {"on"},
       Choice("gpu-telemetry", &Config::gpu_telemetry, {"on", "off"})},
      {"profiler",
       "the helper that reads hardware counters [qtip-profiler beside this binary]",
       {sources.program_directory + "/qtip-profiler"},
       ApplyProfiler},
      {"drain-timeout",
       "how long a clean shutdown may take, for example 30s or 2m [30s]",
       {"30s"},
       ApplyDrainTimeout},
  };
}

}  // namespace qtipd
