#include "server/config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <utility>

#include <toml++/toml.h>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/settings.h"

namespace qtipd {
namespace {

constexpr char kConfigFlag[] = "config";

// Values as given, by setting name; absent: not given there.
using Given = std::map<std::string, std::vector<std::string>>;

struct CommandLine {
  Given given;
  bool is_release_clocks = false;
  std::string text;  // of --help or --version
};

absl::StatusOr<CommandLine> ReadFlags(const ConfigSources& sources,
                                      const std::vector<Setting>& settings) {
  CLI::App app("qtipd, a benchmark service for quantized weights", "qtipd");
  app.allow_extras();
  app.footer(
      "Every flag has an environment variable (QTIPD_NAME) and a key of the same name in the TOML\n"
      "file that --config names; the flag wins, then the variable, then the file.");
  std::map<std::string, std::vector<std::string>> values;
  bool is_version = false;
  app.add_flag("--version", is_version, "print the version and end");
  CommandLine line;
  app.add_flag("--release-clocks", line.is_release_clocks,
               "let go clocks that a daemon of the data directory left locked, and end");
  const auto add = [&](const std::string& name, const std::string& help) {
    app.add_option("--" + name, values[name], help)->allow_extra_args(false)->type_name("");
  };
  add(kConfigFlag, "TOML file of settings [none]");
  for (const Setting& setting : settings) add(setting.name, setting.help);
  try {
    std::vector<std::string> reversed(sources.arguments.rbegin(), sources.arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    line.text = app.help();
    return line;
  } catch (const CLI::ParseError& error) {
    return MakeError(absl::StatusCode::kInvalidArgument, "FLAG_INVALID",
                     std::string("command line: ") + error.what());
  }
  if (!app.remaining().empty()) {
    return InvalidField("FLAG_UNKNOWN", "command line", "'" + app.remaining().front() + "'",
                        "the flags that --help lists");
  }
  if (is_version) line.text = sources.version + "\n";
  for (auto& [name, given] : values) {
    if (app.get_option("--" + name)->count() > 0) line.given[name] = std::move(given);
  }
  return line;
}

std::vector<std::string> SplitAt(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

Given ReadEnvironment(const ConfigSources& sources, const std::vector<Setting>& settings) {
  Given given;
  for (const Setting& setting : settings) {
    if (const auto value = sources.environment(EnvironmentName(setting.name))) {
      // A list is written as PATH is.
      given[setting.name] =
          setting.is_list ? SplitAt(*value, ':') : std::vector<std::string>{*value};
    }
  }
  return given;
}

std::optional<std::string> ScalarText(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto integer = node.value_exact<int64_t>()) return std::to_string(*integer);
  if (const auto number = node.value_exact<double>()) return std::to_string(*number);
  return std::nullopt;
}

absl::StatusOr<std::vector<std::string>> KeyValues(const Setting& setting, const toml::node& node) {
  std::vector<std::string> values;
  const toml::array* array = node.as_array();
  if (array != nullptr && setting.is_list) {
    for (const toml::node& element : *array) {
      const auto text = ScalarText(element);
      if (!text) break;
      values.push_back(*text);
    }
    if (values.size() == array->size()) return values;
  } else if (const auto text = ScalarText(node)) {
    return std::vector<std::string>{*text};
  }
  return InvalidField("CONFIG_INVALID", setting.name, "a value of another type",
                      setting.is_list ? "a text or an array of texts" : "a text or a number");
}

absl::StatusOr<toml::table> ParseFile(const std::string& path) {
  try {
    return toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    std::ostringstream why;
    why << error.description();
    if (error.source().begin.line > 0) why << " (line " << error.source().begin.line << ")";
    return InvalidField("CONFIG_FILE_INVALID", kConfigFlag, "'" + path + "': " + why.str(),
                        "a readable TOML file");
  }
}

absl::StatusOr<Given> ReadFile(const std::string& path, const std::vector<Setting>& settings) {
  QTIPD_ASSIGN_OR_RETURN(const toml::table table, ParseFile(path));
  Given given;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const auto setting = std::find_if(settings.begin(), settings.end(),
                                      [&](const Setting& s) { return s.name == name; });
    if (setting == settings.end()) {
      std::string allowed;
      for (const Setting& s : settings) allowed += (allowed.empty() ? "" : ", ") + s.name;
      return InvalidField("CONFIG_KEY_UNKNOWN", "config key", "'" + name + "' in " + path, allowed);
    }
    QTIPD_ASSIGN_OR_RETURN(given[name], KeyValues(*setting, node));
  }
  return given;
}

// The file to read: the flag's, or the variable's, or none.
std::string ConfigPath(const Given& flags, const ConfigSources& sources) {
  if (const auto flag = flags.find(kConfigFlag); flag != flags.end()) return flag->second.back();
  return sources.environment(EnvironmentName(kConfigFlag)).value_or("");
}

absl::Status Apply(const Setting& setting, const std::vector<const Given*>& layers,
                   Config& config) {
  for (const Given* layer : layers) {
    const auto found = layer->find(setting.name);
    if (found == layer->end()) continue;
    // A flag given twice: the last one counts, as everywhere on a command line.
    return setting.apply(setting.is_list ? found->second : std::vector{found->second.back()},
                         config);
  }
  return setting.apply(setting.default_values, config);
}

}  // namespace

absl::StatusOr<ConfigOutcome> ReadConfig(const ConfigSources& sources) {
  const std::vector<Setting> settings = Settings(sources);
  QTIPD_ASSIGN_OR_RETURN(const CommandLine line, ReadFlags(sources, settings));
  ConfigOutcome outcome;
  outcome.text = line.text;
  outcome.is_release_clocks = line.is_release_clocks;
  if (!outcome.text.empty()) return outcome;
  const Given environment = ReadEnvironment(sources, settings);
  Given file;
  if (const std::string path = ConfigPath(line.given, sources); !path.empty()) {
    QTIPD_ASSIGN_OR_RETURN(file, ReadFile(path, settings));
  }
  for (const Setting& setting : settings) {
    QTIPD_RETURN_IF_ERROR(Apply(setting, {&line.given, &environment, &file}, outcome.config));
  }
  return outcome;
}

ConfigSources ProcessSources(int argc, char** argv) {
  ConfigSources sources;
  sources.arguments.assign(argv + std::min(argc, 1), argv + argc);
  sources.environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  std::error_code error;
  sources.program_directory = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  return sources;
}

}  // namespace qtipd
