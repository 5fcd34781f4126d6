#include "kernels/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/mapped_file.h"
#include "nlohmann/json.hpp"

namespace qtipd {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

using Json = nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kDataAlignment = 64;
constexpr char kMetadataKey[] = "__metadata__";
// The header is an object of objects of arrays; anything deeper is not safetensors.
constexpr int kMaxDepth = 3;

// Makes the errors of one file.
class Complaint {
 public:
  explicit Complaint(std::string_view file) : file_(file) {}

  absl::Status operator()(std::string_view tensor, std::string_view got, std::string_view allowed,
                          absl::StatusCode code = absl::StatusCode::kInvalidArgument) const {
    const std::string what = "got " + std::string(got) + ", allowed " + std::string(allowed);
    std::string message = file_;
    if (!tensor.empty()) message += ": tensor " + std::string(tensor);
    std::map<std::string, std::string> metadata = {{"file", file_},
                                                   {"what", what},
                                                   {"got", std::string(got)},
                                                   {"allowed", std::string(allowed)}};
    if (!tensor.empty()) metadata["tensor"] = std::string(tensor);
    return MakeError(code, "SAFETENSORS_INVALID", message + ": " + what, std::move(metadata));
  }

 private:
  std::string file_;
};

std::string RangeText(uint64_t begin, uint64_t end) {
  return absl::StrCat("[", begin, ", ", end, "]");
}

// Length of the JSON header, checked against the file.
absl::StatusOr<uint64_t> HeaderLength(std::span<const std::byte> prefix, uint64_t file_bytes,
                                      const Complaint& complain) {
  if (file_bytes < kLengthBytes || prefix.size() < kLengthBytes) {
    return complain("", "a file of " + std::to_string(file_bytes) + " bytes", "at least 8",
                    absl::StatusCode::kDataLoss);
  }
  uint64_t length = 0;
  std::memcpy(&length, prefix.data(), kLengthBytes);
  if (length > kMaxSafetensorsHeaderBytes) {
    return complain("", "a header of " + std::to_string(length) + " bytes",
                    "at most " + std::to_string(kMaxSafetensorsHeaderBytes));
  }
  if (length > file_bytes - kLengthBytes) {
    return complain("", "a header of " + std::to_string(length) + " bytes",
                    "at most the " + std::to_string(file_bytes - kLengthBytes) + " that follow",
                    absl::StatusCode::kDataLoss);
  }
  return length;
}

absl::StatusOr<Json> ParseJson(std::string_view text, const Complaint& complain) {
  std::set<std::string> names;
  std::string duplicate;
  bool is_too_deep = false;
  const auto on_event = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::key && depth == 1 &&
        !names.insert(value.get<std::string>()).second) {
      duplicate = value.get<std::string>();
    }
    is_too_deep |= depth > kMaxDepth;
    return depth <= kMaxDepth;
  };
  Json json = Json::parse(text, on_event, /*allow_exceptions=*/false);
  if (is_too_deep || !json.is_object()) {
    return complain("", "a header that is not a JSON object of tensors", "a safetensors header");
  }
  if (!duplicate.empty()) return complain(duplicate, "the name twice", "once");
  return json;
}

absl::StatusOr<SafetensorsMetadata> ParseMetadata(const Json& json, const Complaint& complain) {
  SafetensorsMetadata metadata;
  if (!json.is_object()) return complain("", "__metadata__ of another type", "an object of texts");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      return complain("", "__metadata__ entry " + key + " of another type", "a text");
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// Bytes of a tensor, or nothing where that overflows.
std::optional<uint64_t> CheckedBytes(DType dtype, const std::vector<int64_t>& shape) {
  uint64_t bytes = DTypeSize(dtype);
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) return std::nullopt;
  }
  return bytes;
}

absl::StatusOr<std::vector<int64_t>> ParseShape(const std::string& name, const Json& json,
                                                const Complaint& complain) {
  const auto it = json.find("shape");
  if (it == json.end() || !it->is_array()) return complain(name, "no shape", "an array");
  std::vector<int64_t> shape;
  for (const Json& extent : *it) {
    if (!extent.is_number_unsigned() ||
        extent.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) {
      return complain(name, "an extent that is no size", "0 to 2^63 - 1");
    }
    shape.push_back(static_cast<int64_t>(extent.get<uint64_t>()));
  }
  return shape;
}

absl::StatusOr<std::pair<uint64_t, uint64_t>> ParseOffsets(const std::string& name,
                                                           const Json& json, uint64_t data_bytes,
                                                           const Complaint& complain) {
  const auto it = json.find("data_offsets");
  if (it == json.end() || !it->is_array() || it->size() != 2 || !(*it)[0].is_number_unsigned() ||
      !(*it)[1].is_number_unsigned()) {
    return complain(name, "no data_offsets", "[begin, end]");
  }
  const auto begin = (*it)[0].get<uint64_t>();
  const auto end = (*it)[1].get<uint64_t>();
  if (begin > end) return complain(name, "data_offsets " + RangeText(begin, end), "begin <= end");
  if (end > data_bytes) {
    return complain(name, "data_offsets " + RangeText(begin, end),
                    "within the " + std::to_string(data_bytes) + " bytes of data in the file",
                    absl::StatusCode::kDataLoss);
  }
  return std::pair(begin, end);
}

absl::StatusOr<TensorEntry> ParseEntry(const std::string& name, const Json& json,
                                       uint64_t data_begin, uint64_t data_bytes,
                                       const Complaint& complain) {
  if (!json.is_object()) return complain(name, "no object", "dtype, shape and data_offsets");
  const auto dtype_field = json.find("dtype");
  if (dtype_field == json.end() || !dtype_field->is_string()) {
    return complain(name, "no dtype", "a name such as F16");
  }
  const std::string dtype_name = dtype_field->get<std::string>();
  const std::optional<DType> dtype = ParseDType(dtype_name);
  if (!dtype) {
    return complain(name, "dtype " + dtype_name,
                    "BOOL, U8, I8, U16, I16, U32, I32, U64, I64, F16, BF16, F32, F64");
  }
  TensorEntry entry;
  entry.dtype = *dtype;
  QTIPD_ASSIGN_OR_RETURN(entry.shape, ParseShape(name, json, complain));
  QTIPD_ASSIGN_OR_RETURN(const auto range, ParseOffsets(name, json, data_bytes, complain));
  const std::optional<uint64_t> bytes = CheckedBytes(entry.dtype, entry.shape);
  if (!bytes || *bytes != range.second - range.first) {
    return complain(name, std::to_string(range.second - range.first) + " bytes",
                    bytes ? "the " + std::to_string(*bytes) + " of its shape and dtype"
                          : "a shape of fewer than 2^64 bytes");
  }
  entry.begin = data_begin + range.first;
  entry.end = data_begin + range.second;
  return entry;
}

// The entries must cover [data_begin, file_bytes) exactly, as the reference implementation demands.
absl::Status CheckCoverage(const std::map<std::string, TensorEntry>& tensors, uint64_t data_begin,
                           uint64_t file_bytes, const Complaint& complain) {
  std::vector<std::pair<std::pair<uint64_t, uint64_t>, const std::string*>> ranges;
  for (const auto& [name, entry] : tensors) ranges.push_back({{entry.begin, entry.end}, &name});
  std::sort(ranges.begin(), ranges.end());
  uint64_t covered = data_begin;
  for (const auto& [range, name] : ranges) {
    if (range.first != covered) {
      return complain(*name, "data beginning at byte " + std::to_string(range.first),
                      "byte " + std::to_string(covered) + ", where the tensor before it ends");
    }
    covered = range.second;
  }
  if (covered != file_bytes) {
    return complain("", std::to_string(file_bytes - covered) + " bytes after the last tensor",
                    "none");
  }
  return absl::OkStatus();
}

std::string HeaderText(const std::vector<TensorDescription>& order,
                       const SafetensorsMetadata& metadata) {
  Json json = Json::object();
  if (!metadata.empty()) json[kMetadataKey] = metadata;
  uint64_t offset = 0;
  for (const TensorDescription& tensor : order) {
    const uint64_t end = offset + CheckedBytes(tensor.dtype, tensor.shape).value_or(0);
    json[tensor.name] = {{"dtype", std::string(DTypeName(tensor.dtype))},
                         {"shape", tensor.shape},
                         {"data_offsets", {offset, end}}};
    offset = end;
  }
  // Invalid UTF-8 is replaced rather than thrown at us.
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  const uint64_t total = kLengthBytes + text.size();
  text.append((kDataAlignment - total % kDataAlignment) % kDataAlignment, ' ');
  return text;
}

absl::Status CheckForWriting(const TensorMap& tensors) {
  const Complaint complain("tensors to write");
  for (const auto& [name, tensor] : tensors) {
    const bool has_negative = std::any_of(tensor.shape().begin(), tensor.shape().end(),
                                          [](int64_t extent) { return extent < 0; });
    const auto bytes = has_negative ? std::nullopt : CheckedBytes(tensor.dtype(), tensor.shape());
    if (name == kMetadataKey || !bytes || *bytes != tensor.bytes().size()) {
      return complain(
          name, std::to_string(tensor.bytes().size()) + " bytes",
          "those of shape " + tensor.ShapeText() + " and another name than " + kMetadataKey);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::span<const std::byte> prefix,
                                                         uint64_t file_bytes,
                                                         std::string_view display_name) {
  const Complaint complain(display_name);
  QTIPD_ASSIGN_OR_RETURN(const uint64_t length, HeaderLength(prefix, file_bytes, complain));
  const uint64_t data_begin = kLengthBytes + length;
  if (prefix.size() < data_begin) {
    return complain("", std::to_string(prefix.size()) + " bytes of header",
                    std::to_string(data_begin), absl::StatusCode::kDataLoss);
  }
  const std::string_view text(reinterpret_cast<const char*>(prefix.data()) + kLengthBytes, length);
  QTIPD_ASSIGN_OR_RETURN(const Json json, ParseJson(text, complain));
  SafetensorsHeader header;
  for (const auto& [name, value] : json.items()) {
    if (name == kMetadataKey) {
      QTIPD_ASSIGN_OR_RETURN(header.metadata, ParseMetadata(value, complain));
      continue;
    }
    QTIPD_ASSIGN_OR_RETURN(header.tensors[name],
                           ParseEntry(name, value, data_begin, file_bytes - data_begin, complain));
  }
  QTIPD_RETURN_IF_ERROR(CheckCoverage(header.tensors, data_begin, file_bytes, complain));
  return header;
}

absl::StatusOr<SafetensorsFile> ParseSafetensors(std::span<const std::byte> bytes,
                                                 std::shared_ptr<const void> owner,
                                                 std::string_view display_name) {
  QTIPD_ASSIGN_OR_RETURN(SafetensorsHeader header,
                         ParseSafetensorsHeader(bytes, bytes.size(), display_name));
  SafetensorsFile file;
  file.metadata = std::move(header.metadata);
  for (auto& [name, entry] : header.tensors) {
    file.tensors[name] = HostTensor(entry.dtype, std::move(entry.shape), owner,
                                    bytes.subspan(entry.begin, entry.end - entry.begin));
  }
  return file;
}

absl::StatusOr<SafetensorsFile> ReadSafetensors(const std::string& path) {
  QTIPD_ASSIGN_OR_RETURN(const ReadOnlyFile file, ReadOnlyFile::Open(path));
  QTIPD_ASSIGN_OR_RETURN(const ReadOnlyFile::Mapping mapping, file.Map());
  return ParseSafetensors(mapping.bytes, mapping.owner, path);
}

absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(const std::string& path) {
  QTIPD_ASSIGN_OR_RETURN(const ReadOnlyFile file, ReadOnlyFile::Open(path));
  std::vector<std::byte> prefix(std::min(file.bytes(), kLengthBytes));
  QTIPD_RETURN_IF_ERROR(file.ReadAt(0, prefix));
  QTIPD_ASSIGN_OR_RETURN(const uint64_t length,
                         HeaderLength(prefix, file.bytes(), Complaint(path)));
  prefix.resize(kLengthBytes + length);
  QTIPD_RETURN_IF_ERROR(file.ReadAt(0, prefix));
  return ParseSafetensorsHeader(prefix, file.bytes(), path);
}

absl::Status WriteSafetensorsHeader(const std::vector<TensorDescription>& tensors,
                                    const SafetensorsMetadata& metadata, const ByteSink& sink) {
  const std::string header = HeaderText(tensors, metadata);
  const uint64_t length = header.size();
  QTIPD_RETURN_IF_ERROR(sink(std::as_bytes(std::span(&length, 1))));
  return sink(std::as_bytes(std::span(header)));
}

absl::Status WriteSafetensors(const TensorMap& tensors, const SafetensorsMetadata& metadata,
                              const ByteSink& sink) {
  QTIPD_RETURN_IF_ERROR(CheckForWriting(tensors));
  std::vector<const TensorMap::value_type*> order;
  for (const auto& item : tensors) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return DTypeSize(a->second.dtype()) > DTypeSize(b->second.dtype());
  });
  std::vector<TensorDescription> descriptions;
  for (const auto* item : order) {
    descriptions.push_back({item->first, item->second.dtype(), item->second.shape()});
  }
  QTIPD_RETURN_IF_ERROR(WriteSafetensorsHeader(descriptions, metadata, sink));
  for (const auto* item : order) {
    if (!item->second.bytes().empty()) QTIPD_RETURN_IF_ERROR(sink(item->second.bytes()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::byte>> BuildSafetensors(const TensorMap& tensors,
                                                        const SafetensorsMetadata& metadata) {
  std::vector<std::byte> file;
  QTIPD_RETURN_IF_ERROR(WriteSafetensors(tensors, metadata, [&](std::span<const std::byte> bytes) {
    file.insert(file.end(), bytes.begin(), bytes.end());
    return absl::OkStatus();
  }));
  return file;
}

absl::StatusOr<HostTensor> FindTensor(const TensorMap& tensors, std::string_view name,
                                      std::string_view display_name) {
  const auto it = tensors.find(std::string(name));
  if (it != tensors.end()) return it->second;
  std::vector<std::string> known;
  for (const auto& item : tensors) known.push_back(item.first);
  std::vector<std::string> offered = NearestNames(name, known);
  if (offered.empty())
    offered.assign(known.begin(), known.begin() + std::min<size_t>(3, known.size()));
  std::string allowed;
  for (const std::string& candidate : offered) allowed += (allowed.empty() ? "" : ", ") + candidate;
  const size_t others = known.size() - offered.size();
  if (others > 0) allowed += " or " + std::to_string(others) + " more";
  return FieldError(absl::StatusCode::kNotFound, "TENSOR_NOT_FOUND",
                    "tensor of " + std::string(display_name), name,
                    allowed.empty() ? "none: the file holds no tensors" : allowed);
}

}  // namespace qtipd
