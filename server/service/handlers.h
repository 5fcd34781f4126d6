// The RPCs without their transport: check the request, call the engine, fill the response. Free
// functions without state, thread-safe, never blocking on a device; defaults are those that the
// proto comments state. Errors are the engine's, and those of the conversions.
#ifndef QTIPD_SERVER_SERVICE_HANDLERS_H_
#define QTIPD_SERVER_SERVICE_HANDLERS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "google/longrunning/operations.pb.h"
#include "google/protobuf/empty.pb.h"
#include "qtipd/v1/artifact.pb.h"
#include "qtipd/v1/benchmark.pb.h"
#include "qtipd/v1/calibrate.pb.h"
#include "qtipd/v1/doctor.pb.h"
#include "qtipd/v1/profile.pb.h"
#include "qtipd/v1/quantize.pb.h"
#include "qtipd/v1/server.pb.h"
#include "server/engine/engine.h"
#include "server/service/call_context.h"

namespace qtipd {

// What a server knows about itself; filled at start.
struct ServerFacts {
  std::map<std::string, std::string> build;  // version, git_commit, compiler, build_type
  std::string hostname;
  std::string http_address;  // where /metrics is served
  std::string data_dir;
  double start_seconds = 0;  // Clock::MonotonicSeconds at start
};

absl::StatusOr<v1::ServerInfo> GetServerInfo(Engine& engine, const ServerFacts& facts, Clock& clock,
                                             const CallContext& context);
absl::StatusOr<v1::ListDevicesResponse> ListDevices(Engine& engine,
                                                    const v1::ListDevicesRequest& request,
                                                    const CallContext& context);
absl::StatusOr<v1::ListFormatsResponse> ListFormats(Engine& engine,
                                                    const v1::ListFormatsRequest& request,
                                                    const CallContext& context);
absl::StatusOr<v1::ListPathsResponse> ListPaths(Engine& engine, const v1::ListPathsRequest& request,
                                                const CallContext& context);

// Errors: SOURCE_INVALID if neither a random matrix nor a tensor is given; FILE_SOURCE_INVALID.
absl::StatusOr<google::longrunning::Operation> StartQuantize(
    Engine& engine, const v1::StartQuantizeRequest& request, const CallContext& context);
absl::StatusOr<google::longrunning::Operation> StartImport(Engine& engine,
                                                           const v1::StartImportRequest& request,
                                                           const CallContext& context);
absl::StatusOr<google::longrunning::Operation> StartLoadArtifact(
    Engine& engine, const v1::LoadArtifactRequest& request, const CallContext& context);
absl::StatusOr<google::longrunning::Operation> StartUnloadArtifact(
    Engine& engine, const v1::UnloadArtifactRequest& request, const CallContext& context);
// Errors: CACHE_MODE_UNKNOWN, STOPPING_RULE_INVALID.
absl::StatusOr<google::longrunning::Operation> StartBenchmark(
    Engine& engine, const v1::StartBenchmarkRequest& request, const CallContext& context);

absl::StatusOr<google::longrunning::Operation> StartProfile(Engine& engine,
                                                            const v1::StartProfileRequest& request,
                                                            const CallContext& context);

absl::StatusOr<v1::Artifact> GetArtifact(Engine& engine, const v1::GetArtifactRequest& request,
                                         const CallContext& context);
absl::StatusOr<v1::ListArtifactsResponse> ListArtifacts(Engine& engine,
                                                        const v1::ListArtifactsRequest& request,
                                                        const CallContext& context);
absl::StatusOr<v1::DeleteArtifactResponse> DeleteArtifact(Engine& engine,
                                                          const v1::DeleteArtifactRequest& request,
                                                          const CallContext& context);
// Maps the model's files: not for gRPC's threads.
absl::StatusOr<v1::Model> GetModel(Engine& engine, const v1::GetModelRequest& request,
                                   const CallContext& context);
// Errors: FILE_SOURCE_INVALID, TENSOR_NAME_MISSING.
absl::StatusOr<google::longrunning::Operation> StartCalibrate(
    Engine& engine, const v1::StartCalibrateRequest& request, const CallContext& context);
absl::StatusOr<v1::Hessian> GetHessian(Engine& engine, const v1::GetHessianRequest& request,
                                       const CallContext& context);
absl::StatusOr<v1::ListHessiansResponse> ListHessians(Engine& engine,
                                                      const v1::ListHessiansRequest& request,
                                                      const CallContext& context);
absl::StatusOr<v1::DeleteHessianResponse> DeleteHessian(Engine& engine,
                                                        const v1::DeleteHessianRequest& request,
                                                        const CallContext& context);
// Errors: EXPORT_FORM_UNKNOWN.
absl::StatusOr<ExportForm> ToExportForm(v1::ExportForm form);

absl::StatusOr<v1::Run> GetRun(Engine& engine, const v1::GetRunRequest& request,
                               const CallContext& context);
absl::StatusOr<v1::ListRunsResponse> ListRuns(Engine& engine, const v1::ListRunsRequest& request,
                                              const CallContext& context);

// Asks drivers and reads files: not for gRPC's threads. Errors: DEVICE_NOT_FOUND.
absl::StatusOr<v1::RunDoctorResponse> RunDoctor(Engine& engine, const v1::RunDoctorRequest& request,
                                                const CallContext& context);

absl::StatusOr<v1::Profile> GetProfile(Engine& engine, const v1::GetProfileRequest& request,
                                       const CallContext& context);
absl::StatusOr<v1::ListProfilesResponse> ListProfiles(Engine& engine,
                                                      const v1::ListProfilesRequest& request,
                                                      const CallContext& context);
// Blocks while a device is busy and the helper looks, unlike the others: not for gRPC's threads.
absl::StatusOr<v1::ListMetricsResponse> ListMetrics(Engine& engine,
                                                    const v1::ListMetricsRequest& request,
                                                    const CallContext& context);

absl::StatusOr<google::longrunning::Operation> GetOperation(
    Engine& engine, const google::longrunning::GetOperationRequest& request,
    const CallContext& context);
// Runs in responses come without samples. Errors: FILTER_UNSUPPORTED, OPERATION_NAME_INVALID.
absl::StatusOr<google::longrunning::ListOperationsResponse> ListOperations(
    Engine& engine, const google::longrunning::ListOperationsRequest& request,
    const CallContext& context);
absl::StatusOr<google::protobuf::Empty> CancelOperation(
    Engine& engine, const google::longrunning::CancelOperationRequest& request,
    const CallContext& context);
absl::StatusOr<google::protobuf::Empty> DeleteOperation(
    Engine& engine, const google::longrunning::DeleteOperationRequest& request,
    const CallContext& context);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SERVICE_HANDLERS_H_
