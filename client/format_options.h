// --code, --bits and --option of the commands that name a weight format's options.
#ifndef QTIPD_CLIENT_FORMAT_OPTIONS_H_
#define QTIPD_CLIENT_FORMAT_OPTIONS_H_

#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "client/artifact_view.h"

namespace qtipd {

struct FormatFlags {
  std::string code;
  std::string bits;
  std::vector<std::string> options;  // KEY=VALUE
};

// `flags` outlives the parse.
void AddFormatFlags(CLI::App& verb, FormatFlags& flags);

// Values travel as text; the daemon converts and checks them against the format's schema.
// Errors: USAGE for what is no KEY=VALUE, and for an option that is given twice.
absl::Status FillFormatOptions(const FormatFlags& flags, OptionMap& options);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_FORMAT_OPTIONS_H_
