#include "client/app.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_join.h"
#include "client/commands/commands.h"
#include "client/parse.h"
#include "client/rpc_status.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr char kDefaultTarget[] = "127.0.0.1:7070";

// Global options as the command line spells them.
struct GlobalFlags {
  std::string target = kDefaultTarget;
  std::string output = "table";
  std::string timeout = "60s";
  std::string device;
};

void AddGlobalFlags(CLI::App& root, GlobalFlags& flags) {
  root.add_option("--target", flags.target, "Daemons, HOST:PORT[,HOST:PORT...]")
      ->envname("QTIPCTL_TARGET")
      ->capture_default_str();
  root.add_option("-o,--output", flags.output, "table, json, csv or markdown")
      ->capture_default_str();
  root.add_option(
      "--timeout", flags.timeout,
      "Bounds a call (60s if not given), and where given the wait for an operation too");
  root.add_option("--device", flags.device, "cpu or cuda:N; the first healthy one if not given");
}

absl::StatusOr<GlobalOptions> ReadGlobalFlags(const CLI::App& root, const GlobalFlags& flags) {
  GlobalOptions options;
  QTIPD_ASSIGN_OR_RETURN(options.targets, ParseList("--target", flags.target));
  QTIPD_ASSIGN_OR_RETURN(options.output, ParseOutputFormat(flags.output));
  QTIPD_ASSIGN_OR_RETURN(options.timeout, ParseDuration("--timeout", flags.timeout));
  options.is_timeout_given = root.count("--timeout") > 0;
  options.device = flags.device;
  return options;
}

std::vector<std::string> VerbNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  return names;
}

// The innermost verb that was parsed.
const CLI::App& ParsedVerb(const CLI::App& root) {
  const CLI::App* app = &root;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return *app;
}

std::string FullName(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name()
                                     : FullName(*app.get_parent()) + " " + app.get_name();
}

// CLI11's complaint as one line of our form.
absl::Status ToStatus(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App& app = ParsedVerb(root);
  const std::vector<std::string> verbs = VerbNames(app);
  const std::vector<std::string> rest = root.remaining(/*recurse=*/true);
  if (!verbs.empty()) {
    const std::string got = rest.empty() ? "nothing" : "'" + rest.front() + "'";
    return UsageError("command", got, absl::StrJoin(verbs, ", "));
  }
  const std::string allowed = "see '" + FullName(app) + " --help'";
  if (!rest.empty()) {
    std::vector<std::string> known;
    for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
      for (const CLI::Option* option : level->get_options({})) known.push_back(option->get_name());
    }
    const std::vector<std::string> near = NearestNames(rest.front(), known);
    return UsageError("argument", "'" + rest.front() + "'",
                      near.empty() ? allowed : absl::StrJoin(near, " or ") + ", " + allowed);
  }
  const std::string complaint = error.what();
  constexpr std::string_view kRequired = " is required";
  if (complaint.ends_with(kRequired)) {
    return UsageError(complaint.substr(0, complaint.size() - kRequired.size()), "nothing",
                      "a value, " + allowed);
  }
  return UsageError("command line", complaint, allowed);
}

// What is left to say once everything is printed: whether it reached its reader.
int CheckOutput(Session& session, int exit_code) {
  session.out().flush();
  if (session.out().good()) return exit_code;
  session.PrintError(FieldError(absl::StatusCode::kDataLoss, "OUTPUT_FAILED", "stdout",
                                "an error while writing", "an output that takes everything"));
  return kExitError;
}

}  // namespace

CLI::App* AddVerb(CLI::App& parent, const std::string& name, const std::string& help) {
  return parent.add_subcommand(name, help)->fallthrough();
}

void RefuseOwnOptions(const CLI::App& verb, Action& action) {
  for (const CLI::Option* option : verb.get_options({})) {
    if (option->count() == 0) continue;
    action = [got = "'" + option->get_name() + "'",
              help = FullName(*verb.get_subcommands().front())](Session&) -> absl::StatusOr<int> {
      return UsageError("argument", got, "see '" + help + " --help'");
    };
    return;
  }
}

int RunClient(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CLI::App root("Quantizes weights, benchmarks them and reads the numbers, on a qtipd.", "qtipctl");
  root.require_subcommand(1);
  GlobalFlags flags;
  AddGlobalFlags(root, flags);
  Action action;
  for (auto add : {AddQuantizeCommand, AddCalibrateCommand, AddArtifactsCommand, AddImportCommand,
                   AddExportCommand, AddBenchCommand, AddProfileCommand, AddSuiteCommand,
                   AddRunsCommand, AddCompareCommand, AddJobsCommand, AddDoctorCommand,
                   AddHealthCommand, AddInfoCommand, AddVersionCommand}) {
    add(root, action);
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return root.exit(asked_for_help, out, err);
  } catch (const CLI::ParseError& error) {
    GlobalOptions plain;
    if (flags.output == "json") plain.output = OutputFormat::kJson;
    Session(plain, out, err).PrintError(ToStatus(root, error));
    return kExitError;
  }
  absl::StatusOr<GlobalOptions> options = ReadGlobalFlags(root, flags);
  if (!options.ok()) {
    Session({}, out, err).PrintError(options.status());
    return kExitError;
  }
  Session session(*std::move(options), out, err);
  const absl::StatusOr<int> exit_code = action(session);
  if (!exit_code.ok()) session.PrintError(exit_code.status());
  return CheckOutput(session, exit_code.ok() ? *exit_code : kExitError);
}

}  // namespace qtipd
