#include "client/model_view.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "client/units.h"
#include "kernels/io/checkpoint_directory.h"

namespace qtipd {
namespace {

constexpr size_t kMostNamed = 3;

// The first of the names, and how many more there are.
std::string SomeOf(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) {
    absl::StrAppend(&text, i > 0 ? ", " : "", names[i]);
  }
  if (names.size() > kMostNamed)
    absl::StrAppend(&text, " and ", names.size() - kMostNamed, " more");
  return text;
}

// Of the absent tensors, those that belong to linears that are held.
std::vector<std::string> AbsentOfLayers(const v1::Model& model) {
  std::set<std::string> prefixes;
  for (const v1::ModelLayer& layer : model.layers()) prefixes.insert(layer.prefix());
  std::vector<std::string> tensors;
  for (const std::string& tensor : model.absent_tensors()) {
    if (prefixes.contains(LayerPrefix(tensor))) tensors.push_back(tensor);
  }
  return tensors;
}

Cell Bytes(uint64_t bytes) { return Cell(FormatBytes(bytes), std::to_string(bytes)); }

Cell MeanDiagonal(const v1::Hessian& hessian) {
  return Cell(FormatNumber(hessian.mean_diagonal(), 4), ExactNumber(hessian.mean_diagonal()));
}

}  // namespace

Table ModelTable(const v1::Model& model) {
  uint64_t bytes = 0;
  double weights = 0;
  for (const v1::ModelLayer& layer : model.layers()) {
    bytes += layer.packed_bytes();
    weights += static_cast<double>(layer.shape().out_features()) *
               static_cast<double>(layer.shape().in_features());
  }
  const double bits = weights == 0 ? 0 : 8 * static_cast<double>(bytes) / weights;
  Table table({{"model", "name"},
               {"format", "format"},
               {"layers", "layers", Align::kRight},
               {"bits/weight", "bits_per_weight", Align::kRight},
               {"size", "packed_bytes", Align::kRight},
               {"not held", "absent_tensors", Align::kRight},
               {"created", "create_time"}});
  table.AddRow({model.name(), model.format(), std::to_string(model.layers_size()),
                Cell(FormatNumber(bits, 4), ExactNumber(bits)), Bytes(bytes),
                std::to_string(model.absent_tensors_size()), FormatTime(model.create_time())});
  return table;
}

std::string AbsentText(const v1::Model& model) {
  const std::vector<std::string> absent(model.absent_tensors().begin(),
                                        model.absent_tensors().end());
  if (absent.empty()) return "";
  std::string text = absl::StrCat("not held by the daemon: ", absent.size(),
                                  absent.size() == 1 ? " tensor" : " tensors",
                                  " of the imported directory: ", SomeOf(absent));
  // These change what a linear gives, so they are named first of all.
  if (const std::vector<std::string> own = AbsentOfLayers(model); !own.empty()) {
    absl::StrAppend(
        &text, "\nof them ", own.size(), own.size() == 1 ? " belongs" : " belong",
        " to linears that are held, without what it adds to their outputs: ", SomeOf(own));
  }
  return text;
}

Table HessianTable(const std::vector<v1::Hessian>& hessians) {
  Table table({{"name", "name"},
               {"in_features", "in_features", Align::kRight},
               {"tokens", "tokens", Align::kRight},
               {"mean diagonal", "mean_diagonal", Align::kRight},
               {"size", "stored_bytes", Align::kRight},
               {"updated", "update_time"}});
  for (const v1::Hessian& hessian : hessians) {
    table.AddRow({hessian.name(), std::to_string(hessian.in_features()),
                  std::to_string(hessian.tokens()), MeanDiagonal(hessian),
                  Bytes(hessian.stored_bytes()), FormatTime(hessian.update_time())});
  }
  return table;
}

Table HessianDetails(const v1::Hessian& hessian) {
  Table table({{"field", "field"}, {"value", "value"}});
  table.AddRow({"name", hessian.name()});
  table.AddRow({"in_features", std::to_string(hessian.in_features())});
  table.AddRow({"tokens", std::to_string(hessian.tokens())});
  table.AddRow({"mean diagonal", MeanDiagonal(hessian)});
  table.AddRow({"sha256", hessian.sha256()});
  table.AddRow({"stored size", Bytes(hessian.stored_bytes())});
  for (const std::string& source : hessian.sources()) table.AddRow({"source", source});
  table.AddRow({"created", FormatTime(hessian.create_time())});
  table.AddRow({"updated", FormatTime(hessian.update_time())});
  return table;
}

}  // namespace qtipd
