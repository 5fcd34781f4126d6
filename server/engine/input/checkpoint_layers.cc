#include "server/engine/input/checkpoint_layers.h"

#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/checkpoint_directory.h"

namespace qtipd {
namespace {

constexpr size_t kMaxListed = 20;

const WeightFormat* Recognise(const TensorMap& tensors,
                              const std::vector<const WeightFormat*>& formats) {
  for (const WeightFormat* format : formats) {
    if (format->Recognises(tensors)) return format;
  }
  return nullptr;
}

std::string ListPrefixes(const std::vector<CheckpointLayer>& layers) {
  if (layers.empty()) return "none: no layer of a known format is in the file";
  std::string text;
  for (size_t i = 0; i < layers.size() && i < kMaxListed; ++i) {
    text += (i > 0 ? ", " : "") +
            (layers[i].prefix.empty() ? std::string("(no prefix)") : layers[i].prefix);
  }
  if (layers.size() > kMaxListed) {
    text += " and " + std::to_string(layers.size() - kMaxListed) + " more";
  }
  return text;
}

}  // namespace

absl::StatusOr<CheckpointLayer> FindLayer(const TensorMap& tensors, const std::string& prefix,
                                          const std::string& format, const Registry& registry) {
  std::vector<const WeightFormat*> formats;
  if (format.empty()) {
    for (const auto& known : registry.formats()) formats.push_back(known.get());
  } else {
    QTIPD_ASSIGN_OR_RETURN(const WeightFormat* wanted, registry.FindFormat(format));
    formats.push_back(wanted);
  }
  std::vector<CheckpointLayer> layers;
  for (auto& [group_prefix, group] : GroupByLayer(tensors)) {
    const WeightFormat* recognised = Recognise(group, formats);
    if (recognised != nullptr) layers.push_back({group_prefix, group, recognised});
  }
  if (prefix.empty() && layers.size() == 1) return layers[0];
  if (prefix.empty() && layers.size() > 1) {
    return InvalidField("LAYER_AMBIGUOUS", "prefix", "nothing", "one of " + ListPrefixes(layers));
  }
  for (const CheckpointLayer& layer : layers) {
    if (layer.prefix == prefix || layer.prefix == prefix + ".") return layer;
  }
  return FieldError(absl::StatusCode::kNotFound, "LAYER_NOT_FOUND", "prefix",
                    prefix.empty() ? "nothing" : prefix, ListPrefixes(layers));
}

}  // namespace qtipd
