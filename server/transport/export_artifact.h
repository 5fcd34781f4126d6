// ExportArtifact: an artefact's file, in chunks.
#ifndef QTIPD_SERVER_TRANSPORT_EXPORT_ARTIFACT_H_
#define QTIPD_SERVER_TRANSPORT_EXPORT_ARTIFACT_H_

#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "qtipd/v1/artifact.pb.h"
#include "server/metrics/rpc_metrics.h"
#include "server/transport/rpc_environment.h"

namespace qtipd {

// Returns the call's reactor, which deletes itself. Chunks of 1 MiB, the next one read only when
// the client has room for it. Errors: EXPORT_FORM_UNKNOWN, DataLoss/EXPORT_TRUNCATED, and the
// engine's.
grpc::ServerWriteReactor<v1::ExportArtifactResponse>* ExportArtifactCall(
    const RpcEnvironment& environment, RpcName name, grpc::CallbackServerContext* context,
    const v1::ExportArtifactRequest* request);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_EXPORT_ARTIFACT_H_
