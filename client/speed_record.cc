#include "client/speed_record.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/artifact_view.h"
#include "client/output.h"
#include "client/rpc_status.h"
#include "google/protobuf/util/json_util.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

using Json = nlohmann::ordered_json;

absl::Status NotResumable(const std::string& part, const std::string& got,
                          const std::string& allowed) {
  return FieldError(absl::StatusCode::kFailedPrecondition, "SUITE_NOT_RESUMABLE",
                    "--resume: " + part + " of runs.json", got,
                    allowed + "; else without --resume, or another --out");
}

Json Conditions(const SpeedRecord& record) {
  return {{"suite", record.suite.name},
          {"deviceName", record.device.name()},
          {"daemonCommit", record.daemon_commit},
          {"seed", record.suite.seed},
          {"options", OptionsText(record.suite.options)},
          {"repeats", record.suite.repeats},
          {"benchmark", ToJson(record.suite.benchmark)}};
}

Json SharesJson(const SpeedResult& result) {
  Json shares = Json::array();
  for (const auto& [key, share] : result.shares) {
    shares.push_back({{"path", key.first},
                      {"batch", key.second},
                      {"compute", share.compute},
                      {"memory", share.memory}});
  }
  return shares;
}

// `first_run` is the place of its first run among all.
Json CaseJson(const SpeedResult& result, size_t first_run) {
  std::vector<size_t> places(result.runs.size());
  for (size_t i = 0; i < places.size(); ++i) places[i] = first_run + i;
  Json json = {{"case", SpeedCaseText(result.speed_case)},
               {"batches", result.speed_case.batches},
               {"finished", result.is_finished},
               {"shares", SharesJson(result)},
               {"runs", places}};
  if (!result.artifact.name().empty()) json["artifact"] = ToJson(result.artifact);
  if (!result.status.ok()) json["error"] = ToJson(ToRpcStatus(result.status));
  return json;
}

// "benchmark.paths.0" of "/benchmark/paths/0".
std::string PartName(const std::string& pointer) {
  return absl::StrReplaceAll(pointer.substr(1), {{"/", "."}});
}

absl::Status CheckConditions(const Json& theirs, const Json& ours) {
  const Json flat_theirs = theirs.flatten();
  const Json flat_ours = ours.flatten();
  const auto text_of = [](const Json& flat, const std::string& part) {
    return flat.contains(part) ? flat.at(part).dump() : "nothing";
  };
  for (const Json* side : {&flat_ours, &flat_theirs}) {
    for (const auto& [part, value] : side->items()) {
      const std::string got = text_of(flat_theirs, part);
      const std::string allowed = text_of(flat_ours, part);
      if (got != allowed) return NotResumable(PartName(part), got, allowed);
    }
  }
  return absl::OkStatus();
}

template <typename Message>
absl::StatusOr<Message> ReadMessage(const Json& json) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(json.dump(), &message);
  if (status.ok()) return message;
  return NotResumable(Message::descriptor()->name(), std::string(status.message()),
                      "what this qtipctl writes");
}

absl::Status TakeCase(const Json& json, const Json& runs, SpeedResult& result) {
  QTIPD_ASSIGN_OR_RETURN(result.artifact, ReadMessage<v1::Artifact>(json.at("artifact")));
  for (const Json& place : json.at("runs")) {
    QTIPD_ASSIGN_OR_RETURN(v1::Run run, ReadMessage<v1::Run>(runs.at(place.get<size_t>())));
    result.runs.push_back(std::move(run));
  }
  for (const Json& share : json.at("shares")) {
    const std::pair key(share.at("path").get<std::string>(), share.at("batch").get<int64_t>());
    result.shares[key] = {.compute = share.at("compute"), .memory = share.at("memory")};
  }
  result.is_finished = json.at("finished").get<bool>() && !json.contains("error");
  return absl::OkStatus();
}

absl::Status TakeCases(const Json& earlier, SpeedRecord& record) {
  for (const Json& json : earlier.at("cases")) {
    if (json.at("runs").empty()) continue;
    const std::string text = json.at("case");
    const auto result = std::ranges::find_if(record.results, [&](const SpeedResult& ours) {
      return SpeedCaseText(ours.speed_case) == text;
    });
    if (result == record.results.end()) {
      return NotResumable("case", "'" + text + "'", "the cases that are asked for");
    }
    const auto batches = json.at("batches").get<std::vector<int64_t>>();
    if (batches != result->speed_case.batches) {
      return NotResumable("batches of '" + text + "'", absl::StrJoin(batches, ","),
                          absl::StrJoin(result->speed_case.batches, ","));
    }
    QTIPD_RETURN_IF_ERROR(TakeCase(json, earlier.at("runs"), *result));
  }
  return absl::OkStatus();
}

}  // namespace

SpeedRecord NewSpeedRecord(const Suite& suite, const std::vector<SpeedCase>& cases,
                           const v1::Device& device, const std::string& daemon_commit) {
  SpeedRecord record{.suite = suite, .device = device, .daemon_commit = daemon_commit};
  for (const SpeedCase& speed_case : cases) record.results.emplace_back().speed_case = speed_case;
  return record;
}

SuiteExtent ExtentOf(const SpeedRecord& record) {
  return {.finished = std::ranges::count_if(record.results, &SpeedResult::is_finished),
          .total = std::ssize(record.results),
          .end = record.end};
}

nlohmann::ordered_json ToJson(const SpeedRecord& record) {
  Json cases = Json::array();
  Json runs = Json::array();
  for (const SpeedResult& result : record.results) {
    cases.push_back(CaseJson(result, runs.size()));
    for (const v1::Run& run : result.runs) runs.push_back(ToJson(run));
  }
  Json json = {{"suite", record.suite.name}};
  json.update(ExtentJson(ExtentOf(record)));
  json["device"] = ToJson(record.device);
  json["conditions"] = Conditions(record);
  json["cases"] = std::move(cases);
  json["runs"] = std::move(runs);
  return json;
}

absl::Status TakeFinished(const std::string& earlier, SpeedRecord& record) {
  try {
    const Json json = Json::parse(earlier);
    QTIPD_RETURN_IF_ERROR(CheckConditions(json.at("conditions"), Conditions(record)));
    return TakeCases(json, record);
  } catch (const nlohmann::json::exception& error) {
    return NotResumable("text", error.what(), "what this qtipctl writes");
  }
}

}  // namespace qtipd
