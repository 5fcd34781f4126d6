// qtipctl info: the daemon, its devices, backends, formats and paths
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/artifact_view.h"
#include "client/commands/commands.h"
#include "client/rpc_status.h"
#include "client/units.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

void AddDevice(const v1::Device& device, Table& table) {
  std::string text = absl::StrCat(device.name(), ", ", device.compute_units(),
                                  device.backend() == "cpu" ? " threads, " : " SMs, ",
                                  FormatBytes(device.memory_free_bytes()), " free of ",
                                  FormatBytes(device.memory_bytes()), ", last-level cache ",
                                  FormatBytes(device.last_level_cache_bytes()), ", dense ",
                                  device.compute_dtype(), ", ", device.queue_depth(), " jobs");
  if (!device.healthy()) absl::StrAppend(&text, ", UNHEALTHY: ", device.unhealthy_reason());
  table.AddRow({"device", device.id(), text});
  const std::map<std::string, std::string> properties(device.properties().begin(),
                                                      device.properties().end());
  for (const auto& [name, value] : properties) {
    table.AddRow({"device", absl::StrCat(device.id(), " ", name), value});
  }
}

// What the device was measured to do at best; nothing before its first benchmark.
void AddCeiling(const v1::Device& device, Table& table) {
  if (!device.has_ceiling()) return;
  const v1::Ceiling& ceiling = device.ceiling();
  const auto add = [&](const std::string& name, const std::string& value) {
    table.AddRow({"ceiling", absl::StrCat(device.id(), " ", name), value});
  };
  const auto add_curve = [&](const std::string& name, const auto& curve) {
    if (curve.empty()) return;
    const auto rate = [](const v1::BandwidthPoint& point) {
      return FormatBandwidth(static_cast<double>(point.bytes()) / point.seconds());
    };
    const v1::BandwidthPoint& small = curve.Get(0);
    const v1::BandwidthPoint& large = curve.Get(curve.size() - 1);
    add(name, absl::StrCat(rate(large), " over ", FormatBytes(large.bytes()), ", ", rate(small),
                           " over ", FormatBytes(small.bytes())));
  };
  add_curve("read", ceiling.read());
  add_curve("read from the cache", ceiling.read_cached());
  add_curve("copy", ceiling.copy());
  if (ceiling.launch_seconds() > 0) add("launch", FormatSeconds(ceiling.launch_seconds()));
  if (ceiling.overlapped_launch_seconds() > 0) {
    add("overlapped launch", FormatSeconds(ceiling.overlapped_launch_seconds()));
  }
  add("empty replay", FormatSeconds(ceiling.replay_seconds()));
  add("clock", absl::StrCat(FormatNumber(ceiling.clock_hertz() * 1e-6), " MHz"));
  const std::map<std::string, double> rates(ceiling.rates().begin(), ceiling.rates().end());
  for (const auto& [kind, rate] : rates) {
    add(kind, absl::StrCat(FormatNumber(rate * 1e-9), " G/s"));
  }
}

std::string AllowedText(const v1::OptionSpec& option) {
  if (option.choices_size() > 0) {
    return absl::StrJoin(
        option.choices(), ", ",
        [](std::string* out, const v1::OptionValue& value) { out->append(OptionText(value)); });
  }
  if (option.default_value().has_text()) return "text";
  if (option.default_value().has_boolean()) return "true, false";
  std::string text =
      absl::StrCat(ExactNumber(option.minimum()), " to ", ExactNumber(option.maximum()));
  for (const std::string& word : option.words()) absl::StrAppend(&text, ", ", word);
  return text;
}

void AddFormat(const v1::Format& format, Table& table) {
  table.AddRow({"format", format.id(),
                absl::StrCat(format.summary(), " [", absl::StrJoin(format.backends(), ", "), "]")});
  for (const v1::OptionSpec& option : format.options()) {
    table.AddRow({"option", absl::StrCat(format.id(), " ", option.name()),
                  absl::StrCat(option.help(), " (", OptionText(option.default_value()),
                               "; allowed ", AllowedText(option), ")")});
  }
}

Table InfoTable(const v1::ServerInfo& info) {
  Table table({{"kind", "kind"}, {"id", "id"}, {"about", "about"}});
  table.AddRow({"server", info.hostname(),
                absl::StrCat("qtipd ", info.version(), " (", info.git_commit(), "), up ",
                             FormatSeconds(info.uptime_seconds()))});
  table.AddRow({"server", "data directory", info.data_dir()});
  table.AddRow({"server", "metrics", absl::StrCat("http://", info.http_address(), "/metrics")});
  const std::map<std::string, std::string> build(info.build().begin(), info.build().end());
  for (const auto& [name, value] : build) table.AddRow({"build", name, value});
  for (const v1::BackendStatus& backend : info.backends()) {
    table.AddRow({"backend", backend.id(),
                  backend.available() ? "available" : "not available: " + backend.reason()});
  }
  for (const v1::Device& device : info.devices()) AddDevice(device, table);
  for (const v1::Device& device : info.devices()) AddCeiling(device, table);
  for (const v1::Format& format : info.formats()) AddFormat(format, table);
  for (const v1::Path& path : info.paths()) table.AddRow({"path", path.id(), path.summary()});
  return table;
}

absl::StatusOr<Reply> Info(Connection& connection) {
  QTIPD_ASSIGN_OR_RETURN(
      const v1::ServerInfo info,
      connection.Call(&v1::QtipService::Stub::GetServerInfo, v1::GetServerInfoRequest()));
  return Reply{ToJson(info), InfoTable(info)};
}

}  // namespace

void AddInfoCommand(CLI::App& root, Action& action) {
  AddVerb(root, "info", "The daemon, its devices, backends, formats and paths")
      ->callback(
          [&action] { action = [](Session& session) { return ReadFromTargets(session, Info); }; });
}

}  // namespace qtipd
