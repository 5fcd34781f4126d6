#include "client/layer_tensors.h"

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

absl::Status PrefixNotFound(const TensorMap& tensors, const std::string& prefix,
                            const std::string& display_name) {
  std::set<std::string> prefixes;
  for (const auto& [name, tensor] : tensors) {
    if (const size_t dot = name.rfind('.'); dot != std::string::npos) {
      prefixes.insert(name.substr(0, dot + 1));
    }
  }
  const std::vector<std::string> near =
      NearestNames(prefix, std::vector<std::string>(prefixes.begin(), prefixes.end()));
  std::string allowed = absl::StrCat("the beginning of a tensor's name in ", display_name);
  if (!near.empty()) absl::StrAppend(&allowed, ", near it: ", absl::StrJoin(near, ", "));
  return FieldError(absl::StatusCode::kNotFound, "PREFIX_NOT_FOUND", "prefix", prefix, allowed);
}

}  // namespace

absl::StatusOr<LayerTensors> SelectLayer(const TensorMap& tensors, const std::string& prefix,
                                         const std::string& display_name) {
  LayerTensors layer;
  if (prefix.empty()) {
    layer.tensors = tensors;
    return layer;
  }
  layer.prefix = prefix.ends_with('.') ? prefix : prefix + ".";
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(layer.prefix)) layer.tensors.emplace(name, tensor);
  }
  if (layer.tensors.empty()) return PrefixNotFound(tensors, prefix, display_name);
  return layer;
}

}  // namespace qtipd
