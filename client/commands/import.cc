// qtipctl import FILE --name N [--prefix P] [--code C]
#include <filesystem>
#include <memory>

#include "client/commands/commands.h"
#include "client/format_options.h"
#include "client/layer_tensors.h"
#include "client/operation_wait.h"
#include "client/present.h"
#include "client/rpc_status.h"
#include "client/transfer.h"
#include "kernels/io/safetensors.h"

namespace qtipd {
namespace {

struct ImportFlags {
  std::string file;
  std::string name;
  std::string prefix;
  std::string format;
  FormatFlags options;
  bool if_absent = false;
};

absl::StatusOr<int> Import(Session& session, const ImportFlags& flags) {
  v1::StartImportRequest request;
  QTIPD_RETURN_IF_ERROR(FillFormatOptions(flags.options, *request.mutable_format_options()));
  QTIPD_ASSIGN_OR_RETURN(const SafetensorsFile file, ReadSafetensors(flags.file));
  QTIPD_ASSIGN_OR_RETURN(const LayerTensors layer,
                         SelectLayer(file.tensors, flags.prefix, flags.file));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  request.set_request_id(NewRequestId());
  request.set_name(flags.name);
  request.set_prefix(layer.prefix);
  request.set_format(flags.format);
  request.set_if_absent(flags.if_absent);
  request.set_display_name(std::filesystem::path(flags.file).filename().string());
  QTIPD_ASSIGN_OR_RETURN(
      const std::string upload,
      UploadTensors(session, *connection, layer.tensors, request.display_name()));
  request.mutable_file()->set_upload_id(upload);
  QTIPD_ASSIGN_OR_RETURN(const Operation started,
                         connection->Call(&v1::QtipService::Stub::StartImport, request));
  QTIPD_ASSIGN_OR_RETURN(const v1::Artifact artifact,
                         AwaitResult<v1::Artifact>(session, *connection, started));
  PresentArtifact(session, artifact);
  return kExitDone;
}

}  // namespace

void AddImportCommand(CLI::App& root, Action& action) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* verb = AddVerb(root, "import", "Take over one quantized layer of a checkpoint");
  verb->add_option("FILE", flags->file, "A safetensors file here")->required();
  verb->add_option("--name", flags->name, "The artefact's name")->required();
  verb->add_option("--prefix", flags->prefix,
                   "The layer's tensors begin with it; not needed where the file holds one layer");
  verb->add_option("--format", flags->format, "Weight format; recognised if not given");
  AddFormatFlags(*verb, flags->options);
  verb->add_flag("--if-absent", flags->if_absent,
                 "Return the artefact of that name if it came from the same bytes");
  verb->callback(
      [&action, flags] { action = [flags](Session& session) { return Import(session, *flags); }; });
}

}  // namespace qtipd
