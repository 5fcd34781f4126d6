// qtipctl import (FILE | DIRECTORY | --server-path P) --name N [--prefix P] [--code C]
#include <filesystem>
#include <memory>

#include "client/commands/commands.h"
#include "client/format_options.h"
#include "client/layer_tensors.h"
#include "client/model_directory.h"
#include "client/operation_wait.h"
#include "client/present.h"
#include "client/rpc_status.h"
#include "client/transfer.h"
#include "kernels/io/safetensors.h"

namespace qtipd {
namespace {

struct ImportFlags {
  std::string file;
  std::string server_path;
  std::string name;
  std::string prefix;
  std::string format;
  FormatFlags options;
  bool if_absent = false;
};

// The last component, also of a path that ends in a slash.
std::string DisplayName(const std::string& path) {
  const std::filesystem::path place = std::filesystem::path(path).lexically_normal();
  return (place.has_filename() ? place : place.parent_path()).filename().string();
}

// Reads and checks what is to travel, so that a mistake here is told before anything is asked of a
// daemon; nothing where the daemon reads for itself.
absl::StatusOr<TensorMap> FillSource(const ImportFlags& flags, v1::StartImportRequest& request) {
  if (flags.file.empty() == flags.server_path.empty()) {
    return UsageError("source", flags.file.empty() ? "nothing" : "both FILE and --server-path",
                      "one of FILE, --server-path");
  }
  request.set_prefix(flags.prefix);
  if (flags.file.empty()) {
    request.mutable_file()->set_server_path(flags.server_path);
    return TensorMap();
  }
  request.set_display_name(DisplayName(flags.file));
  std::error_code ignored;
  if (std::filesystem::is_directory(flags.file, ignored)) {
    QTIPD_ASSIGN_OR_RETURN(const CheckpointDirectory directory,
                           ReadCheckpointDirectory(ResolveIn(flags.file)));
    return SelectModelTensors(directory, flags.prefix, flags.file, request);
  }
  QTIPD_ASSIGN_OR_RETURN(const SafetensorsFile file, ReadSafetensors(flags.file));
  QTIPD_ASSIGN_OR_RETURN(LayerTensors layer, SelectLayer(file.tensors, flags.prefix, flags.file));
  request.set_prefix(layer.prefix);
  return std::move(layer.tensors);
}

absl::StatusOr<int> Import(Session& session, const ImportFlags& flags) {
  v1::StartImportRequest request;
  QTIPD_RETURN_IF_ERROR(FillFormatOptions(flags.options, *request.mutable_format_options()));
  QTIPD_ASSIGN_OR_RETURN(const TensorMap sent, FillSource(flags, request));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  request.set_request_id(NewRequestId());
  request.set_name(flags.name);
  request.set_format(flags.format);
  request.set_if_absent(flags.if_absent);
  if (flags.server_path.empty()) {
    QTIPD_ASSIGN_OR_RETURN(const std::string upload,
                           UploadTensors(session, *connection, sent, request.display_name()));
    request.mutable_file()->set_upload_id(upload);
  }
  QTIPD_ASSIGN_OR_RETURN(const Operation started,
                         connection->Call(&v1::QtipService::Stub::StartImport, request));
  QTIPD_ASSIGN_OR_RETURN(const Operation done, AwaitOperation(session, *connection, started));
  // Of a path on the daemon's host only the daemon knows whether it is a model.
  if (v1::Model model; done.response().UnpackTo(&model)) {
    PresentModel(session, model);
    return kExitDone;
  }
  QTIPD_ASSIGN_OR_RETURN(const v1::Artifact artifact, ResultOf<v1::Artifact>(done));
  PresentArtifact(session, artifact);
  return kExitDone;
}

}  // namespace

void AddImportCommand(CLI::App& root, Action& action) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* verb =
      AddVerb(root, "import", "Take over one quantized layer of a checkpoint, or a whole model");
  verb->add_option("FILE", flags->file,
                   "A safetensors file here, or a model's directory with its config.json");
  verb->add_option("--server-path", flags->server_path, "Such a file or directory of the daemon's");
  verb->add_option("--name", flags->name,
                   "The artefact's name; of a model's artefacts what comes before a slash and "
                   "their tensors' prefixes")
      ->required();
  verb->add_option("--prefix", flags->prefix,
                   "The layer's tensors begin with it; not needed where the file holds one layer. "
                   "Of a model: only the layers below it");
  verb->add_option("--format", flags->format, "Weight format; recognised if not given");
  AddFormatFlags(*verb, flags->options);
  verb->add_flag("--if-absent", flags->if_absent,
                 "Return the artefact of that name if it came from the same bytes");
  verb->callback(
      [&action, flags] { action = [flags](Session& session) { return Import(session, *flags); }; });
}

}  // namespace qtipd
