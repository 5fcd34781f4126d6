#include "server/engine/store/hessian_store.h"

#include <unistd.h>

#include <set>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/safetensors.h"
#include "server/base/atomic_file.h"
#include "server/base/sha256.h"
#include "server/engine/history/name_taken.h"
#include "server/engine/store/artifact_store.h"
#include "server/engine/store/stored_files.h"

namespace qtipd {
namespace {

constexpr char kTensor[] = "sum";

int64_t TriangleSize(int64_t n) { return n * (n + 1) / 2; }

absl::Status Damaged(const std::string& path, const std::string& what) {
  return MakeError(absl::StatusCode::kDataLoss, "HESSIAN_FILE_DAMAGED",
                   "Hessian file " + path + ": " + what, {{"path", path}, {"what", what}});
}

}  // namespace

HessianStore::HessianStore(std::string directory, HistoryStore& history)
    : directory_(std::move(directory)), history_(history) {}

absl::Status HessianStore::Restore() {
  RemoveTemporaryFiles(directory_);
  std::set<std::string> known;
  PageRequest page{.page_size = 1000};
  do {
    QTIPD_ASSIGN_OR_RETURN(const Page<HessianRecord> records, history_.ListHessians(page));
    for (const HessianRecord& record : records.items) known.insert(record.sha256);
    page.page_token = records.next_page_token;
  } while (!page.page_token.empty());
  ReportUnnamedFiles("hessian", FindUnnamedFiles(directory_, known));
  return absl::OkStatus();
}

std::string HessianStore::PathOf(const std::string& sha256) const {
  return directory_ + "/" + StoredFileName(sha256);
}

absl::StatusOr<HessianStore::Stored> HessianStore::Open(const std::string& name) {
  QTIPD_ASSIGN_OR_RETURN(HessianRecord record, history_.GetHessian(name));
  const std::string path = PathOf(record.sha256);
  absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  if (!file.ok()) return Damaged(path, std::string(file.status().message()));
  const auto sum = file->tensors.find(kTensor);
  const std::vector<int64_t> shape = {TriangleSize(record.in_features)};
  if (sum == file->tensors.end() || sum->second.dtype() != DType::kF64 ||
      sum->second.shape() != shape) {
    return Damaged(path, "it has no lower triangle of " + std::to_string(record.in_features) +
                             " input features");
  }
  return Stored{std::move(record), sum->second};
}

absl::Status HessianStore::CheckNewName(const std::string& name) {
  QTIPD_RETURN_IF_ERROR(CheckArtifactName(name));
  const absl::StatusOr<HessianRecord> existing = history_.GetHessian(name);
  if (absl::IsNotFound(existing.status())) return absl::OkStatus();
  if (!existing.ok()) return existing.status();
  return HessianExists(name);
}

absl::Status HessianStore::Delete(const std::string& name) {
  std::lock_guard lock(mutex_);
  QTIPD_ASSIGN_OR_RETURN(const HessianRecord record, history_.GetHessian(name));
  QTIPD_RETURN_IF_ERROR(history_.DeleteHessian(name));
  RemoveUnnamedFile(record.sha256);
  return absl::OkStatus();
}

absl::Status HessianStore::Save(HessianRecord& record, const std::string& replaced_sha256,
                                const RowSource& rows) {
  QTIPD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(directory_));
  Sha256 hash;
  record.stored_bytes = 0;
  const ByteSink write = [&](std::span<const std::byte> bytes) {
    hash.Update(bytes);
    record.stored_bytes += bytes.size();
    return file.Write(bytes);
  };
  QTIPD_RETURN_IF_ERROR(WriteSafetensorsHeader(
      {{kTensor, DType::kF64, {TriangleSize(record.in_features)}}}, {}, write));
  QTIPD_RETURN_IF_ERROR(rows([&](Row row) { return write(std::as_bytes(row)); }));
  QTIPD_RETURN_IF_ERROR(file.Sync());
  record.sha256 = hash.Finish();
  std::lock_guard lock(mutex_);
  const bool replaces = !replaced_sha256.empty();
  if (replaces) {
    QTIPD_ASSIGN_OR_RETURN(const HessianRecord existing, history_.GetHessian(record.name));
    if (existing.sha256 != replaced_sha256) {
      return FieldError(absl::StatusCode::kAborted, "HESSIAN_CHANGED", "name", record.name,
                        "a Hessian that nobody else changes meanwhile; add to it again");
    }
  }
  absl::Status saved = file.Commit(StoredFileName(record.sha256));
  if (saved.ok()) {
    saved = replaces ? history_.UpdateHessian(record) : history_.InsertHessian(record);
  }
  RemoveUnnamedFile(saved.ok() ? replaced_sha256 : record.sha256);
  return saved;
}

void HessianStore::RemoveUnnamedFile(const std::string& sha256) {
  if (sha256.empty()) return;
  const absl::StatusOr<int64_t> names = history_.CountHessiansOfFile(sha256);
  if (names.ok() && *names == 0) unlink(PathOf(sha256).c_str());
}

}  // namespace qtipd
