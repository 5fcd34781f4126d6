#include "server/engine/jobs/import_model_job.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/mapped_file.h"
#include "server/engine/jobs/recipe.h"
#include "server/engine/jobs/run_errors.h"
#include "server/engine/store/model_store.h"

namespace qtipd {
namespace {

constexpr double kPlanEnd = 0.02;
constexpr double kStoreEnd = 0.99;

std::string SourceName(const ImportSpec& spec) {
  if (!spec.display_name.empty()) return spec.display_name;
  return spec.file.server_path.empty() ? "upload" : spec.file.server_path;
}

absl::StatusOr<ModelCheckpoint> OpenCheckpoint(const ImportSpec& spec, const JobContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const std::optional<std::string> directory,
                         context.files.ResolveDirectory(spec.file));
  if (directory) {
    QTIPD_ASSIGN_OR_RETURN(CheckpointDirectory files, context.files.OpenDirectory(*directory));
    return ModelCheckpoint{std::move(files.config), std::move(files.tensors), {}};
  }
  QTIPD_ASSIGN_OR_RETURN(SafetensorsFile file, context.files.Open(spec.file, spec.display_name));
  return ModelCheckpoint{spec.model_config, std::move(file.tensors), spec.absent_tensors};
}

absl::StatusOr<const WeightFormat*> FindModelFormat(const std::string& config,
                                                    const std::string& wanted,
                                                    const Registry& registry) {
  if (!wanted.empty()) return registry.FindFormat(wanted);
  for (const auto& format : registry.formats()) {
    if (format->RecognisesModel(config)) return format.get();
  }
  return InvalidField("MODEL_CONFIG_INVALID", "config.json",
                      "nothing that tells how the model is quantized",
                      "a config with what a known format keeps there, such as quip_params");
}

// Keeps the linears below `prefix`, a whole path component; the tensors of the others are not held.
absl::Status KeepBelow(const std::string& prefix, const ModelCheckpoint& checkpoint,
                       ModelPlan& plan) {
  if (prefix.empty()) return absl::OkStatus();
  const std::string whole = prefix.ends_with('.') ? prefix : prefix + ".";
  std::erase_if(plan.linears, [&](const ModelLinear& linear) {
    if (linear.prefix.starts_with(whole)) return false;
    for (const auto& [name, unused] : linear.tensors) {
      const std::string tensor = linear.prefix + name;
      // A format may have added one of its own.
      if (checkpoint.tensors.contains(tensor)) plan.other_tensors.push_back(tensor);
    }
    return true;
  });
  std::sort(plan.other_tensors.begin(), plan.other_tensors.end());
  if (!plan.linears.empty()) return absl::OkStatus();
  return FieldError(absl::StatusCode::kNotFound, "LAYER_NOT_FOUND", "prefix", prefix,
                    "what the name of a quantized linear in the model begins with");
}

// What was read of a linear would otherwise add up to the whole model.
void DropPages(const ModelLinear& linear, const ModelCheckpoint& checkpoint) {
  for (const auto& [name, unused] : linear.tensors) {
    // Those of the checkpoint, which are mapped; a format may have added one of its own.
    const auto mapped = checkpoint.tensors.find(linear.prefix + name);
    if (mapped != checkpoint.tensors.end()) DropMappedPages(mapped->second.bytes());
  }
}

// `added` to what there is of the model: the linears of one config, and not held is what neither
// has. Errors: ARTIFACT_RECIPE_DIFFERS.
absl::StatusOr<ModelRecord> JoinModels(ModelRecord before, const ModelRecord& added,
                                       const ModelPlan& plan) {
  if (before.format != added.format || !IsSameConfig(before.config, added.config)) {
    return FieldError(absl::StatusCode::kAlreadyExists, "ARTIFACT_RECIPE_DIFFERS", "config.json",
                      "another one than that of model " + added.name,
                      "the same config, or a free name");
  }
  std::set<std::string> held;
  for (const ModelLinear& linear : plan.linears) {
    for (const auto& [name, unused] : linear.tensors) held.insert(linear.prefix + name);
  }
  std::erase_if(before.absent_tensors, [&](const std::string& t) { return held.contains(t); });
  return before;
}

class ModelImport {
 public:
  ModelImport(const ImportSpec& spec, const JobContext& context, const WeightFormat& format)
      : spec_(spec), context_(context), format_(format) {}

  // Decides what the model's record will be and refuses names that are taken, before any tensor is
  // read.
  absl::Status Prepare(const ModelCheckpoint& checkpoint, const ModelPlan& plan) {
    QTIPD_ASSIGN_OR_RETURN(std::optional<ModelRecord> before,
                           context_.artifacts.CheckNewModel(spec_.name, spec_.if_absent));
    record_ = {.name = spec_.name,
               .format = std::string(format_.id()),
               .config = checkpoint.config,
               .absent_tensors = plan.other_tensors,
               .source = "import " + SourceName(spec_),
               .create_time = context_.clock.NowUnixMillis()};
    if (before) {
      QTIPD_ASSIGN_OR_RETURN(record_, JoinModels(*std::move(before), record_, plan));
    }
    return CheckNames(plan);
  }

  absl::Status Stage(const ModelLinear& linear, const Progress& progress) {
    absl::StatusOr<PackedLayer> layer = format_.Import(linear.tensors, linear.options);
    if (!layer.ok()) return PrefixField(layer.status(), linear.prefix);
    ArtifactRecord record;
    record.name = LayerArtifactName(spec_.name, linear.prefix);
    record.format = layer->format;
    record.options = layer->options;
    record.shape = layer->shape;
    record.source = "import " + SourceName(spec_) + " prefix=" + linear.prefix;
    record.recipe_sha256 = ImportRecipe(*layer);
    record.create_time = context_.clock.NowUnixMillis();
    QTIPD_ASSIGN_OR_RETURN(const std::optional<ArtifactRecord> existing,
                           context_.artifacts.CheckNewName(record, spec_.if_absent));
    if (existing) return absl::OkStatus();
    QTIPD_ASSIGN_OR_RETURN(ArtifactStore::Staged staged,
                           context_.artifacts.Stage(*layer, std::move(record), progress));
    staged_.push_back(std::move(staged));
    return absl::OkStatus();
  }

  absl::Status Save() { return context_.artifacts.SaveModel(std::move(staged_), record_); }

 private:
  absl::Status CheckNames(const ModelPlan& plan) const {
    for (const ModelLinear& linear : plan.linears) {
      if (linear.prefix.empty()) {
        return InvalidField("NAME_INVALID", "prefix of a layer's tensors", "nothing",
                            "a prefix such as model.layers.0.self_attn.q_proj.");
      }
      QTIPD_RETURN_IF_ERROR(
          context_.artifacts
              .CheckNewName({.name = LayerArtifactName(spec_.name, linear.prefix)}, spec_.if_absent)
              .status());
    }
    return absl::OkStatus();
  }

  const ImportSpec& spec_;
  const JobContext& context_;
  const WeightFormat& format_;
  ModelRecord record_;
  std::vector<ArtifactStore::Staged> staged_;
};

}  // namespace

absl::StatusOr<bool> IsModelImport(const ImportSpec& spec, const JobContext& context) {
  if (!spec.model_config.empty()) return true;
  QTIPD_ASSIGN_OR_RETURN(const auto directory, context.files.ResolveDirectory(spec.file));
  return directory.has_value();
}

absl::Status CheckModelImport(const ImportSpec& spec, const JobContext& context) {
  if (!spec.format.empty()) {
    QTIPD_RETURN_IF_ERROR(context.registry.FindFormat(spec.format).status());
  }
  if (!spec.options.empty()) {
    const auto& [name, value] = *spec.options.begin();
    return InvalidField("OPTION_INVALID", name, OptionText(value),
                        "none with a model: its config.json tells");
  }
  QTIPD_RETURN_IF_ERROR(context.artifacts.CheckNewModel(spec.name, spec.if_absent).status());
  // An artefact of the model's own name would hide the model.
  QTIPD_RETURN_IF_ERROR(context.artifacts.CheckNewName({.name = spec.name}, false).status());
  if (spec.model_config.empty()) return absl::OkStatus();
  return context.files.Resolve(spec.file).status();
}

absl::StatusOr<std::string> RunModelImport(const ImportSpec& spec, const JobContext& context,
                                           Progress& progress) {
  progress.Report(0, "check");
  QTIPD_ASSIGN_OR_RETURN(const ModelCheckpoint checkpoint, OpenCheckpoint(spec, context));
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format,
                         FindModelFormat(checkpoint.config, spec.format, context.registry));
  QTIPD_ASSIGN_OR_RETURN(ModelPlan plan, format->PlanModel(checkpoint));
  QTIPD_RETURN_IF_ERROR(KeepBelow(spec.prefix, checkpoint, plan));
  ModelImport import(spec, context, *format);
  QTIPD_RETURN_IF_ERROR(import.Prepare(checkpoint, plan));
  const double step = (kStoreEnd - kPlanEnd) / static_cast<double>(plan.linears.size());
  for (size_t i = 0; i < plan.linears.size(); ++i) {
    if (progress.IsCancelled()) return absl::CancelledError("import");
    progress.Report(kPlanEnd + step * static_cast<double>(i), plan.linears[i].prefix);
    QTIPD_RETURN_IF_ERROR(import.Stage(plan.linears[i], progress));
    DropPages(plan.linears[i], checkpoint);
  }
  if (progress.IsCancelled()) return absl::CancelledError("import");
  progress.Report(kStoreEnd, "store");
  QTIPD_RETURN_IF_ERROR(import.Save());
  return spec.name;
}

}  // namespace qtipd
