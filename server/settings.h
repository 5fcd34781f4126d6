// The table of settings: one entry is a flag, an environment variable and a configuration key.
#ifndef QTIPD_SERVER_SETTINGS_H_
#define QTIPD_SERVER_SETTINGS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/config.h"

namespace qtipd {

struct Setting {
  std::string name;  // "http-listen"
  std::string help;  // one line, with the default where there is one
  std::vector<std::string> default_values;
  // Checks `values` (one, unless is_list) and stores them.
  std::function<absl::Status(const std::vector<std::string>& values, Config& config)> apply;
  bool is_list = false;
};

// `sources` gives the defaults that depend on the environment.
std::vector<Setting> Settings(const ConfigSources& sources);

// "http-listen" -> "QTIPD_HTTP_LISTEN"
std::string EnvironmentName(const std::string& setting);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SETTINGS_H_
