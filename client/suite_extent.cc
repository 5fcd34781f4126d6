#include "client/suite_extent.h"

#include "absl/strings/str_cat.h"
#include "client/output.h"
#include "client/rpc_status.h"

namespace qtipd {

std::string PartialText(const SuiteExtent& extent) {
  if (!extent.is_partial()) return "";
  return absl::StrCat(
      "Partial: ", extent.finished, " of ", extent.total, " ", extent.unit, " were finished",
      extent.end.ok() ? " when this was written" : ", until " + ErrorLine(extent.end).substr(7));
}

nlohmann::ordered_json ExtentJson(const SuiteExtent& extent) {
  nlohmann::ordered_json json = {
      {"partial", extent.is_partial()}, {"finished", extent.finished}, {"total", extent.total}};
  if (!extent.end.ok()) json["endedBy"] = ToJson(ToRpcStatus(extent.end));
  return json;
}

}  // namespace qtipd
