#include "server/engine/store/model_store.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/safetensors.h"
#include "nlohmann/json.hpp"

namespace qtipd {
namespace {

// Without the check of its hash, which would read all of it: the bytes themselves are not used.
absl::StatusOr<PackedLayer> MapLayer(const ArtifactRecord& record, const ArtifactStore& artifacts) {
  const std::string path = artifacts.PathOf(record);
  absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  if (!file.ok()) {
    const std::string what(file.status().message());
    return MakeError(absl::StatusCode::kDataLoss, "ARTIFACT_FILE_DAMAGED",
                     "artifact file " + path + ": " + what, {{"path", path}, {"what", what}});
  }
  return PackedLayer{record.format, record.options, record.shape, std::move(file->tensors)};
}

}  // namespace

std::string LayerArtifactName(const std::string& model, const std::string& prefix) {
  return model + "/" + (prefix.ends_with('.') ? prefix.substr(0, prefix.size() - 1) : prefix);
}

bool IsSameConfig(const std::string& left, const std::string& right) {
  if (left == right) return true;
  const auto parse = [](const std::string& text) {
    return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  };
  const nlohmann::json json = parse(left);
  return !json.is_discarded() && json == parse(right);
}

absl::Status ModelNotFound(const std::string& name) {
  return FieldError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND", "model", name,
                    "the name of an imported model, or what comes before a slash in the names of "
                    "artifacts");
}

absl::StatusOr<ModelView> ReadModel(const std::string& name, HistoryStore& history,
                                    const ArtifactStore& artifacts, const Registry& registry) {
  QTIPD_ASSIGN_OR_RETURN(std::vector<ArtifactRecord> records, history.ArtifactsOfModel(name));
  if (records.empty()) return ModelNotFound(name);
  ModelView view;
  QTIPD_ASSIGN_OR_RETURN(std::optional<ModelRecord> known, history.GetModel(name));
  if (known) view.record = *std::move(known);
  view.record.name = name;
  view.record.format = records[0].format;
  std::map<std::string, PackedLayer> layers;
  for (ArtifactRecord& record : records) {
    if (record.format != view.record.format) {
      return FieldError(absl::StatusCode::kFailedPrecondition, "MODEL_NOT_UNIFORM",
                        "format of " + record.name, record.format,
                        view.record.format + ", as " + records[0].name);
    }
    const std::string prefix = record.name.substr(name.size() + 1) + ".";
    QTIPD_ASSIGN_OR_RETURN(layers[prefix], MapLayer(record, artifacts));
    view.layers.emplace_back(prefix, std::move(record));
  }
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format, registry.FindFormat(view.record.format));
  QTIPD_ASSIGN_OR_RETURN(view.record.config, format->ModelConfig(view.record.config, layers));
  return view;
}

}  // namespace qtipd
