#include "server/profiler/profile_protocol.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

using Json = nlohmann::json;

absl::Status NotOurs(std::string_view json, const std::string& why) {
  constexpr size_t kMostQuoted = 200;
  return MakeError(
      absl::StatusCode::kInternal, "PROFILER_HELPER_FAILED",
      "not a message of qtip-profiler: " + why + ": " + std::string(json.substr(0, kMostQuoted)));
}

// Reads `json` with `read`, which throws where something is missing or of another type.
template <typename T, typename Read>
absl::StatusOr<T> Parse(std::string_view json, const Read& read) {
  try {
    return read(Json::parse(json));
  } catch (const Json::exception& error) {
    return NotOurs(json, error.what());
  }
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// JSON has no NaN: nlohmann writes null for it.
double Number(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

Json FromStatus(const absl::Status& status) {
  const ErrorInfo info = GetErrorInfo(status);
  return {{"code", static_cast<int>(status.code())},
          {"reason", info.reason},
          {"message", std::string(status.message())},
          {"metadata", info.metadata}};
}

absl::Status ToStatus(const Json& json) {
  const auto code = static_cast<absl::StatusCode>(json.at("code").get<int>());
  return MakeError(code == absl::StatusCode::kOk ? absl::StatusCode::kInternal : code,
                   json.at("reason").get<std::string>(), json.at("message").get<std::string>(),
                   json.at("metadata").get<std::map<std::string, std::string>>());
}

Json FromTask(const ProfileTask& task) {
  return {{"artifact_path", task.artifact_path},
          {"device", task.device},
          {"cuda_module", task.cuda_module},
          {"path", task.path},
          {"step", task.step},
          {"batch", task.batch},
          {"activation_dtype", task.activation_dtype},
          {"copies", task.copies},
          {"seed", task.seed},
          {"preset", task.preset},
          {"metrics", task.metrics},
          {"samples_program_counters", task.samples_program_counters}};
}

ProfileTask ToProfileTask(const Json& json) {
  ProfileTask task;
  json.at("artifact_path").get_to(task.artifact_path);
  json.at("device").get_to(task.device);
  json.at("cuda_module").get_to(task.cuda_module);
  json.at("path").get_to(task.path);
  json.at("step").get_to(task.step);
  json.at("batch").get_to(task.batch);
  json.at("activation_dtype").get_to(task.activation_dtype);
  json.at("copies").get_to(task.copies);
  json.at("seed").get_to(task.seed);
  json.at("preset").get_to(task.preset);
  json.at("metrics").get_to(task.metrics);
  json.at("samples_program_counters").get_to(task.samples_program_counters);
  return task;
}

Json FromTask(const CatalogueTask& task) {
  return {{"device", task.device},
          {"chip", task.chip},
          {"preset", task.preset},
          {"metrics", task.metrics}};
}

CatalogueTask ToCatalogueTask(const Json& json) {
  CatalogueTask task;
  json.at("device").get_to(task.device);
  json.at("chip").get_to(task.chip);
  json.at("preset").get_to(task.preset);
  json.at("metrics").get_to(task.metrics);
  return task;
}

Json FromMetrics(const std::vector<MetricValue>& metrics) {
  Json list = Json::array();
  for (const MetricValue& metric : metrics) {
    list.push_back({{"name", metric.name},
                    {"value", metric.value},
                    {"unit", metric.unit},
                    {"description", metric.description}});
  }
  return list;
}

std::vector<MetricValue> ToMetrics(const Json& list) {
  std::vector<MetricValue> metrics;
  for (const Json& json : list) {
    metrics.push_back({json.at("name").get<std::string>(), Number(json.at("value")),
                       json.at("unit").get<std::string>(),
                       json.at("description").get<std::string>()});
  }
  return metrics;
}

Json FromInstructions(const std::vector<HotInstruction>& instructions) {
  Json list = Json::array();
  for (const HotInstruction& hot : instructions) {
    list.push_back({{"function", hot.function},
                    {"offset", hot.offset},
                    {"text", hot.text},
                    {"samples", hot.samples},
                    {"stall_samples", hot.stall_samples}});
  }
  return list;
}

std::vector<HotInstruction> ToInstructions(const Json& list) {
  std::vector<HotInstruction> instructions;
  for (const Json& json : list) {
    instructions.push_back({json.at("function").get<std::string>(),
                            json.at("offset").get<uint64_t>(), json.at("text").get<std::string>(),
                            json.at("samples").get<uint64_t>(),
                            json.at("stall_samples").get<std::map<std::string, uint64_t>>()});
  }
  return instructions;
}

Json FromData(const ProfileData& data) {
  return {{"chip", data.chip},
          {"source", data.source},
          {"passes", data.passes},
          {"runs", data.runs},
          {"metrics", FromMetrics(data.metrics)},
          {"unavailable_metrics", data.unavailable_metrics},
          {"hot_instructions", FromInstructions(data.hot_instructions)},
          {"total_samples", data.total_samples},
          {"dropped_samples", data.dropped_samples},
          {"notes", data.notes}};
}

ProfileData ToData(const Json& json) {
  ProfileData data;
  json.at("chip").get_to(data.chip);
  json.at("source").get_to(data.source);
  json.at("passes").get_to(data.passes);
  json.at("runs").get_to(data.runs);
  data.metrics = ToMetrics(json.at("metrics"));
  json.at("unavailable_metrics").get_to(data.unavailable_metrics);
  data.hot_instructions = ToInstructions(json.at("hot_instructions"));
  json.at("total_samples").get_to(data.total_samples);
  json.at("dropped_samples").get_to(data.dropped_samples);
  json.at("notes").get_to(data.notes);
  return data;
}

Json FromCatalogue(const MetricCatalogue& catalogue) {
  Json metrics = Json::array();
  for (const MetricDescription& metric : catalogue.metrics) {
    metrics.push_back({metric.name, metric.description});
  }
  return {{"chip", catalogue.chip},
          {"metrics", std::move(metrics)},
          {"selected_metrics", catalogue.selected_metrics},
          {"unavailable_metrics", catalogue.unavailable_metrics},
          {"passes", catalogue.passes}};
}

MetricCatalogue ToCatalogue(const Json& json) {
  MetricCatalogue catalogue;
  json.at("chip").get_to(catalogue.chip);
  for (const Json& metric : json.at("metrics")) {
    catalogue.metrics.push_back({metric.at(0).get<std::string>(), metric.at(1).get<std::string>()});
  }
  json.at("selected_metrics").get_to(catalogue.selected_metrics);
  json.at("unavailable_metrics").get_to(catalogue.unavailable_metrics);
  json.at("passes").get_to(catalogue.passes);
  return catalogue;
}

}  // namespace

std::string ToJson(const HelperRequest& request) {
  Json json = Json::object();
  if (request.profile) json["profile"] = FromTask(*request.profile);
  if (request.catalogue) json["catalogue"] = FromTask(*request.catalogue);
  return Dump(json);
}

absl::StatusOr<HelperRequest> ParseRequest(std::string_view text) {
  QTIPD_ASSIGN_OR_RETURN(HelperRequest request, Parse<HelperRequest>(text, [](const Json& json) {
                           HelperRequest read;
                           if (json.contains("profile")) {
                             read.profile = ToProfileTask(json.at("profile"));
                           }
                           if (json.contains("catalogue")) {
                             read.catalogue = ToCatalogueTask(json.at("catalogue"));
                           }
                           return read;
                         }));
  if (request.profile.has_value() == request.catalogue.has_value()) {
    return NotOurs(text, "not exactly one of profile and catalogue");
  }
  return request;
}

std::string ProfileAnswer(const absl::StatusOr<ProfileData>& answer) {
  return Dump(answer.ok() ? Json{{"profile", FromData(*answer)}}
                          : Json{{"status", FromStatus(answer.status())}});
}

absl::StatusOr<ProfileData> ParseProfileAnswer(std::string_view text) {
  return Parse<ProfileData>(text, [](const Json& json) -> absl::StatusOr<ProfileData> {
    if (json.contains("status")) return ToStatus(json.at("status"));
    return ToData(json.at("profile"));
  });
}

std::string CatalogueAnswer(const absl::StatusOr<MetricCatalogue>& answer) {
  return Dump(answer.ok() ? Json{{"catalogue", FromCatalogue(*answer)}}
                          : Json{{"status", FromStatus(answer.status())}});
}

absl::StatusOr<MetricCatalogue> ParseCatalogueAnswer(std::string_view text) {
  return Parse<MetricCatalogue>(text, [](const Json& json) -> absl::StatusOr<MetricCatalogue> {
    if (json.contains("status")) return ToStatus(json.at("status"));
    return ToCatalogue(json.at("catalogue"));
  });
}

}  // namespace qtipd
