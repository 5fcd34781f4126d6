#include "client/finding_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace qtipd {
namespace {

std::string Padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string Counted(int count, const std::string& what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

bool IsShown(const v1::Finding& finding, bool is_all) {
  return is_all || finding.severity() != v1::SEVERITY_OK;
}

const std::string& Place(const v1::Finding& finding) {
  static const std::string host = "host";
  return finding.device().empty() ? host : finding.device();
}

}  // namespace

std::string SeverityName(v1::Severity severity) {
  const std::string name = v1::Severity_Name(severity);
  const size_t underscore = name.find('_');
  return underscore == std::string::npos ? "UNKNOWN" : name.substr(underscore + 1);
}

std::string FindingText(const std::vector<v1::Finding>& findings, bool is_all) {
  size_t place_width = 0;
  size_t id_width = 0;
  int counts[v1::Severity_ARRAYSIZE] = {};
  for (const v1::Finding& finding : findings) {
    if (v1::Severity_IsValid(finding.severity())) ++counts[finding.severity()];
    if (!IsShown(finding, is_all)) continue;
    place_width = std::max(place_width, Place(finding).size());
    id_width = std::max(id_width, finding.id().size());
  }
  std::string text;
  for (const v1::Finding& finding : findings) {
    if (!IsShown(finding, is_all)) continue;
    absl::StrAppend(&text, Padded(SeverityName(finding.severity()), 7), "  ",
                    Padded(Place(finding), place_width), "  ", Padded(finding.id(), id_width), "  ",
                    finding.what());
    if (finding.severity() != v1::SEVERITY_OK) absl::StrAppend(&text, ": ", finding.why());
    absl::StrAppend(&text, "\n");
    if (!finding.cure_command().empty()) {
      absl::StrAppend(&text, "         ", finding.cure_command(), "\n");
    }
  }
  return absl::StrCat(text, Counted(counts[v1::SEVERITY_PROBLEM], "problem"), ", ",
                      Counted(counts[v1::SEVERITY_WARNING], "warning"), ", ",
                      Counted(counts[v1::SEVERITY_OK], "check"), " well\n");
}

Table FindingTable(const std::vector<v1::Finding>& findings, bool is_all) {
  Table table({{"severity", "severity"},
               {"device", "device"},
               {"check", "id"},
               {"finding", "what"},
               {"why", "why"},
               {"cure", "cure_command"}});
  for (const v1::Finding& finding : findings) {
    if (!IsShown(finding, is_all)) continue;
    table.AddRow({SeverityName(finding.severity()), Cell(Place(finding), finding.device()),
                  finding.id(), finding.what(), finding.why(), finding.cure_command()});
  }
  return table;
}

}  // namespace qtipd
