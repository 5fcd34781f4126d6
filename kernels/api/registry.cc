#include "kernels/api/registry.h"

#include "kernels/api/error.h"

namespace qtipd {
namespace {

template <typename T>
absl::StatusOr<const T*> Find(const std::vector<std::unique_ptr<T>>& items, std::string_view id,
                              std::string_view field, std::string_view reason) {
  std::string known;
  for (const auto& item : items) {
    if (item->id() == id) return item.get();
    known.append(known.empty() ? "" : ", ").append(item->id());
  }
  return InvalidField(reason, field, id, known);
}

}  // namespace

void Registry::AddFormat(std::unique_ptr<WeightFormat> format) {
  formats_.push_back(std::move(format));
}

void Registry::AddFormatBackend(std::unique_ptr<FormatBackend> backend) {
  backends_.push_back(std::move(backend));
}

void Registry::AddPath(std::unique_ptr<InferencePath> path) { paths_.push_back(std::move(path)); }

absl::StatusOr<const WeightFormat*> Registry::FindFormat(std::string_view id) const {
  return Find(formats_, id, "format", "FORMAT_UNKNOWN");
}

absl::StatusOr<const InferencePath*> Registry::FindPath(std::string_view id) const {
  return Find(paths_, id, "path", "PATH_UNKNOWN");
}

absl::StatusOr<const FormatBackend*> Registry::FindBackend(std::string_view format_id,
                                                           std::string_view backend_id) const {
  std::string known;
  for (const auto& backend : backends_) {
    if (backend->format_id() != format_id) continue;
    if (backend->backend_id() == backend_id) return backend.get();
    known.append(known.empty() ? "" : ", ").append(backend->backend_id());
  }
  return FieldError(absl::StatusCode::kUnimplemented, "FORMAT_NOT_ON_BACKEND",
                    "backend of format " + std::string(format_id), backend_id,
                    known.empty() ? "none in this build" : known);
}

}  // namespace qtipd
