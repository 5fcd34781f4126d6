#include "server/engine/jobs/import_job.h"

#include <optional>
#include <utility>

#include "kernels/api/status.h"
#include "server/engine/input/checkpoint_layers.h"
#include "server/engine/jobs/recipe.h"

namespace qtipd {
namespace {

std::string SourceText(const ImportSpec& spec, const std::string& prefix) {
  std::string file = spec.display_name;
  if (file.empty()) file = spec.file.server_path.empty() ? "upload" : spec.file.server_path;
  return "import " + file + (prefix.empty() ? "" : " prefix=" + prefix);
}

}  // namespace

absl::Status CheckImport(const ImportSpec& spec, const JobContext& context) {
  if (!spec.format.empty()) {
    QTIPD_RETURN_IF_ERROR(context.registry.FindFormat(spec.format).status());
  }
  QTIPD_RETURN_IF_ERROR(
      context.artifacts.CheckNewName({.name = spec.name}, spec.if_absent).status());
  return context.files.Resolve(spec.file).status();
}

absl::StatusOr<std::string> RunImport(const ImportSpec& spec, const JobContext& context,
                                      Progress& progress) {
  progress.Report(0, "read");
  QTIPD_ASSIGN_OR_RETURN(const SafetensorsFile file,
                         context.files.Open(spec.file, spec.display_name));
  QTIPD_ASSIGN_OR_RETURN(const CheckpointLayer found,
                         FindLayer(file.tensors, spec.prefix, spec.format, context.registry));
  QTIPD_ASSIGN_OR_RETURN(const PackedLayer layer,
                         found.format->Import(found.tensors, spec.options));
  progress.Report(0.5, "store");
  ArtifactRecord record;
  record.name = spec.name;
  record.format = layer.format;
  record.options = layer.options;
  record.shape = layer.shape;
  record.source = SourceText(spec, found.prefix);
  record.recipe_sha256 = ImportRecipe(layer);
  record.create_time = context.clock.NowUnixMillis();
  QTIPD_ASSIGN_OR_RETURN(const std::optional<ArtifactRecord> existing,
                         context.artifacts.CheckNewName(record, spec.if_absent));
  if (existing) return existing->name;
  QTIPD_ASSIGN_OR_RETURN(record, context.artifacts.Save(layer, std::move(record), progress));
  return record.name;
}

}  // namespace qtipd
