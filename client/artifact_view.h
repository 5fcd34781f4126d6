// Artefacts as tables.
#ifndef QTIPD_CLIENT_ARTIFACT_VIEW_H_
#define QTIPD_CLIENT_ARTIFACT_VIEW_H_

#include <string>
#include <vector>

#include "client/output.h"
#include "google/protobuf/map.h"
#include "qtipd/v1/artifact.pb.h"

namespace qtipd {

using OptionMap = google::protobuf::Map<std::string, v1::OptionValue>;

// "2", "0.9", "true", "hyb"
std::string OptionText(const v1::OptionValue& value);
// The option's text, or `absent` where the format has none of that name.
std::string OptionText(const OptionMap& options, const std::string& name,
                       const std::string& absent = "");
// "bits=2 code=hyb ...", sorted by name.
std::string OptionsText(const OptionMap& options);
// "qtip/hyb", or the format alone where it has no codes.
std::string FormatAndCode(const std::string& format, const OptionMap& options);
// "4096x4096"
std::string ShapeText(const v1::Shape& shape);

// One row an artefact.
Table ArtifactTable(const std::vector<v1::Artifact>& artifacts);
// Everything about one artefact, one row a fact.
Table ArtifactDetails(const v1::Artifact& artifact);

// A quality measure, absent for imports.
Cell QualityCell(bool has_quality, double value);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_ARTIFACT_VIEW_H_
