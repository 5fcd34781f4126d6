#include "server/engine/history/profile_json.h"

#include <nlohmann/json.hpp>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/history/record_json.h"

namespace qtipd {

using Json = nlohmann::json;

std::string ProfileToJson(const ProfileRecord& profile) {
  const Json json = {{"artifact", profile.artifact},
                     {"artifact_sha256", profile.artifact_sha256},
                     {"format", profile.format},
                     {"options", OptionsToJson(profile.options)},
                     {"out_features", profile.shape.out_features},
                     {"in_features", profile.shape.in_features},
                     {"path", profile.path},
                     {"step", profile.step},
                     {"batch", profile.batch},
                     {"activation_dtype", profile.activation_dtype},
                     {"copies", profile.copies},
                     {"preset", profile.preset},
                     {"device", profile.device},
                     {"device_name", profile.device_name},
                     {"environment", profile.environment},
                     {"create_time", profile.create_time},
                     {"seconds", profile.seconds}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<ProfileRecord> ProfileFromJson(const std::string& text) {
  ProfileRecord profile;
  std::string options;
  try {
    const Json json = Json::parse(text);
    json.at("artifact").get_to(profile.artifact);
    json.at("artifact_sha256").get_to(profile.artifact_sha256);
    json.at("format").get_to(profile.format);
    json.at("options").get_to(options);
    json.at("out_features").get_to(profile.shape.out_features);
    json.at("in_features").get_to(profile.shape.in_features);
    json.at("path").get_to(profile.path);
    json.at("step").get_to(profile.step);
    json.at("batch").get_to(profile.batch);
    profile.activation_dtype = json.value("activation_dtype", "");
    json.at("copies").get_to(profile.copies);
    json.at("preset").get_to(profile.preset);
    json.at("device").get_to(profile.device);
    json.at("device_name").get_to(profile.device_name);
    json.at("environment").get_to(profile.environment);
    json.at("create_time").get_to(profile.create_time);
    json.at("seconds").get_to(profile.seconds);
  } catch (const Json::exception& error) {
    return MakeError(absl::StatusCode::kDataLoss, "HISTORY_RECORD_DAMAGED",
                     std::string("a profile of the history cannot be read: ") + error.what());
  }
  QTIPD_ASSIGN_OR_RETURN(profile.options, OptionsFromJson(options));
  return profile;
}

}  // namespace qtipd
