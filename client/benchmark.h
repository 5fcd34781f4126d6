// One benchmark from start to finish, for the commands that measure.
#ifndef QTIPD_CLIENT_BENCHMARK_H_
#define QTIPD_CLIENT_BENCHMARK_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/session.h"

namespace qtipd {

inline constexpr char kCacheModes[] = "rotate, cold, hot";

// One of kCacheModes. Errors: USAGE.
absl::StatusOr<v1::CacheMode> ParseCacheMode(const std::string& field, const std::string& text);

// Starts `request` with a request id of its own and waits for the run.
absl::StatusOr<v1::Run> RunBenchmark(Session& session, Connection& connection,
                                     v1::StartBenchmarkRequest request);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_BENCHMARK_H_
