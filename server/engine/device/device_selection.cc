#include "server/engine/device/device_selection.h"

#include <algorithm>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

constexpr char kCpu[] = "cpu";

struct Available {
  Backend* backend = nullptr;
  int count = 0;
};

// Replaces what was said about the backend before, if anything.
void Note(BackendStatus entry, std::vector<BackendStatus>& status) {
  std::erase_if(status, [&](const BackendStatus& known) { return known.id == entry.id; });
  status.push_back(std::move(entry));
}

std::vector<Available> Discover(const std::vector<std::unique_ptr<Backend>>& backends,
                                std::vector<BackendStatus>& status) {
  std::vector<Available> available;
  for (const auto& backend : backends) {
    const absl::StatusOr<int> count = backend->DeviceCount();
    BackendStatus entry{.id = std::string(backend->id())};
    entry.is_available = count.ok() && *count > 0;
    if (!count.ok()) entry.reason = std::string(count.status().message());
    if (count.ok() && *count == 0) entry.reason = "it has no device";
    if (entry.is_available) available.push_back({backend.get(), *count});
    Note(std::move(entry), status);
  }
  return available;
}

bool IsSelected(const std::string& selection, const Available& backend, int index) {
  const std::string id(backend.backend->id());
  return selection == id || selection == id + ":" + std::to_string(index);
}

std::string ResolveAuto(const std::string& selection, const std::vector<Available>& available) {
  if (selection != "auto") return selection;
  const auto gpu = std::find_if(available.begin(), available.end(),
                                [](const Available& a) { return a.backend->id() != kCpu; });
  return gpu == available.end() ? kCpu : std::string(gpu->backend->id());
}

}  // namespace

absl::StatusOr<std::vector<DeviceChoice>> SelectDevices(
    const std::string& selection, const std::vector<std::unique_ptr<Backend>>& backends,
    std::vector<BackendStatus>& status) {
  const std::vector<Available> available = Discover(backends, status);
  const std::string wanted = ResolveAuto(selection, available);
  std::vector<DeviceChoice> choices;
  std::string allowed = "auto";
  for (const Available& backend : available) {
    allowed.append(", ").append(backend.backend->id());
    for (int index = 0; index < backend.count; ++index) {
      if (IsSelected(wanted, backend, index)) choices.push_back({backend.backend, index});
      if (backend.backend->id() != kCpu) {
        allowed.append(", ").append(backend.backend->id()).append(":" + std::to_string(index));
      }
    }
  }
  if (!choices.empty()) return choices;
  for (const BackendStatus& entry : status) {
    if (!entry.is_available) allowed += " (" + entry.id + ": " + entry.reason + ")";
  }
  return InvalidField("DEVICE_NOT_FOUND", "device", selection, allowed);
}

}  // namespace qtipd
