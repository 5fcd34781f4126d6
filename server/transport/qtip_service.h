// qtipd.v1.QtipService over the engine.
#ifndef QTIPD_SERVER_TRANSPORT_QTIP_SERVICE_H_
#define QTIPD_SERVER_TRANSPORT_QTIP_SERVICE_H_

#include "qtipd/v1/qtip_service.grpc.pb.h"
#include "server/transport/export_artifact.h"
#include "server/transport/rpc_environment.h"
#include "server/transport/unary_call.h"
#include "server/transport/upload_file.h"
#include "server/transport/watch_operation.h"

namespace qtipd {

// Thread-safe; one entry an RPC, which names its handler.
class QtipServiceImpl final : public v1::QtipService::CallbackService {
 public:
  using Context = grpc::CallbackServerContext;
  using Operation = google::longrunning::Operation;

  // The environment outlives the service.
  explicit QtipServiceImpl(const RpcEnvironment& environment) : environment_(environment) {}

  grpc::ServerUnaryReactor* GetServerInfo(Context* context, const v1::GetServerInfoRequest* request,
                                          v1::ServerInfo* response) override {
    return UnaryCall(environment_, Name("GetServerInfo", "unary"), context, request, response,
                     [this](const v1::GetServerInfoRequest&, const CallContext& call) {
                       return qtipd::GetServerInfo(environment_.engine, environment_.facts,
                                                   environment_.clock, call);
                     });
  }
  grpc::ServerUnaryReactor* ListDevices(Context* context, const v1::ListDevicesRequest* request,
                                        v1::ListDevicesResponse* response) override {
    return Unary(context, "ListDevices", request, response, qtipd::ListDevices);
  }
  grpc::ServerUnaryReactor* ListFormats(Context* context, const v1::ListFormatsRequest* request,
                                        v1::ListFormatsResponse* response) override {
    return Unary(context, "ListFormats", request, response, qtipd::ListFormats);
  }
  grpc::ServerUnaryReactor* ListPaths(Context* context, const v1::ListPathsRequest* request,
                                      v1::ListPathsResponse* response) override {
    return Unary(context, "ListPaths", request, response, qtipd::ListPaths);
  }
  grpc::ServerUnaryReactor* StartQuantize(Context* context, const v1::StartQuantizeRequest* request,
                                          Operation* response) override {
    return Unary(context, "StartQuantize", request, response, qtipd::StartQuantize);
  }
  grpc::ServerUnaryReactor* StartImport(Context* context, const v1::StartImportRequest* request,
                                        Operation* response) override {
    // May answer with a model that was imported before.
    return BlockingUnaryCall(environment_, Name("StartImport", "unary"), context, request, response,
                             qtipd::StartImport);
  }
  grpc::ServerUnaryReactor* StartCalibrate(Context* context,
                                           const v1::StartCalibrateRequest* request,
                                           Operation* response) override {
    return Unary(context, "StartCalibrate", request, response, qtipd::StartCalibrate);
  }
  grpc::ServerUnaryReactor* StartLoadArtifact(Context* context,
                                              const v1::LoadArtifactRequest* request,
                                              Operation* response) override {
    return Unary(context, "StartLoadArtifact", request, response, qtipd::StartLoadArtifact);
  }
  grpc::ServerUnaryReactor* StartUnloadArtifact(Context* context,
                                                const v1::UnloadArtifactRequest* request,
                                                Operation* response) override {
    return Unary(context, "StartUnloadArtifact", request, response, qtipd::StartUnloadArtifact);
  }
  grpc::ServerUnaryReactor* StartBenchmark(Context* context,
                                           const v1::StartBenchmarkRequest* request,
                                           Operation* response) override {
    return Unary(context, "StartBenchmark", request, response, qtipd::StartBenchmark);
  }
  grpc::ServerUnaryReactor* StartProfile(Context* context, const v1::StartProfileRequest* request,
                                         Operation* response) override {
    return Unary(context, "StartProfile", request, response, qtipd::StartProfile);
  }
  grpc::ServerUnaryReactor* GetArtifact(Context* context, const v1::GetArtifactRequest* request,
                                        v1::Artifact* response) override {
    return Unary(context, "GetArtifact", request, response, qtipd::GetArtifact);
  }
  grpc::ServerUnaryReactor* ListArtifacts(Context* context, const v1::ListArtifactsRequest* request,
                                          v1::ListArtifactsResponse* response) override {
    return Unary(context, "ListArtifacts", request, response, qtipd::ListArtifacts);
  }
  grpc::ServerUnaryReactor* DeleteArtifact(Context* context,
                                           const v1::DeleteArtifactRequest* request,
                                           v1::DeleteArtifactResponse* response) override {
    return Unary(context, "DeleteArtifact", request, response, qtipd::DeleteArtifact);
  }
  grpc::ServerUnaryReactor* GetModel(Context* context, const v1::GetModelRequest* request,
                                     v1::Model* response) override {
    return BlockingUnaryCall(environment_, Name("GetModel", "unary"), context, request, response,
                             qtipd::GetModel);
  }
  grpc::ServerUnaryReactor* GetHessian(Context* context, const v1::GetHessianRequest* request,
                                       v1::Hessian* response) override {
    return Unary(context, "GetHessian", request, response, qtipd::GetHessian);
  }
  grpc::ServerUnaryReactor* ListHessians(Context* context, const v1::ListHessiansRequest* request,
                                         v1::ListHessiansResponse* response) override {
    return Unary(context, "ListHessians", request, response, qtipd::ListHessians);
  }
  grpc::ServerUnaryReactor* DeleteHessian(Context* context, const v1::DeleteHessianRequest* request,
                                          v1::DeleteHessianResponse* response) override {
    return Unary(context, "DeleteHessian", request, response, qtipd::DeleteHessian);
  }
  grpc::ServerUnaryReactor* GetRun(Context* context, const v1::GetRunRequest* request,
                                   v1::Run* response) override {
    return Unary(context, "GetRun", request, response, qtipd::GetRun);
  }
  grpc::ServerUnaryReactor* ListRuns(Context* context, const v1::ListRunsRequest* request,
                                     v1::ListRunsResponse* response) override {
    return Unary(context, "ListRuns", request, response, qtipd::ListRuns);
  }
  grpc::ServerUnaryReactor* RunDoctor(Context* context, const v1::RunDoctorRequest* request,
                                      v1::RunDoctorResponse* response) override {
    return BlockingUnaryCall(environment_, Name("RunDoctor", "unary"), context, request, response,
                             qtipd::RunDoctor);
  }

  grpc::ServerUnaryReactor* GetProfile(Context* context, const v1::GetProfileRequest* request,
                                       v1::Profile* response) override {
    return Unary(context, "GetProfile", request, response, qtipd::GetProfile);
  }
  grpc::ServerUnaryReactor* ListProfiles(Context* context, const v1::ListProfilesRequest* request,
                                         v1::ListProfilesResponse* response) override {
    return Unary(context, "ListProfiles", request, response, qtipd::ListProfiles);
  }
  grpc::ServerUnaryReactor* ListMetrics(Context* context, const v1::ListMetricsRequest* request,
                                        v1::ListMetricsResponse* response) override {
    return BlockingUnaryCall(environment_, Name("ListMetrics", "unary"), context, request, response,
                             qtipd::ListMetrics);
  }

  grpc::ServerWriteReactor<Operation>* WatchOperation(
      Context* context, const v1::WatchOperationRequest* request) override {
    return WatchOperationCall(environment_, Name("WatchOperation", "server_stream"), context,
                              request);
  }
  grpc::ServerReadReactor<v1::UploadFileRequest>* UploadFile(
      Context* context, v1::UploadFileResponse* response) override {
    return UploadFileCall(environment_, Name("UploadFile", "client_stream"), context, response);
  }
  grpc::ServerWriteReactor<v1::ExportArtifactResponse>* ExportArtifact(
      Context* context, const v1::ExportArtifactRequest* request) override {
    return ExportArtifactCall(environment_, Name("ExportArtifact", "server_stream"), context,
                              request);
  }

 private:
  static RpcName Name(const char* method, const char* type) {
    return {v1::QtipService::service_full_name(), method, type};
  }

  template <typename Request, typename Response, typename Verb>
  grpc::ServerUnaryReactor* Unary(Context* context, const char* method, const Request* request,
                                  Response* response, Verb verb) {
    return UnaryCall(environment_, Name(method, "unary"), context, request, response,
                     [this, verb](const Request& r, const CallContext& call) {
                       return verb(environment_.engine, r, call);
                     });
  }

  const RpcEnvironment& environment_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_QTIP_SERVICE_H_
