#include "client/artifact_view.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/units.h"

namespace qtipd {
namespace {

Cell Number(double value, int significant) {
  return Cell(FormatNumber(value, significant), ExactNumber(value));
}

std::string JoinDevices(const v1::Artifact& artifact) {
  return absl::StrJoin(artifact.loaded_on(), " ");
}

void AddQuality(const v1::Quality& quality, Table& table) {
  const auto add = [&table](const char* name, double value) {
    table.AddRow({name, Cell(FormatError(value), ExactNumber(value))});
  };
  add("weight MSE", quality.weight_mse());
  add("relative weight MSE", quality.relative_weight_mse());
  add("output MSE", quality.output_mse());
  add("relative output MSE", quality.relative_output_mse());
  add("proxy error", quality.proxy_error());
}

}  // namespace

std::string OptionText(const v1::OptionValue& value) {
  switch (value.value_case()) {
    case v1::OptionValue::kInteger:
      return std::to_string(value.integer());
    case v1::OptionValue::kNumber:
      return ExactNumber(value.number());
    case v1::OptionValue::kBoolean:
      return value.boolean() ? "true" : "false";
    case v1::OptionValue::kText:
      return value.text();
    case v1::OptionValue::VALUE_NOT_SET:
      break;
  }
  return "";
}

std::string OptionText(const OptionMap& options, const std::string& name,
                       const std::string& absent) {
  const auto found = options.find(name);
  return found == options.end() ? absent : OptionText(found->second);
}

std::string OptionsText(const OptionMap& options) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : options) texts[name] = OptionText(value);
  return absl::StrJoin(texts, " ", absl::PairFormatter("="));
}

std::string FormatAndCode(const std::string& format, const OptionMap& options) {
  const std::string code = OptionText(options, "code");
  return code.empty() ? format : format + "/" + code;
}

std::string ShapeText(const v1::Shape& shape) {
  return absl::StrCat(shape.out_features(), "x", shape.in_features());
}

Cell QualityCell(bool has_quality, double value) {
  return has_quality ? Cell(FormatError(value), ExactNumber(value)) : Absent();
}

Table ArtifactTable(const std::vector<v1::Artifact>& artifacts) {
  Table table({{"name", "name"},
               {"format", "format"},
               {"bits", "bits", Align::kRight},
               {"shape", "shape", Align::kRight},
               {"bits/weight", "bits_per_weight", Align::kRight},
               {"size", "packed_bytes", Align::kRight},
               {"ratio", "compression_ratio", Align::kRight},
               {"rel W MSE", "relative_weight_mse", Align::kRight},
               {"quantized in", "quantize_seconds", Align::kRight},
               {"loaded on", "loaded_on"},
               {"created", "create_time"}});
  for (const v1::Artifact& artifact : artifacts) {
    const bool is_quantized = artifact.has_quality();
    table.AddRow(
        {artifact.name(), FormatAndCode(artifact.format(), artifact.format_options()),
         OptionText(artifact.format_options(), "bits"), ShapeText(artifact.shape()),
         Number(artifact.bits_per_weight(), 4),
         Cell(FormatBytes(artifact.packed_bytes()), std::to_string(artifact.packed_bytes())),
         Number(artifact.compression_ratio(), 3),
         QualityCell(is_quantized, artifact.quality().relative_weight_mse()),
         is_quantized ? Cell(FormatSeconds(artifact.quantize_seconds()),
                             ExactNumber(artifact.quantize_seconds()))
                      : Absent(),
         JoinDevices(artifact), FormatTime(artifact.create_time())});
  }
  return table;
}

Table ArtifactDetails(const v1::Artifact& artifact) {
  Table table({{"field", "field"}, {"value", "value"}});
  table.AddRow({"name", artifact.name()});
  table.AddRow({"sha256", artifact.sha256()});
  table.AddRow({"format", artifact.format()});
  table.AddRow({"options", OptionsText(artifact.format_options())});
  table.AddRow({"shape", ShapeText(artifact.shape())});
  table.AddRow({"bits per weight", Number(artifact.bits_per_weight(), 5)});
  table.AddRow({"packed size", Cell(FormatBytes(artifact.packed_bytes()),
                                    std::to_string(artifact.packed_bytes()))});
  table.AddRow({"compression ratio", Number(artifact.compression_ratio(), 4)});
  table.AddRow({"source", artifact.source()});
  table.AddRow({"seed", std::to_string(artifact.seed())});
  if (artifact.has_quality()) AddQuality(artifact.quality(), table);
  for (const v1::ScaleTrial& trial : artifact.scale_trials()) {
    table.AddRow({"tried: scale " + FormatNumber(trial.scale(), 4),
                  Cell(FormatError(trial.error()), ExactNumber(trial.error()))});
  }
  for (const v1::StepTime& step : artifact.quantize_steps()) {
    table.AddRow(
        {"time: " + step.name(), Cell(FormatSeconds(step.seconds()), ExactNumber(step.seconds()))});
  }
  if (artifact.quantize_seconds() > 0) {
    table.AddRow({"time: total", Cell(FormatSeconds(artifact.quantize_seconds()),
                                      ExactNumber(artifact.quantize_seconds()))});
  }
  table.AddRow({"quantized on", artifact.quantized_on()});
  table.AddRow({"loaded on", JoinDevices(artifact)});
  table.AddRow({"created", FormatTime(artifact.create_time())});
  return table;
}

}  // namespace qtipd
