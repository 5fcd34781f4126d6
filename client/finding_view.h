// The doctor's findings for people.
#ifndef QTIPD_CLIENT_FINDING_VIEW_H_
#define QTIPD_CLIENT_FINDING_VIEW_H_

#include <string>
#include <vector>

#include "client/output.h"
#include "qtipd/v1/doctor.pb.h"

namespace qtipd {

// "PROBLEM", "WARNING", "OK"
std::string SeverityName(v1::Severity severity);

// One line a finding, its cure indented below it, and how many there are of each kind. What is well
// is only counted, unless `is_all`.
std::string FindingText(const std::vector<v1::Finding>& findings, bool is_all);

// The same as rows, for CSV and Markdown.
Table FindingTable(const std::vector<v1::Finding>& findings, bool is_all);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_FINDING_VIEW_H_
