#include "server/engine/history/model_json.h"

#include <nlohmann/json.hpp>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

using Json = nlohmann::json;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::Status Damaged(const Json::exception& error) {
  return MakeError(absl::StatusCode::kDataLoss, "HISTORY_RECORD_DAMAGED",
                   std::string("a record of the history cannot be read: ") + error.what());
}

}  // namespace

std::string ModelToJson(const ModelRecord& model) {
  return Dump({{"name", model.name},
               {"format", model.format},
               {"config", model.config},
               {"absent_tensors", model.absent_tensors},
               {"source", model.source},
               {"create_time", model.create_time}});
}

absl::StatusOr<ModelRecord> ModelFromJson(const std::string& text) {
  ModelRecord model;
  try {
    const Json json = Json::parse(text);
    json.at("name").get_to(model.name);
    json.at("format").get_to(model.format);
    json.at("config").get_to(model.config);
    json.at("absent_tensors").get_to(model.absent_tensors);
    json.at("source").get_to(model.source);
    json.at("create_time").get_to(model.create_time);
  } catch (const Json::exception& error) {
    return Damaged(error);
  }
  return model;
}

std::string HessianToJson(const HessianRecord& hessian) {
  return Dump({{"name", hessian.name},
               {"sha256", hessian.sha256},
               {"in_features", hessian.in_features},
               {"tokens", hessian.tokens},
               {"mean_diagonal", hessian.mean_diagonal},
               {"stored_bytes", hessian.stored_bytes},
               {"sources", hessian.sources},
               {"create_time", hessian.create_time},
               {"update_time", hessian.update_time}});
}

absl::StatusOr<HessianRecord> HessianFromJson(const std::string& text) {
  HessianRecord hessian;
  try {
    const Json json = Json::parse(text);
    json.at("name").get_to(hessian.name);
    json.at("sha256").get_to(hessian.sha256);
    json.at("in_features").get_to(hessian.in_features);
    json.at("tokens").get_to(hessian.tokens);
    json.at("mean_diagonal").get_to(hessian.mean_diagonal);
    json.at("stored_bytes").get_to(hessian.stored_bytes);
    json.at("sources").get_to(hessian.sources);
    json.at("create_time").get_to(hessian.create_time);
    json.at("update_time").get_to(hessian.update_time);
  } catch (const Json::exception& error) {
    return Damaged(error);
  }
  return hessian;
}

}  // namespace qtipd
