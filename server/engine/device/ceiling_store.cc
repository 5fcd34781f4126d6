#include "server/engine/device/ceiling_store.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <vector>

#include "kernels/api/status.h"
#include "server/base/atomic_file.h"
#include "server/base/text_file.h"

namespace qtipd {
namespace {

using Json = nlohmann::json;

constexpr char kFileName[] = "ceiling.json";

Json FromCurve(const std::vector<BandwidthPoint>& curve) {
  Json json = Json::array();
  for (const BandwidthPoint& point : curve) json.push_back({point.bytes, point.seconds});
  return json;
}

std::vector<BandwidthPoint> ToCurve(const Json& json) {
  std::vector<BandwidthPoint> curve;
  for (const Json& point : json) curve.push_back({point.at(0), point.at(1)});
  return curve;
}

Json FromCeiling(const DeviceCeiling& ceiling) {
  return {{"read", FromCurve(ceiling.read)},
          {"copy", FromCurve(ceiling.copy)},
          {"read_cached", FromCurve(ceiling.read_cached)},
          {"launch_seconds", ceiling.launch_seconds},
          {"overlapped_launch_seconds", ceiling.overlapped_launch_seconds},
          {"replay_seconds", ceiling.replay_seconds},
          {"clock_hertz", ceiling.clock_hertz},
          {"rates", ceiling.rates}};
}

DeviceCeiling ToCeiling(const Json& json) {
  return {.read = ToCurve(json.at("read")),
          .copy = ToCurve(json.at("copy")),
          .read_cached = ToCurve(json.at("read_cached")),
          .launch_seconds = json.at("launch_seconds"),
          .overlapped_launch_seconds = json.at("overlapped_launch_seconds"),
          .replay_seconds = json.at("replay_seconds"),
          .clock_hertz = json.at("clock_hertz"),
          .rates = json.at("rates")};
}

// The entries of the file whose keys end with `suffix`; none of a file that is not ours.
std::map<std::string, DeviceCeiling> Read(const std::string& path, const std::string& suffix) {
  std::map<std::string, DeviceCeiling> ceilings;
  std::ifstream stream(path);
  try {
    const Json json = Json::parse(stream);
    for (const auto& [key, ceiling] : json.items()) {
      if (key.ends_with(suffix)) ceilings[key] = ToCeiling(ceiling);
    }
  } catch (const Json::exception&) {
    ceilings.clear();
  }
  return ceilings;
}

}  // namespace

CeilingStore::CeilingStore(std::string directory, const std::string& boot_id,
                           const std::string& build)
    : directory_(std::move(directory)),
      is_kept_(!boot_id.empty()),
      suffix_("|" + boot_id + "|" + build) {
  if (is_kept_) ceilings_ = Read(directory_ + "/" + kFileName, suffix_);
}

std::string CeilingStore::Key(const DeviceInfo& device) const {
  return (device.uuid.empty() ? device.name : device.uuid) + suffix_;
}

std::optional<DeviceCeiling> CeilingStore::Find(const DeviceInfo& device) const {
  std::lock_guard lock(mutex_);
  const auto found = ceilings_.find(Key(device));
  if (found == ceilings_.end()) return std::nullopt;
  return found->second;
}

absl::Status CeilingStore::Save(const DeviceInfo& device, const DeviceCeiling& ceiling) {
  std::lock_guard lock(mutex_);
  ceilings_[Key(device)] = ceiling;
  if (!is_kept_) return absl::OkStatus();
  Json json = Json::object();
  for (const auto& [key, value] : ceilings_) json[key] = FromCeiling(value);
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace);
  QTIPD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(directory_));
  QTIPD_RETURN_IF_ERROR(file.Write(std::as_bytes(std::span(text))));
  return file.Commit(kFileName);
}

std::string ReadBootId(const std::string& root) {
  return ReadFirstLine(root + "/proc/sys/kernel/random/boot_id").value_or("");
}

}  // namespace qtipd
