#include "client/suite_files.h"

#include <cctype>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include "client/output.h"
#include "client/run_view.h"
#include "client/units.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/atomic_file.h"

namespace qtipd {
namespace {

using Fields = std::vector<std::string>;

// A column: its header, and the name of its step, phase or difference.
struct StepColumn {
  const char* header;
  const char* step;
};
constexpr StepColumn kQuantizeSteps[] = {{"preprocess_s", "preprocess"},
                                         {"block_ldl_s", "block_ldl"},
                                         {"viterbi_s", "viterbi"},
                                         {"postprocess_s", "postprocess"}};
constexpr StepColumn kFusedSteps[] = {
    {"input_rot_ms", "input_rotation"},        {"fused_decode_ms", "fused_decode"},
    {"packed_read_ms", "packed_read"},         {"decode_overhead_ms", "decode_overhead"},
    {"output_rot_ms", "output_rotation"},      {"output_scale_ms", "output_scale"},
    {"kernel_codebook_ms", "kernel_codebook"}, {"kernel_loop_ms", "kernel_loop"},
    {"kernel_reduce_ms", "kernel_reduce"},     {"kernel_total_ms", "kernel_total"}};

std::string Milliseconds(double seconds) { return FormatNumber(seconds * 1e3, 6); }

std::string QuantizeSeconds(const v1::Artifact& artifact, const std::string& step) {
  for (const v1::StepTime& time : artifact.quantize_steps()) {
    if (time.name() == step) return FormatNumber(time.seconds(), 6);
  }
  return "";
}

// "0" for a step that was too short to tell from nothing.
std::string StepMilliseconds(const v1::BenchmarkResult& result, const std::string& step) {
  const v1::StepLatency* latency = FindStep(result, step);
  return latency == nullptr ? "" : Milliseconds(latency->median_seconds());
}

std::string KernelMilliseconds(const v1::BenchmarkResult& result, const std::string& phase) {
  if (!result.has_phases()) return "";
  if (phase == "total") return Milliseconds(result.phases().kernel_seconds());
  for (const v1::Phase& known : result.phases().phases()) {
    if (known.name() == phase) return Milliseconds(known.seconds());
  }
  return "";
}

// What the fused step takes beyond a bare read of its weights; below 0 where it is faster, which a
// step beside others can be.
std::string OverheadMilliseconds(const v1::BenchmarkResult& result) {
  const v1::StepLatency* latency = FindStep(result, "fused_decode");
  if (!result.has_packed_read_seconds() || latency == nullptr) return "";
  if (latency->median_seconds() <= 0) return "";
  return Milliseconds(latency->median_seconds() - result.packed_read_seconds());
}

// The value of a column of fused/results.csv.
std::string ColumnMilliseconds(const v1::BenchmarkResult& result, const std::string& name) {
  constexpr std::string_view kKernel = "kernel_";
  if (name.starts_with(kKernel)) return KernelMilliseconds(result, name.substr(kKernel.size()));
  if (name == "decode_overhead") return OverheadMilliseconds(result);
  if (name == "packed_read") {
    return result.has_packed_read_seconds() ? Milliseconds(result.packed_read_seconds()) : "";
  }
  return StepMilliseconds(result, name);
}

const v1::BenchmarkResult* FindResult(const v1::Run& run, const std::string& path) {
  for (const v1::BenchmarkResult& result : run.results()) {
    if (result.path() == path && !result.has_error()) return &result;
  }
  return nullptr;
}

// config,w_mse,out_mse,w_bytes,ratio,ms,gb_s; a path that was not measured leaves its cells empty.
Fields ResultFields(const std::string& config, const v1::Quality* quality,
                    const v1::BenchmarkResult* result) {
  Fields fields = {config, quality ? ExactNumber(quality->weight_mse()) : "",
                   quality ? ExactNumber(quality->output_mse()) : ""};
  if (result == nullptr) {
    fields.insert(fields.end(), 4, "");
    return fields;
  }
  fields.push_back(std::to_string(result->weight_bytes()));
  fields.push_back(FormatNumber(result->compression_ratio(), 5));
  fields.push_back(Milliseconds(result->latency().median()));
  fields.push_back(FormatNumber(result->effective_bytes_per_second() / 1e9, 6));
  return fields;
}

// "FP16" of "F16".
std::string BaselineName(const v1::Device& device) {
  const std::string& dtype = device.compute_dtype();
  return dtype.starts_with('F') ? "FP" + dtype.substr(1) : dtype;
}

std::string ResultsCsv(const SuiteResults& results, const std::string& path,
                       std::span<const StepColumn> steps) {
  Fields header = {"config", "w_mse", "out_mse", "w_bytes", "ratio", "ms", "gb_s"};
  for (const StepColumn& column : steps) header.push_back(column.header);
  std::string csv = CsvLine(header);
  const v1::BenchmarkResult* dense =
      results.runs.empty() ? nullptr : FindResult(results.runs[0], "dense");
  Fields baseline = ResultFields(BaselineName(results.device), nullptr, dense);
  baseline.insert(baseline.end(), steps.size(), "");
  csv += CsvLine(baseline);
  for (size_t i = 0; i < results.bits.size(); ++i) {
    const v1::Run run = i < results.runs.size() ? results.runs[i] : v1::Run();
    const v1::BenchmarkResult* result = FindResult(run, path);
    Fields fields = ResultFields("K=" + std::to_string(results.bits[i]),
                                 run.has_quality() ? &run.quality() : nullptr, result);
    for (const StepColumn& column : steps) {
      fields.push_back(result ? ColumnMilliseconds(*result, column.step) : "");
    }
    csv += CsvLine(fields);
  }
  return csv;
}

absl::Status WriteWhole(const std::filesystem::path& path, const std::string& text) {
  QTIPD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path.parent_path()));
  QTIPD_RETURN_IF_ERROR(file.Write(std::as_bytes(std::span(text))));
  return file.Commit(path.filename());
}

}  // namespace

std::string QuantTimingsCsv(const SuiteResults& results) {
  Fields header = {"K", "total_s"};
  for (const StepColumn& column : kQuantizeSteps) header.push_back(column.header);
  std::string csv = CsvLine(header);
  for (size_t i = 0; i < results.bits.size(); ++i) {
    const v1::Artifact artifact =
        i < results.artifacts.size() ? results.artifacts[i] : v1::Artifact();
    Fields fields = {
        std::to_string(results.bits[i]),
        artifact.quantize_seconds() > 0 ? FormatNumber(artifact.quantize_seconds(), 6) : ""};
    for (const StepColumn& column : kQuantizeSteps) {
      fields.push_back(QuantizeSeconds(artifact, column.step));
    }
    csv += CsvLine(fields);
  }
  return csv;
}

std::string DequantCsv(const SuiteResults& results) { return ResultsCsv(results, "dequant", {}); }

std::string FusedCsv(const SuiteResults& results) {
  return ResultsCsv(results, "fused", kFusedSteps);
}

std::string FolderName(const std::string& device_name) {
  std::string folder;
  for (char c : device_name) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-';
    if (is_plain) {
      folder += c;
    } else if (!folder.empty() && folder.back() != '_') {
      folder += '_';
    }
  }
  while (folder.ends_with('_') || folder.ends_with('.')) folder.pop_back();
  return folder.empty() ? "device" : folder;
}

absl::Status WriteTextFile(const std::filesystem::path& path, const std::string& text) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  const absl::Status written = WriteWhole(path, text);
  if (!written.ok()) {
    if (absl::IsResourceExhausted(written)) return written;
    return FieldError(absl::StatusCode::kFailedPrecondition, "FILE_NOT_WRITABLE", "--out",
                      path.string(), "a directory that can be written");
  }
  // A temporary file's mode is for its owner alone.
  constexpr fs::perms kMode = fs::perms::owner_read | fs::perms::owner_write |
                              fs::perms::group_read | fs::perms::others_read;
  fs::permissions(path, kMode, error);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> WriteSuiteFiles(const SuiteResults& results,
                                                         const std::string& directory) {
  const std::filesystem::path root =
      std::filesystem::path(directory) / FolderName(results.device.name());
  std::vector<std::string> written;
  const std::pair<const char*, std::string> files[] = {
      {"quant_timings.csv", QuantTimingsCsv(results)},
      {"dequant/results.csv", DequantCsv(results)},
      {"fused/results.csv", FusedCsv(results)}};
  for (const auto& [name, text] : files) {
    QTIPD_RETURN_IF_ERROR(WriteTextFile(root / name, text));
    written.push_back((root / name).string());
  }
  return written;
}

}  // namespace qtipd
