// The artefacts on disk: content-addressed files with their records in the history.
#ifndef QTIPD_SERVER_ENGINE_STORE_ARTIFACT_STORE_H_
#define QTIPD_SERVER_ENGINE_STORE_ARTIFACT_STORE_H_

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/registry.h"
#include "server/engine/history/history_store.h"
#include "server/engine/metrics_sink.h"
#include "server/engine/store/artifact_file.h"
#include "server/engine/types.h"

namespace qtipd {

// Thread-safe. A file appears before its record and goes after it, so that a crash at any moment
// leaves at worst a file without a record. What it does not know in its directory it leaves alone.
class ArtifactStore {
 public:
  // All arguments outlive the store; `directory` exists.
  ArtifactStore(std::string directory, HistoryStore& history, const Registry& registry,
                MetricsSink& metrics);

  // Removes what a crash left half-written, reports records whose file is missing and files that no
  // record names (log), and tells the metrics what is there. Opens no artefact: start-up stays
  // quick.
  absl::Status Restore();

  // Whether an artefact may be created as `wanted.name`: nothing, if the name is free; the existing
  // record, if `if_absent` and it has the recipe of `wanted`, whose format, options, shape, seed
  // and source tell what differs. An empty recipe is not compared yet.
  // Errors: NAME_INVALID; AlreadyExists/ARTIFACT_EXISTS, ARTIFACT_RECIPE_DIFFERS.
  absl::StatusOr<std::optional<ArtifactRecord>> CheckNewName(const ArtifactRecord& wanted,
                                                             bool if_absent);

  // Whether a model may be imported as `name`: nothing, if no model of that name has artefacts; its
  // record, if `if_absent`. Errors: AlreadyExists/ARTIFACT_EXISTS.
  absl::StatusOr<std::optional<ModelRecord>> CheckNewModel(const std::string& name, bool if_absent);

  // Writes the layer and then its record; fills in what follows from the layer: sha256, format,
  // options, shape, packed_bytes, bits_per_weight and compression_ratio. Blocking.
  // Errors: AlreadyExists/ARTIFACT_EXISTS; DISK_FULL, FILE_WRITE_FAILED, HISTORY_FAILED;
  // Cancelled.
  absl::StatusOr<ArtifactRecord> Save(const PackedLayer& layer, ArtifactRecord record,
                                      const Progress& progress);

  // An artefact that is on disk but has no name yet; gone if it never gets one, also after a
  // crash, but for one between the last renaming and the record: then the file stays, unnamed.
  struct Staged {
    StagedArtifact file;
    ArtifactRecord record;
  };
  // The first half of Save.
  absl::StatusOr<Staged> Stage(const PackedLayer& layer, ArtifactRecord record,
                               const Progress& progress);
  // Names all artefacts of a model at once: after an error there is none of them.
  // Errors: those of Save.
  absl::Status SaveModel(std::vector<Staged> staged, const ModelRecord& model);

  absl::StatusOr<ArtifactRecord> Get(const std::string& name);
  absl::StatusOr<Page<ArtifactRecord>> List(const PageRequest& page);
  // Errors: DataLoss/ARTIFACT_FILE_DAMAGED; the record stays.
  absl::StatusOr<PackedLayer> Read(const ArtifactRecord& record);
  // The file of an artefact, for a reader of its own.
  std::string PathOf(const ArtifactRecord& record) const;
  // Removes the name, and the file if no other name has it. Returns the record that was.
  absl::StatusOr<ArtifactRecord> Delete(const std::string& name);
  // Removes a model's record and its artefacts; returns the records that were.
  // Errors: NotFound/MODEL_NOT_FOUND.
  absl::StatusOr<std::vector<ArtifactRecord>> DeleteModel(const std::string& name);
  // Whether a name still has the file.
  absl::StatusOr<bool> HasFile(const std::string& sha256);

 private:
  // With the lock held, both.
  void RemoveUnnamedFile(const std::string& sha256);
  void ReportTotals();

  const std::string directory_;
  HistoryStore& history_;
  const Registry& registry_;
  MetricsSink& metrics_;
  // Keeps Save and Delete apart: a deletion must not take the file that a second name is about to
  // share. Held for short work only: Delete is called on gRPC's threads.
  std::mutex mutex_;
  std::map<std::string, int64_t> reported_;  // formats ever told to the metrics; guarded by mutex_
};

// Errors: InvalidArgument/NAME_INVALID unless `name` matches [A-Za-z0-9._/-]{1,200}.
absl::Status CheckArtifactName(const std::string& name);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_STORE_ARTIFACT_STORE_H_
