// qtipctl suite list | run NAME [--size N] [--only TEXT] [--include TEXT] [--exclude TEXT]
//                         [--set KEY=V1,V2] [--repeats N] [--out DIR] [--resume]
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/rate_suite.h"
#include "client/rpc_status.h"
#include "client/speed_suite.h"
#include "client/suite.h"
#include "client/suite_cases.h"
#include "client/suite_run.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

absl::StatusOr<int> List(Session& session) {
  Table table({{"suite", "suite"}, {"about", "about"}});
  nlohmann::ordered_json suites = nlohmann::ordered_json::array();
  for (const SuiteSource& source : BuiltinSuites()) {
    QTIPD_ASSIGN_OR_RETURN(const Suite suite, ParseSuite(source));
    table.AddRow({suite.name, suite.summary});
    suites.push_back({{"name", suite.name}, {"summary", suite.summary}});
  }
  if (session.is_json()) {
    session.PrintJson({{"suites", suites}});
  } else {
    session.Print(table);
  }
  return kExitDone;
}

// The smallest that a format takes today; above it the daemon says what its formats take.
constexpr int64_t kMinSize = 32;

struct RunFlags {
  std::string name;
  std::optional<int64_t> size;  // else the suite's own
  std::string only;             // part of the cells' texts; empty: all
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::vector<std::string> axes;  // KEY=V1,V2
  std::optional<int64_t> repeats;
  std::string out = "results";
  bool is_resuming = false;
};

// Flags of tables of speeds.
absl::Status CheckSweepFlags(const Suite& suite, const RunFlags& flags) {
  if (!suite.groups.empty()) {
    if (flags.repeats.value_or(1) >= 1) return absl::OkStatus();
    return UsageError("--repeats", std::to_string(*flags.repeats), "at least 1");
  }
  constexpr char kAllowed[] = "no such flag: this suite is no table of speeds";
  if (flags.repeats) return UsageError("--repeats", std::to_string(*flags.repeats), kAllowed);
  if (!flags.axes.empty()) return UsageError("--set", flags.axes.front(), kAllowed);
  if (!flags.include.empty()) return UsageError("--include", flags.include.front(), kAllowed);
  if (!flags.exclude.empty()) return UsageError("--exclude", flags.exclude.front(), kAllowed);
  if (flags.is_resuming) return UsageError("--resume", "given", kAllowed);
  return absl::OkStatus();
}

absl::StatusOr<int> Run(Session& session, const RunFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(Suite suite, FindSuite(flags.name));
  if (flags.size && *flags.size < kMinSize) {
    return UsageError("--size", std::to_string(*flags.size),
                      absl::StrCat("at least ", kMinSize, ", and a size that the format takes"));
  }
  if (flags.size) SetSize(suite, *flags.size);
  QTIPD_RETURN_IF_ERROR(CheckSweepFlags(suite, flags));
  suite.repeats = flags.repeats.value_or(suite.repeats);
  for (const std::string& axis : flags.axes) QTIPD_RETURN_IF_ERROR(SetAxis(suite, axis));
  if (!suite.groups.empty()) {
    CaseFilter filter{.include = flags.include, .exclude = flags.exclude};
    if (!flags.only.empty()) filter.include.push_back(flags.only);
    return RunSpeedSuite(session, suite, filter, flags.out, flags.is_resuming);
  }
  if (!suite.cells.empty() || !flags.only.empty()) {
    return RunDistortionSuite(session, suite, flags.only, flags.out);
  }
  return RunRateSuite(session, suite, flags.out);
}

}  // namespace

void AddSuiteCommand(CLI::App& root, Action& action) {
  CLI::App* verb = AddVerb(root, "suite", "Whole benchmarks, kept as data");
  verb->require_subcommand(1);
  AddVerb(*verb, "list", "All of them")->callback([&action] { action = List; });
  auto flags = std::make_shared<RunFlags>();
  CLI::App* run = AddVerb(*verb, "run", "Quantize, measure, print, and write CSV files");
  run->add_option("NAME", flags->name, "The suite's name")->required();
  run->add_option("--size", flags->size, "out_features and in_features, instead of the suite's");
  run->add_option("--only", flags->only, "Of a table, the cells whose text contains this");
  run->add_option("--include", flags->include,
                  "Of a table of speeds, the cases whose text contains this; repeatable, all hold");
  run->add_option("--exclude", flags->exclude,
                  "Of a table of speeds, without the cases whose text contains this; repeatable");
  run->add_option("--set", flags->axes,
                  "Of a table of speeds, other values of an axis, KEY=V1,V2: batch, in_features, "
                  "out_features, distribution or an option; repeatable");
  run->add_option("--repeats", flags->repeats,
                  "Of a table of speeds, how often each case is measured");
  run->add_option("--out", flags->out, "Files go to DIR/<device name>/")->capture_default_str();
  run->add_flag("--resume", flags->is_resuming,
                "Of a table of speeds, take the cases that DIR has and measure the rest");
  run->callback(
      [&action, flags] { action = [flags](Session& session) { return Run(session, *flags); }; });
}

}  // namespace qtipd
