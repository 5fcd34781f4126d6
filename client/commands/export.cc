// qtipctl export NAME (FILE | DIRECTORY) [--as packed|dense]
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/commands.h"
#include "client/model_directory.h"
#include "client/model_view.h"
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
  uint64_t shard_bytes = kDefaultShardBytes;
};

absl::StatusOr<v1::ExportForm> ParseForm(const std::string& text) {
  if (text == "packed") return v1::EXPORT_FORM_PACKED;
  if (text == "dense") return v1::EXPORT_FORM_DENSE;
  return UsageError("--as", "'" + text + "'", "packed, dense");
}

// What a model's directory needs beside what was written.
std::string RestText(const v1::Model& model) {
  const std::string absent = AbsentText(model);
  return absl::StrCat(absent, absent.empty() ? "" : "\n",
                      "the output has the quantized linears and config.json alone; embeddings, "
                      "norms, biases, other weights and the tokenizer are to be copied from the "
                      "original");
}

absl::StatusOr<int> ExportModel(Session& session, Connection& connection, const v1::Model& model,
                                const ExportFlags& flags) {
  if (flags.form != "packed") {
    return UsageError("--as", flags.form + " of a model", "packed, or one artefact of it");
  }
  if (flags.force) {
    return UsageError("--force", "given for a model", "a directory that is not there yet");
  }
  const InterruptScope interrupt;
  QTIPD_ASSIGN_OR_RETURN(
      const ModelExport made,
      DownloadModel(session, connection, model, flags.file, flags.shard_bytes, interrupt));
  if (session.is_json()) {
    session.PrintJson({{"name", flags.name},
                       {"form", flags.form},
                       {"directory", made.directory},
                       {"files", made.files},
                       {"layers", model.layers_size()},
                       {"bytes", std::to_string(made.tensor_bytes)},
                       {"absentTensors", std::vector<std::string>(model.absent_tensors().begin(),
                                                                  model.absent_tensors().end())}});
    return kExitDone;
  }
  Table table({{"name", "name"},
               {"layers", "layers", Align::kRight},
               {"directory", "directory"},
               {"size", "bytes", Align::kRight},
               {"files", "files"}});
  table.AddRow({flags.name, std::to_string(model.layers_size()), made.directory,
                Cell(FormatBytes(made.tensor_bytes), std::to_string(made.tensor_bytes)),
                absl::StrJoin(made.files, " ")});
  session.Print(table);
  session.PrintNote(RestText(model));
  return kExitDone;
}

// The model of that name where there is no artefact of it.
absl::StatusOr<std::optional<v1::Model>> FindModel(Connection& connection,
                                                   const std::string& name) {
  v1::GetArtifactRequest artifact;
  artifact.set_name(name);
  const absl::Status found =
      connection.Call(&v1::QtipService::Stub::GetArtifact, artifact).status();
  if (found.ok()) return std::optional<v1::Model>();
  if (!absl::IsNotFound(found)) return found;
  v1::GetModelRequest request;
  request.set_name(name);
  absl::StatusOr<v1::Model> model = connection.Call(&v1::QtipService::Stub::GetModel, request);
  if (absl::IsNotFound(model.status())) return found;  // it names what is near
  if (!model.ok()) return model.status();
  return std::optional(*std::move(model));
}

absl::StatusOr<int> Export(Session& session, const ExportFlags& flags) {
  v1::ExportArtifactRequest request;
  request.set_name(flags.name);
  QTIPD_ASSIGN_OR_RETURN(const v1::ExportForm form, ParseForm(flags.form));
  request.set_form(form);
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const std::optional<v1::Model> model, FindModel(*connection, flags.name));
  if (model) return ExportModel(session, *connection, *model, flags);
  if (flags.shard_bytes != kDefaultShardBytes) {
    return UsageError("--max-shard-bytes", "given for an artefact",
                      "it for a model alone: an artefact is one file");
  }
  const InterruptScope interrupt;
  QTIPD_ASSIGN_OR_RETURN(
      const Download download,
      DownloadArtifact(session, *connection, request, flags.file, flags.force, interrupt));
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
  CLI::App* verb = AddVerb(
      root, "export", "Write an artefact to a safetensors file here, or a model to a directory");
  verb->add_option("NAME", flags->name, "The artefact's name, or a model's")->required();
  verb->add_option("FILE", flags->file, "The file to write; of a model the directory")->required();
  verb->add_option("--as", flags->form,
                   "packed: the format's checkpoint tensors; dense: one F32 tensor 'weight'")
      ->capture_default_str();
  verb->add_option("--max-shard-bytes", flags->shard_bytes,
                   "Of a model: whole layers go into files of at most so many bytes")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb->add_flag("--force", flags->force, "Replace the file if it exists");
  verb->callback(
      [&action, flags] { action = [flags](Session& session) { return Export(session, *flags); }; });
}

}  // namespace qtipd
