// RunDoctor: what on this host would spoil a measurement or stop a profile.
#include "kernels/api/status.h"
#include "server/service/handlers.h"

namespace qtipd {
namespace {

v1::Severity ToProto(Severity severity) {
  switch (severity) {
    case Severity::kOk:
      return v1::SEVERITY_OK;
    case Severity::kWarning:
      return v1::SEVERITY_WARNING;
    case Severity::kProblem:
      return v1::SEVERITY_PROBLEM;
  }
  return v1::SEVERITY_UNSPECIFIED;
}

}  // namespace

absl::StatusOr<v1::RunDoctorResponse> RunDoctor(Engine& engine, const v1::RunDoctorRequest& request,
                                                const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const std::vector<Finding> findings, engine.RunDoctor(request.device()));
  v1::RunDoctorResponse response;
  for (const Finding& finding : findings) {
    v1::Finding& proto = *response.add_findings();
    proto.set_id(finding.id);
    proto.set_severity(ToProto(finding.severity));
    proto.set_what(finding.what);
    proto.set_why(finding.why);
    proto.set_cure_command(finding.cure_command);
    proto.set_device(finding.device);
  }
  return response;
}

}  // namespace qtipd
