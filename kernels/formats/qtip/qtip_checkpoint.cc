#include "kernels/formats/qtip/qtip_checkpoint.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_linear_check.h"
#include "kernels/formats/qtip/qtip_model_config.h"
#include "kernels/io/checkpoint_directory.h"

namespace qtipd {
namespace {

constexpr char kBias[] = "bias";

// Of the tensors that no quantized linear has: a projection's plain weight must be on the skip
// list.
absl::Status CheckOther(const QtipModelConfig& config, const std::string& tensor) {
  constexpr std::string_view kWeight = "weight";
  if (!tensor.ends_with(kWeight)) return absl::OkStatus();
  const std::optional<QtipLinearName> name =
      ParseQtipLinearName(tensor.substr(0, tensor.size() - kWeight.size()));
  if (!name || !QtipSplitOf(name->projection) || config.skip_list.contains(name->SkipKey())) {
    return absl::OkStatus();
  }
  return InvalidField("MODEL_LAYER_UNQUANTIZED", tensor, "a linear without a trellis",
                      "a quantized one, or " + name->SkipKey() + " in quip_params.skip_list");
}

// A projection that is quantized in one layer is there in every layer, quantized or on the skip
// list. Layers are those that have a tensor at all, at hand or not.
absl::Status CheckComplete(const QtipModelConfig& config, const ModelPlan& plan) {
  std::map<std::string, std::string> projections;  // name -> prefix of one
  std::set<int64_t> layers;
  std::set<std::string> present;  // "0_q"
  const auto see = [&](const std::string& tensor) {
    const std::optional<QtipLinearName> name = ParseQtipLinearName(LayerPrefix(tensor));
    if (!name) return;
    layers.insert(name->layer);
    present.insert(name->SkipKey());
    // Linears of either kind have a bias.
    if (tensor.ends_with(".weight") || tensor.ends_with(".bias")) return;
    projections.emplace(name->projection, LayerPrefix(tensor));
  };
  for (const ModelLinear& linear : plan.linears) see(linear.prefix + "trellis");
  for (const std::string& tensor : plan.other_tensors) see(tensor);
  for (const int64_t layer : layers) {
    for (const auto& [projection, example] : projections) {
      const std::string key = QtipLinearName{layer, projection}.SkipKey();
      if (present.contains(key) || config.skip_list.contains(key)) continue;
      return InvalidField(
          "MODEL_LAYER_UNQUANTIZED", "linear " + key, "no tensors",
          "a quantized linear, as " + example + " is one, or " + key + " in quip_params.skip_list");
    }
  }
  return absl::OkStatus();
}

bool IsQuantized(const TensorMap& tensors) {
  return std::ranges::any_of(kQtipTensorNames,
                             [&](const char* name) { return tensors.contains(name); });
}

// Splits the tensors by layer: quantized linears with their names cut, and all others. A linear's
// bias is one of these: it is added to what the linear gives, and no part of W.
ModelPlan FindLinears(const ModelCheckpoint& checkpoint) {
  ModelPlan plan;
  plan.other_tensors = checkpoint.absent_tensors;
  for (auto& [prefix, tensors] : GroupByLayer(checkpoint.tensors)) {
    if (IsQuantized(tensors)) {
      if (tensors.erase(kBias) > 0) plan.other_tensors.push_back(prefix + kBias);
      plan.linears.push_back({prefix, std::move(tensors), {}});
      continue;
    }
    for (const auto& [name, tensor] : tensors) plan.other_tensors.push_back(prefix + name);
  }
  std::sort(plan.other_tensors.begin(), plan.other_tensors.end());
  return plan;
}

}  // namespace

absl::StatusOr<ModelPlan> PlanQtipModel(const ModelCheckpoint& checkpoint) {
  QTIPD_ASSIGN_OR_RETURN(const QtipModelConfig config, ParseQtipModelConfig(checkpoint.config));
  ModelPlan plan = FindLinears(checkpoint);
  if (plan.linears.empty()) {
    return FieldError(absl::StatusCode::kNotFound, "LAYER_NOT_FOUND", "model",
                      "no tensor named trellis", "at least one quantized linear");
  }
  for (ModelLinear& linear : plan.linears) {
    QTIPD_RETURN_IF_ERROR(CheckQtipLinear(config, linear));
  }
  for (const std::string& tensor : plan.other_tensors) {
    QTIPD_RETURN_IF_ERROR(CheckOther(config, tensor));
  }
  QTIPD_RETURN_IF_ERROR(CheckComplete(config, plan));
  return plan;
}

}  // namespace qtipd
