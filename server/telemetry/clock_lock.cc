#include "server/telemetry/clock_lock.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/atomic_file.h"

namespace qtipd {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "locked-clocks.";

std::string MarkerPath(const std::string& directory, const std::string& uuid) {
  return directory + "/" + kPrefix + uuid;
}

absl::Status WriteMarker(const std::string& directory, const std::string& uuid,
                         const std::string& text) {
  QTIPD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(directory));
  QTIPD_RETURN_IF_ERROR(file.Write(std::as_bytes(std::span(text))));
  return file.Commit(kPrefix + uuid);
}

void RemoveMarker(const std::string& directory, const std::string& uuid) {
  std::error_code ignored;
  fs::remove(MarkerPath(directory, uuid), ignored);
}

absl::Status Unsupported(const std::string& device_id, const std::string& why) {
  return MakeError(absl::StatusCode::kUnimplemented, "CLOCK_LOCK_UNSUPPORTED",
                   "clocks of " + device_id + ": " + why, {{"device", device_id}});
}

}  // namespace

ClockLock::ClockLock(std::shared_ptr<Nvml> nvml, NvmlDevice device, std::string device_id,
                     std::string uuid, std::string marker_directory)
    : nvml_(std::move(nvml)),
      device_(device),
      device_id_(std::move(device_id)),
      uuid_(std::move(uuid)),
      directory_(std::move(marker_directory)) {}

ClockLock::~ClockLock() { Unlock().IgnoreError(); }

absl::Status ClockLock::Failure(NvmlReturn result, const std::string& cure) {
  if (result == NvmlReturn::kNotSupported || result == NvmlReturn::kFunctionNotFound) {
    return Unsupported(device_id_, "this device or driver cannot hold them");
  }
  if (result == NvmlReturn::kNoPermission) {
    return MakeError(absl::StatusCode::kPermissionDenied, "CLOCK_LOCK_NOT_PERMITTED",
                     "clocks of " + device_id_ +
                         ": the driver lets only root hold them; run qtipd as root, or: " + cure,
                     {{"device", device_id_}, {"cure", cure}});
  }
  return MakeError(absl::StatusCode::kInternal, "CLOCK_LOCK_FAILED",
                   "clocks of " + device_id_ + ": " + nvml_->ErrorText(result),
                   {{"device", device_id_}});
}

absl::Status ClockLock::Lock() {
  std::lock_guard lock(mutex_);
  if (is_locked_) return absl::OkStatus();
  const auto mhz = nvml_->Read(device_, NvmlQuantity::kSmClockDefaultMhz);
  if (!mhz) return Unsupported(device_id_, "the driver does not tell its default clock");
  QTIPD_RETURN_IF_ERROR(WriteMarker(directory_, uuid_, std::to_string(*mhz) + " MHz\n"));
  const auto clock = static_cast<uint32_t>(*mhz);
  const NvmlReturn result = nvml_->SetGpuLockedClocks(device_, clock, clock);
  if (result != NvmlReturn::kSuccess) {
    RemoveMarker(directory_, uuid_);
    return Failure(result, "sudo nvidia-smi -i " + uuid_ + " --lock-gpu-clocks=" +
                               std::to_string(clock) + "," + std::to_string(clock));
  }
  is_locked_ = true;
  return absl::OkStatus();
}

absl::Status ClockLock::Unlock() {
  std::lock_guard lock(mutex_);
  if (!is_locked_) return absl::OkStatus();
  const NvmlReturn result = nvml_->ResetGpuLockedClocks(device_);
  if (result != NvmlReturn::kSuccess) {
    return Failure(result, "sudo nvidia-smi -i " + uuid_ + " --reset-gpu-clocks");
  }
  is_locked_ = false;
  RemoveMarker(directory_, uuid_);
  return absl::OkStatus();
}

std::vector<std::string> DevicesLeftLocked(const std::string& directory) {
  std::vector<std::string> uuids;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.starts_with(kPrefix)) uuids.push_back(name.substr(sizeof(kPrefix) - 1));
  }
  std::sort(uuids.begin(), uuids.end());
  return uuids;
}

std::vector<RestoredClocks> RestoreLockedClocks(Nvml& nvml, const std::string& directory,
                                                UndoneMarker marker) {
  std::vector<RestoredClocks> restored;
  for (const std::string& uuid : DevicesLeftLocked(directory)) {
    // Where CUDA told no UUID, the PCI bus id names the marker.
    NvmlDevice device = nvml.FindByUuid(uuid);
    if (device == nullptr) device = nvml.FindByPciBusId(uuid);
    const NvmlReturn result =
        device == nullptr ? NvmlReturn::kNotFound : nvml.ResetGpuLockedClocks(device);
    absl::Status status;
    if (result == NvmlReturn::kSuccess) {
      if (marker == UndoneMarker::kRemove) RemoveMarker(directory, uuid);
    } else {
      status = MakeError(absl::StatusCode::kFailedPrecondition, "CLOCKS_LEFT_LOCKED",
                         "clocks of " + uuid + ": " + nvml.ErrorText(result) +
                             "; sudo nvidia-smi -i " + uuid + " --reset-gpu-clocks",
                         {{"device", uuid}});
    }
    restored.push_back({uuid, std::move(status)});
  }
  return restored;
}

}  // namespace qtipd
