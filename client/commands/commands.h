// The verbs of qtipctl. A new one is a file here, one declaration, and one line in app.cc.
#ifndef QTIPD_CLIENT_COMMANDS_COMMANDS_H_
#define QTIPD_CLIENT_COMMANDS_COMMANDS_H_

#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/session.h"

namespace qtipd {

// What a parsed command line asks for; returns the exit code.
using Action = std::function<absl::StatusOr<int>(Session&)>;

// A verb of `parent` that accepts the global options after its own.
CLI::App* AddVerb(CLI::App& parent, const std::string& name, const std::string& help);

// Of a verb that works alone and has verbs below it, one of which was parsed: an option of its own
// that was given too becomes a usage error.
void RefuseOwnOptions(const CLI::App& verb, Action& action);

// Each adds its verb to `root`; parsing the verb sets `action`. Both outlive the parse.
void AddQuantizeCommand(CLI::App& root, Action& action);
void AddCalibrateCommand(CLI::App& root, Action& action);
void AddArtifactsCommand(CLI::App& root, Action& action);
void AddImportCommand(CLI::App& root, Action& action);
void AddExportCommand(CLI::App& root, Action& action);
void AddBenchCommand(CLI::App& root, Action& action);
void AddProfileCommand(CLI::App& root, Action& action);
void AddSuiteCommand(CLI::App& root, Action& action);
void AddRunsCommand(CLI::App& root, Action& action);
void AddCompareCommand(CLI::App& root, Action& action);
void AddJobsCommand(CLI::App& root, Action& action);
void AddDoctorCommand(CLI::App& root, Action& action);
void AddHealthCommand(CLI::App& root, Action& action);
void AddInfoCommand(CLI::App& root, Action& action);
void AddVersionCommand(CLI::App& root, Action& action);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_COMMANDS_COMMANDS_H_
