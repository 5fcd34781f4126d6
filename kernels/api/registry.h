// Everything that can be plugged in, in plain containers. Built once at start, then read-only and
// passed by reference; tests build their own.
#ifndef QTIPD_KERNELS_API_REGISTRY_H_
#define QTIPD_KERNELS_API_REGISTRY_H_

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Thread-safe once filled.
class Registry {
 public:
  void AddFormat(std::unique_ptr<WeightFormat> format);
  void AddFormatBackend(std::unique_ptr<FormatBackend> backend);
  void AddPath(std::unique_ptr<InferencePath> path);

  const std::vector<std::unique_ptr<WeightFormat>>& formats() const { return formats_; }
  const std::vector<std::unique_ptr<InferencePath>>& paths() const { return paths_; }

  // Errors: InvalidArgument/FORMAT_UNKNOWN or PATH_UNKNOWN with every known id.
  absl::StatusOr<const WeightFormat*> FindFormat(std::string_view id) const;
  absl::StatusOr<const InferencePath*> FindPath(std::string_view id) const;
  // Errors: Unimplemented/FORMAT_NOT_ON_BACKEND.
  absl::StatusOr<const FormatBackend*> FindBackend(std::string_view format_id,
                                                   std::string_view backend_id) const;

 private:
  std::vector<std::unique_ptr<WeightFormat>> formats_;
  std::vector<std::unique_ptr<FormatBackend>> backends_;
  std::vector<std::unique_ptr<InferencePath>> paths_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_REGISTRY_H_
