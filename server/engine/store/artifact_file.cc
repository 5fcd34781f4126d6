#include "server/engine/store/artifact_file.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/mapped_file.h"
#include "kernels/io/safetensors.h"
#include "server/base/atomic_file.h"
#include "server/base/sha256.h"
#include "server/engine/history/record_json.h"
#include "server/engine/store/stored_files.h"

namespace qtipd {
namespace {

// Raised whenever a reader of the old version would misread the file.
constexpr char kFormatVersion[] = "1";

// Written between two looks at the progress.
constexpr size_t kPieceBytes = size_t{4} << 20;

constexpr char kVersionKey[] = "qtipd.format_version";
constexpr char kFormatKey[] = "qtipd.format";
constexpr char kOptionsKey[] = "qtipd.options";
constexpr char kSeedKey[] = "qtipd.seed";
constexpr char kOutKey[] = "qtipd.out_features";
constexpr char kInKey[] = "qtipd.in_features";

SafetensorsMetadata MakeMetadata(const PackedLayer& layer, uint64_t seed) {
  return {
      {"format", "pt"},  // what Python loaders of checkpoints insist on
      {kVersionKey, kFormatVersion},
      {kFormatKey, layer.format},
      {kOptionsKey, OptionsToJson(layer.options)},
      {kSeedKey, std::to_string(seed)},
      {kOutKey, std::to_string(layer.shape.out_features)},
      {kInKey, std::to_string(layer.shape.in_features)},
  };
}

absl::Status Damaged(const std::string& path, std::string_view what) {
  return MakeError(absl::StatusCode::kDataLoss, "ARTIFACT_FILE_DAMAGED",
                   "artifact file " + path + ": " + std::string(what),
                   {{"path", path}, {"what", std::string(what)}});
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

absl::StatusOr<std::string> Get(const SafetensorsMetadata& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  if (found != metadata.end()) return found->second;
  return absl::DataLossError("its metadata has no " + key);
}

absl::StatusOr<int64_t> GetInt(const SafetensorsMetadata& metadata, const std::string& key) {
  QTIPD_ASSIGN_OR_RETURN(const std::string text, Get(metadata, key));
  int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec == std::errc()) return value;
  return absl::DataLossError("its metadata has " + key + " = " + text);
}

absl::StatusOr<PackedLayer> Interpret(SafetensorsFile file, const Registry& registry) {
  QTIPD_ASSIGN_OR_RETURN(const std::string version, Get(file.metadata, kVersionKey));
  if (version != kFormatVersion) {
    return absl::DataLossError("its format version is " + version + ", this qtipd reads " +
                               kFormatVersion);
  }
  PackedLayer layer;
  QTIPD_ASSIGN_OR_RETURN(layer.format, Get(file.metadata, kFormatKey));
  QTIPD_ASSIGN_OR_RETURN(const std::string options, Get(file.metadata, kOptionsKey));
  QTIPD_ASSIGN_OR_RETURN(layer.options, OptionsFromJson(options));
  QTIPD_ASSIGN_OR_RETURN(layer.shape.out_features, GetInt(file.metadata, kOutKey));
  QTIPD_ASSIGN_OR_RETURN(layer.shape.in_features, GetInt(file.metadata, kInKey));
  layer.tensors = std::move(file.tensors);
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format, registry.FindFormat(layer.format));
  // Options that a later version added get their defaults.
  QTIPD_ASSIGN_OR_RETURN(layer.options, CheckOptions(format->schema(), layer.options.values()));
  QTIPD_RETURN_IF_ERROR(format->Validate(layer));
  return layer;
}

// To the file and into the hash. Errors: those of Write; Cancelled.
absl::Status WritePieces(std::span<const std::byte> bytes, const Progress& progress, Sha256& hash,
                         AtomicFile& file) {
  while (!bytes.empty()) {
    if (progress.IsCancelled()) return absl::CancelledError("cancelled while writing");
    const auto piece = bytes.first(std::min(bytes.size(), kPieceBytes));
    hash.Update(piece);
    QTIPD_RETURN_IF_ERROR(file.Write(piece));
    bytes = bytes.subspan(piece.size());
  }
  return absl::OkStatus();
}

}  // namespace

std::string ArtifactPath(const std::string& directory, const std::string& sha256) {
  return directory + "/" + StoredFileName(sha256);
}

absl::Status StagedArtifact::Commit() { return file.Commit(StoredFileName(sha256)); }

absl::Status StagedArtifact::CommitUnsynced() {
  return file.CommitUnsynced(StoredFileName(sha256));
}

absl::StatusOr<StagedArtifact> StageArtifactFile(const std::string& directory,
                                                 const PackedLayer& layer, uint64_t seed,
                                                 const Progress& progress) {
  QTIPD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(directory));
  Sha256 hash;
  QTIPD_RETURN_IF_ERROR(WriteSafetensors(
      layer.tensors, MakeMetadata(layer, seed),
      [&](std::span<const std::byte> bytes) { return WritePieces(bytes, progress, hash, file); }));
  QTIPD_RETURN_IF_ERROR(file.Close());
  return StagedArtifact{std::move(file), hash.Finish()};
}

absl::StatusOr<PackedLayer> ReadArtifactFile(const std::string& directory,
                                             const std::string& sha256, const Registry& registry) {
  const std::string path = ArtifactPath(directory, sha256);
  absl::StatusOr<ReadOnlyFile> file = ReadOnlyFile::Open(path);
  if (!file.ok()) return Damaged(path, Message(file.status()));
  QTIPD_ASSIGN_OR_RETURN(const ReadOnlyFile::Mapping mapping, file->Map());
  const std::string found = Sha256Hex(mapping.bytes);
  if (found != sha256) return Damaged(path, "its SHA-256 is " + found);
  absl::StatusOr<SafetensorsFile> parsed = ParseSafetensors(mapping.bytes, mapping.owner, path);
  if (!parsed.ok()) return Damaged(path, Message(parsed.status()));
  absl::StatusOr<PackedLayer> layer = Interpret(*std::move(parsed), registry);
  if (!layer.ok()) return Damaged(path, Message(layer.status()));
  return layer;
}

}  // namespace qtipd
