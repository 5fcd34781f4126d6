#include "server/engine/jobs/load_job.h"

#include <utility>

#include "kernels/api/status.h"

namespace qtipd {

absl::StatusOr<LoadedArtifact> LoadArtifact(const std::string& name, bool is_pinned,
                                            const JobContext& context, DeviceLease& lease) {
  LoadedArtifact loaded;
  QTIPD_ASSIGN_OR_RETURN(loaded.record, context.artifacts.Get(name));
  QTIPD_ASSIGN_OR_RETURN(loaded.layer, context.artifacts.Read(loaded.record));
  const std::string& sha256 = loaded.record.sha256;
  loaded.resident = lease.residents.Find(sha256);
  if (loaded.resident == nullptr) {
    const std::string& backend_id = lease.device.info().backend;
    QTIPD_ASSIGN_OR_RETURN(const FormatBackend* backend,
                           context.registry.FindBackend(loaded.layer.format, backend_id));
    auto weights = backend->Load(lease.device, loaded.layer);
    if (absl::IsResourceExhausted(weights.status()) && lease.residents.ReleaseUnpinned()) {
      weights = backend->Load(lease.device, loaded.layer);
    }
    if (!weights.ok()) return weights.status();
    lease.residents.Put(sha256, loaded.layer.format, *std::move(weights), is_pinned);
    loaded.resident = lease.residents.Find(sha256);
  }
  if (is_pinned) lease.residents.Pin(sha256);
  return loaded;
}

absl::StatusOr<std::string> RunLoad(const LoadSpec& spec, const JobContext& context,
                                    DeviceLease& lease, Progress& progress) {
  progress.Report(0, "load");
  QTIPD_RETURN_IF_ERROR(LoadArtifact(spec.artifact, true, context, lease).status());
  return spec.artifact;
}

absl::StatusOr<std::string> RunUnload(const LoadSpec& spec, const JobContext& context,
                                      DeviceLease& lease, Progress& progress) {
  progress.Report(0, "unload");
  QTIPD_ASSIGN_OR_RETURN(const ArtifactRecord record, context.artifacts.Get(spec.artifact));
  lease.residents.Remove(record.sha256);
  return spec.artifact;
}

}  // namespace qtipd
