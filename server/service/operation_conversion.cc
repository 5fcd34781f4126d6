#include "server/service/operation_conversion.h"

#include <string_view>

#include "kernels/api/error.h"
#include "qtipd/v1/artifact.pb.h"
#include "qtipd/v1/benchmark.pb.h"
#include "qtipd/v1/calibrate.pb.h"
#include "qtipd/v1/operation.pb.h"
#include "server/service/artifact_conversion.h"
#include "server/service/common_conversion.h"
#include "server/service/model_conversion.h"
#include "server/service/profile_conversion.h"
#include "server/service/status_proto.h"

namespace qtipd {
namespace {

constexpr std::string_view kPrefix = "operations/";

v1::OperationState StateProto(OperationState state) {
  switch (state) {
    case OperationState::kQueued:
      return v1::QUEUED;
    case OperationState::kRunning:
      return v1::RUNNING;
    case OperationState::kSucceeded:
      return v1::SUCCEEDED;
    case OperationState::kFailed:
      return v1::FAILED;
    case OperationState::kCancelled:
      return v1::CANCELLED;
    case OperationState::kInterrupted:
      return v1::INTERRUPTED;
  }
  return v1::OPERATION_STATE_UNSPECIFIED;
}

v1::OperationMetadata MetadataProto(const OperationRecord& record) {
  v1::OperationMetadata proto;
  proto.set_kind(record.kind);
  proto.set_target(record.target);
  proto.set_device(record.device);
  proto.set_state(StateProto(record.state));
  proto.set_progress(record.progress);
  proto.set_stage(record.stage);
  *proto.mutable_create_time() = ToTimestamp(record.create_time);
  *proto.mutable_update_time() = ToTimestamp(record.update_time);
  return proto;
}

void FillResponse(const OperationRecord& record, Engine& engine, Samples samples,
                  google::longrunning::Operation& proto) {
  if (record.kind == "benchmark") {
    v1::Run run;
    run.set_id(record.result);
    if (const auto found = engine.GetRun(record.result); found.ok()) run = ToProto(*found, samples);
    proto.mutable_response()->PackFrom(run);
    return;
  }
  if (record.kind == "profile") {
    v1::Profile profile;
    profile.set_id(record.result);
    if (const auto found = engine.GetProfile(record.result); found.ok()) profile = ToProto(*found);
    proto.mutable_response()->PackFrom(profile);
    return;
  }
  if (record.kind == "calibrate") {
    v1::Hessian hessian;
    hessian.set_name(record.result);
    if (const auto found = engine.GetHessian(record.result); found.ok()) hessian = ToProto(*found);
    proto.mutable_response()->PackFrom(hessian);
    return;
  }
  if (record.kind == "import_model") {
    v1::Model model;
    model.set_name(record.result);
    // In lists the name alone: finding the layers takes milliseconds.
    if (samples == Samples::kKeep) {
      if (const auto found = engine.GetModel(record.result); found.ok()) model = ToProto(*found);
    }
    proto.mutable_response()->PackFrom(model);
    return;
  }
  const std::string& name = record.result.empty() ? record.target : record.result;
  v1::Artifact artifact;
  artifact.set_name(name);
  if (const auto found = engine.GetArtifact(name); found.ok()) artifact = ToProto(*found);
  proto.mutable_response()->PackFrom(artifact);
}

}  // namespace

google::longrunning::Operation ToProto(const OperationRecord& record, Engine& engine,
                                       Samples samples) {
  google::longrunning::Operation proto;
  proto.set_name(std::string(kPrefix) + record.id);
  proto.mutable_metadata()->PackFrom(MetadataProto(record));
  proto.set_done(IsTerminal(record.state));
  if (record.state == OperationState::kSucceeded) {
    FillResponse(record, engine, samples, proto);
  } else if (proto.done()) {
    *proto.mutable_error() = ToProto(record.error);
  }
  return proto;
}

absl::StatusOr<std::string> OperationId(const std::string& name) {
  if (name.size() <= kPrefix.size() || name.compare(0, kPrefix.size(), kPrefix) != 0) {
    return InvalidField("OPERATION_NAME_INVALID", "name", "'" + name + "'", "operations/ID");
  }
  return name.substr(kPrefix.size());
}

}  // namespace qtipd
