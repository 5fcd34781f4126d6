#include "server/engine/store/artifact_store.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/atomic_file.h"
#include "server/base/log_text.h"
#include "server/engine/history/name_taken.h"
#include "server/engine/store/model_store.h"
#include "server/engine/store/stored_files.h"
#include "spdlog/spdlog.h"

namespace qtipd {
namespace {

constexpr size_t kMaxNameLength = 200;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '/' || c == '-';
}

// What a recipe is made of, as text by name.
std::map<std::string, std::string> RecipeFields(const ArtifactRecord& record) {
  std::map<std::string, std::string> fields = {
      {"format", record.format},
      {"shape",
       std::to_string(record.shape.out_features) + "x" + std::to_string(record.shape.in_features)},
      {"seed", std::to_string(record.seed)},
      {"source", record.source}};
  for (const auto& [name, value] : record.options.values()) fields[name] = OptionText(value);
  return fields;
}

// Names the first field of the two recipes that differs, an option before the source.
absl::Status RecipeDiffers(const ArtifactRecord& existing, const ArtifactRecord& wanted) {
  const std::string allowed = ", as in artifact " + existing.name + ", or a free name";
  const std::map<std::string, std::string> before = RecipeFields(existing);
  std::string field = "source";
  std::string got = wanted.source + " with other content";
  for (const auto& [name, value] : RecipeFields(wanted)) {
    const auto found = before.find(name);
    if (found != before.end() && found->second == value) continue;
    field = name;
    got = value;
    if (name != "source") break;
  }
  const auto had = before.find(field);
  return FieldError(absl::StatusCode::kAlreadyExists, "ARTIFACT_RECIPE_DIFFERS", field, got,
                    (had == before.end() ? "none" : had->second) + allowed);
}

uint64_t StoredBytes(const PackedLayer& layer) {
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : layer.tensors) bytes += tensor.bytes().size();
  return bytes;
}

void Describe(const PackedLayer& layer, ArtifactRecord& record) {
  const double weights =
      static_cast<double>(layer.shape.out_features) * static_cast<double>(layer.shape.in_features);
  record.format = layer.format;
  record.options = layer.options;
  record.shape = layer.shape;
  record.packed_bytes = StoredBytes(layer);
  record.bits_per_weight = 8 * static_cast<double>(record.packed_bytes) / weights;
  record.compression_ratio = 16 / record.bits_per_weight;
}

}  // namespace

absl::Status CheckArtifactName(const std::string& name) {
  const bool is_valid = !name.empty() && name.size() <= kMaxNameLength &&
                        std::all_of(name.begin(), name.end(), IsNameCharacter);
  if (is_valid) return absl::OkStatus();
  return InvalidField("NAME_INVALID", "name", name.empty() ? "nothing" : name,
                      "1 to 200 of the characters A-Z a-z 0-9 . _ / -");
}

ArtifactStore::ArtifactStore(std::string directory, HistoryStore& history, const Registry& registry,
                             MetricsSink& metrics)
    : directory_(std::move(directory)), history_(history), registry_(registry), metrics_(metrics) {}

absl::Status ArtifactStore::Restore() {
  RemoveTemporaryFiles(directory_);
  std::set<std::string> known;
  PageRequest page{.page_size = 1000};
  do {
    QTIPD_ASSIGN_OR_RETURN(const Page<ArtifactRecord> records, history_.ListArtifacts(page));
    for (const ArtifactRecord& record : records.items) {
      known.insert(record.sha256);
      const std::string path = ArtifactPath(directory_, record.sha256);
      if (access(path.c_str(), R_OK) == 0) continue;
      spdlog::error("artifact_file_missing artifact={} path={}", record.name, LogText(path));
    }
    page.page_token = records.next_page_token;
  } while (!page.page_token.empty());
  ReportUnnamedFiles("artifact", FindUnnamedFiles(directory_, known));
  std::lock_guard lock(mutex_);
  ReportTotals();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<ArtifactRecord>> ArtifactStore::CheckNewName(
    const ArtifactRecord& wanted, bool if_absent) {
  QTIPD_RETURN_IF_ERROR(CheckArtifactName(wanted.name));
  absl::StatusOr<ArtifactRecord> existing = history_.GetArtifact(wanted.name);
  if (absl::IsNotFound(existing.status())) return std::optional<ArtifactRecord>();
  if (!existing.ok()) return existing.status();
  if (!if_absent) {
    return ArtifactExists(wanted.name);
  }
  if (wanted.recipe_sha256.empty()) return std::optional<ArtifactRecord>();
  if (existing->recipe_sha256 == wanted.recipe_sha256) return std::optional(*std::move(existing));
  return RecipeDiffers(*existing, wanted);
}

absl::StatusOr<std::optional<ModelRecord>> ArtifactStore::CheckNewModel(const std::string& name,
                                                                        bool if_absent) {
  QTIPD_ASSIGN_OR_RETURN(std::optional<ModelRecord> model, history_.GetModel(name));
  if (!model) return model;
  QTIPD_ASSIGN_OR_RETURN(const std::vector<ArtifactRecord> layers, history_.ArtifactsOfModel(name));
  if (layers.empty()) return std::optional<ModelRecord>();  // all deleted, one by one
  if (!if_absent) return ModelExists(name);
  return model;
}

absl::StatusOr<ArtifactStore::Staged> ArtifactStore::Stage(const PackedLayer& layer,
                                                           ArtifactRecord record,
                                                           const Progress& progress) {
  Describe(layer, record);
  QTIPD_ASSIGN_OR_RETURN(StagedArtifact file,
                         StageArtifactFile(directory_, layer, record.seed, progress));
  record.sha256 = file.sha256;
  return Staged{std::move(file), std::move(record)};
}

absl::StatusOr<ArtifactRecord> ArtifactStore::Save(const PackedLayer& layer, ArtifactRecord record,
                                                   const Progress& progress) {
  QTIPD_ASSIGN_OR_RETURN(Staged staged, Stage(layer, std::move(record), progress));
  std::lock_guard lock(mutex_);
  absl::Status saved = staged.file.Commit();
  if (saved.ok()) saved = history_.InsertArtifact(staged.record);
  if (!saved.ok()) {
    RemoveUnnamedFile(staged.record.sha256);
    return saved;
  }
  ReportTotals();
  return std::move(staged.record);
}

absl::Status ArtifactStore::SaveModel(std::vector<Staged> staged, const ModelRecord& model) {
  std::vector<ArtifactRecord> records;
  std::lock_guard lock(mutex_);
  absl::Status saved;
  for (Staged& item : staged) {
    records.push_back(item.record);
    saved = item.file.CommitUnsynced();
    if (!saved.ok()) break;
  }
  if (saved.ok()) saved = SyncDirectory(directory_);
  if (saved.ok()) saved = history_.InsertModel(model, records);
  if (!saved.ok()) {
    for (const ArtifactRecord& record : records) RemoveUnnamedFile(record.sha256);
    return saved;
  }
  ReportTotals();
  return absl::OkStatus();
}

absl::StatusOr<ArtifactRecord> ArtifactStore::Get(const std::string& name) {
  return history_.GetArtifact(name);
}

absl::StatusOr<Page<ArtifactRecord>> ArtifactStore::List(const PageRequest& page) {
  return history_.ListArtifacts(page);
}

std::string ArtifactStore::PathOf(const ArtifactRecord& record) const {
  return ArtifactPath(directory_, record.sha256);
}

absl::StatusOr<PackedLayer> ArtifactStore::Read(const ArtifactRecord& record) {
  absl::StatusOr<PackedLayer> layer = ReadArtifactFile(directory_, record.sha256, registry_);
  if (!layer.ok()) {
    spdlog::error("artifact_file_damaged artifact={} {}", record.name, LogStatus(layer.status()));
  }
  return layer;
}

absl::StatusOr<ArtifactRecord> ArtifactStore::Delete(const std::string& name) {
  std::lock_guard lock(mutex_);
  QTIPD_ASSIGN_OR_RETURN(ArtifactRecord record, history_.GetArtifact(name));
  QTIPD_RETURN_IF_ERROR(history_.DeleteArtifact(name));
  RemoveUnnamedFile(record.sha256);
  ReportTotals();
  return record;
}

absl::StatusOr<std::vector<ArtifactRecord>> ArtifactStore::DeleteModel(const std::string& name) {
  std::lock_guard lock(mutex_);
  QTIPD_ASSIGN_OR_RETURN(std::vector<ArtifactRecord> records, history_.ArtifactsOfModel(name));
  QTIPD_ASSIGN_OR_RETURN(const std::optional<ModelRecord> model, history_.GetModel(name));
  if (records.empty() && !model) return ModelNotFound(name);
  QTIPD_RETURN_IF_ERROR(history_.DeleteModel(name));
  for (const ArtifactRecord& record : records) RemoveUnnamedFile(record.sha256);
  ReportTotals();
  return records;
}

absl::StatusOr<bool> ArtifactStore::HasFile(const std::string& sha256) {
  QTIPD_ASSIGN_OR_RETURN(const int64_t names, history_.CountArtifactsOfFile(sha256));
  return names > 0;
}

void ArtifactStore::RemoveUnnamedFile(const std::string& sha256) {
  const absl::StatusOr<bool> is_used = HasFile(sha256);
  if (is_used.ok() && !*is_used) unlink(ArtifactPath(directory_, sha256).c_str());
}

void ArtifactStore::ReportTotals() {
  const absl::StatusOr<std::vector<FormatTotal>> totals = history_.ArtifactTotals();
  if (!totals.ok()) {
    spdlog::error("artifact_totals_failed {}", LogStatus(totals.status()));
    return;
  }
  for (auto& [format, count] : reported_) count = 0;
  for (const FormatTotal& total : *totals) {
    reported_[total.format] = total.count;
    metrics_.ArtifactsChanged(total.format, total.count, total.bytes);
  }
  for (const auto& [format, count] : reported_) {
    if (count == 0) metrics_.ArtifactsChanged(format, 0, 0);
  }
}

}  // namespace qtipd
