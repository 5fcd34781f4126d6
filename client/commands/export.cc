// qtipctl export NAME FILE [--as packed|dense]
#include <memory>

#include "client/commands/commands.h"
#include "client/rpc_status.h"
#include "client/transfer.h"
#include "client/units.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

struct ExportFlags {
  std::string name;
  std::string file;
  std::string form = "packed";
  bool force = false;
};

absl::StatusOr<v1::ExportForm> ParseForm(const std::string& text) {
  if (text == "packed") return v1::EXPORT_FORM_PACKED;
  if (text == "dense") return v1::EXPORT_FORM_DENSE;
  return UsageError("--as", "'" + text + "'", "packed, dense");
}

absl::StatusOr<int> Export(Session& session, const ExportFlags& flags) {
  v1::ExportArtifactRequest request;
  request.set_name(flags.name);
  QTIPD_ASSIGN_OR_RETURN(const v1::ExportForm form, ParseForm(flags.form));
  request.set_form(form);
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const Download download,
                         DownloadArtifact(session, *connection, request, flags.file, flags.force));
  if (session.is_json()) {
    session.PrintJson({{"name", flags.name},
                       {"form", flags.form},
                       {"file", flags.file},
                       {"bytes", std::to_string(download.bytes)},
                       {"sha256", download.sha256}});
    return kExitDone;
  }
  Table table({{"name", "name"},
               {"form", "form"},
               {"file", "file"},
               {"size", "bytes", Align::kRight},
               {"sha256", "sha256"}});
  table.AddRow({flags.name, flags.form, flags.file,
                Cell(FormatBytes(download.bytes), std::to_string(download.bytes)),
                download.sha256});
  session.Print(table);
  return kExitDone;
}

}  // namespace

void AddExportCommand(CLI::App& root, Action& action) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* verb = AddVerb(root, "export", "Write an artefact to a safetensors file here");
  verb->add_option("NAME", flags->name, "The artefact's name")->required();
  verb->add_option("FILE", flags->file, "The file to write")->required();
  verb->add_option("--as", flags->form,
                   "packed: the format's checkpoint tensors; dense: one F32 tensor 'weight'")
      ->capture_default_str();
  verb->add_flag("--force", flags->force, "Replace the file if it exists");
  verb->callback(
      [&action, flags] { action = [flags](Session& session) { return Export(session, *flags); }; });
}

}  // namespace qtipd
