// What this server is and has: GetServerInfo, ListDevices, ListFormats, ListPaths.
#include <utility>

#include "server/service/common_conversion.h"
#include "server/service/handlers.h"

namespace qtipd {
namespace {

std::string Find(const std::map<std::string, std::string>& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

std::vector<std::string> AvailableBackends(Engine& engine) {
  std::vector<std::string> ids;
  for (const BackendStatus& backend : engine.ListBackends()) {
    if (backend.is_available) ids.push_back(backend.id);
  }
  return ids;
}

// The lists are fields of ServerInfo and of their own responses alike.
template <typename Response>
void FillDevices(Engine& engine, Response& response) {
  for (const DeviceStatus& device : engine.ListDevices()) *response.add_devices() = ToProto(device);
  for (const BackendStatus& backend : engine.ListBackends()) {
    *response.add_backends() = ToProto(backend);
  }
}

template <typename Response>
void FillFormats(Engine& engine, Response& response) {
  const std::vector<std::string> backends = AvailableBackends(engine);
  for (const auto& format : engine.registry().formats()) {
    *response.add_formats() = ToProto(*format, engine.registry(), backends);
  }
}

template <typename Response>
void FillPaths(Engine& engine, Response& response) {
  for (const auto& path : engine.registry().paths()) *response.add_paths() = ToProto(*path);
}

}  // namespace

absl::StatusOr<v1::ServerInfo> GetServerInfo(Engine& engine, const ServerFacts& facts, Clock& clock,
                                             const CallContext& context) {
  v1::ServerInfo info;
  info.set_version(Find(facts.build, "version"));
  info.set_git_commit(Find(facts.build, "git_commit"));
  for (const auto& [key, value] : facts.build) (*info.mutable_build())[key] = value;
  info.set_hostname(facts.hostname);
  info.set_http_address(facts.http_address);
  info.set_data_dir(facts.data_dir);
  info.set_uptime_seconds(clock.MonotonicSeconds() - facts.start_seconds);
  FillDevices(engine, info);
  FillFormats(engine, info);
  FillPaths(engine, info);
  return info;
}

absl::StatusOr<v1::ListDevicesResponse> ListDevices(Engine& engine,
                                                    const v1::ListDevicesRequest& request,
                                                    const CallContext& context) {
  v1::ListDevicesResponse response;
  FillDevices(engine, response);
  return response;
}

absl::StatusOr<v1::ListFormatsResponse> ListFormats(Engine& engine,
                                                    const v1::ListFormatsRequest& request,
                                                    const CallContext& context) {
  v1::ListFormatsResponse response;
  FillFormats(engine, response);
  return response;
}

absl::StatusOr<v1::ListPathsResponse> ListPaths(Engine& engine, const v1::ListPathsRequest& request,
                                                const CallContext& context) {
  v1::ListPathsResponse response;
  FillPaths(engine, response);
  return response;
}

}  // namespace qtipd
