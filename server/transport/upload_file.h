// UploadFile: a client's file on its way in.
#ifndef QTIPD_SERVER_TRANSPORT_UPLOAD_FILE_H_
#define QTIPD_SERVER_TRANSPORT_UPLOAD_FILE_H_

#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "qtipd/v1/artifact.pb.h"
#include "server/metrics/rpc_metrics.h"
#include "server/transport/rpc_environment.h"

namespace qtipd {

// Returns the call's reactor, which deletes itself. The next message is read when the last one has
// been written, so that a fast client does not fill the memory; what is not finished is removed.
// Errors: CHUNK_TOO_LARGE, UPLOAD_HASH_INVALID, UPLOAD_INCOMPLETE, and the engine's.
grpc::ServerReadReactor<v1::UploadFileRequest>* UploadFileCall(const RpcEnvironment& environment,
                                                               RpcName name,
                                                               grpc::CallbackServerContext* context,
                                                               v1::UploadFileResponse* response);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_UPLOAD_FILE_H_
