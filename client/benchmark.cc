#include "client/benchmark.h"

#include "client/operation_wait.h"
#include "client/rpc_status.h"

namespace qtipd {

absl::StatusOr<v1::CacheMode> ParseCacheMode(const std::string& field, const std::string& text) {
  if (text == "rotate") return v1::CACHE_MODE_ROTATE;
  if (text == "cold") return v1::CACHE_MODE_COLD;
  if (text == "hot") return v1::CACHE_MODE_HOT;
  return UsageError(field, "'" + text + "'", kCacheModes);
}

absl::StatusOr<v1::Run> RunBenchmark(Session& session, Connection& connection,
                                     v1::StartBenchmarkRequest request) {
  request.set_request_id(NewRequestId());
  QTIPD_ASSIGN_OR_RETURN(const Operation started,
                         connection.Call(&v1::QtipService::Stub::StartBenchmark, request));
  return AwaitResult<v1::Run>(session, connection, started);
}

}  // namespace qtipd
