#include "kernels/api/status.h"
#include "server/service/handlers.h"
#include "server/service/operation_conversion.h"

namespace qtipd {
namespace {

constexpr char kDefaultPath[] = "fused";
constexpr uint64_t kDefaultSeed = 1;

}  // namespace

absl::StatusOr<google::longrunning::Operation> StartProfile(Engine& engine,
                                                            const v1::StartProfileRequest& request,
                                                            const CallContext& context) {
  ProfileSpec spec;
  spec.request_id = request.request_id();
  spec.artifact = request.artifact();
  spec.device = request.device();
  spec.path = request.path().empty() ? kDefaultPath : request.path();
  spec.step = request.step();
  spec.batch = request.batch() == 0 ? 1 : request.batch();
  spec.preset = request.preset();
  spec.metrics.assign(request.metrics().begin(), request.metrics().end());
  spec.samples_instructions = request.has_instructions()
                                  ? request.instructions()
                                  : spec.preset == "stalls" || spec.preset == "full";
  spec.seed = request.has_seed() ? request.seed() : kDefaultSeed;
  spec.activation_dtype = request.activation_dtype();
  if (request.validate_only()) {
    QTIPD_RETURN_IF_ERROR(engine.ValidateProfile(spec));
    google::longrunning::Operation nothing;
    nothing.set_done(true);
    return nothing;
  }
  QTIPD_ASSIGN_OR_RETURN(const OperationRecord record, engine.StartProfile(spec));
  return ToProto(record, engine, Samples::kLeaveOut);
}

}  // namespace qtipd
