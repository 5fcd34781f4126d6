// Measures the cases of a table of speeds on a daemon.
#ifndef QTIPD_CLIENT_SPEED_METER_H_
#define QTIPD_CLIENT_SPEED_METER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/connection.h"
#include "client/interrupt.h"
#include "client/session.h"
#include "client/speed_table.h"
#include "client/suite.h"

namespace qtipd {

// Used by one thread. What is given by reference outlives it.
class SpeedMeter {
 public:
  SpeedMeter(Session& session, Connection& connection, const Suite& suite, std::string device,
             const InterruptScope& interrupt);

  // Quantizes the matrix of the result's case, or finds it there, benchmarks it as often as the
  // suite's repeats exceed the runs that the result has, and, for report tiny-gemm, reads the
  // shares of the device's peak; a device that refuses these once is not asked again. Errors: the
  // daemon's; INTERRUPTED_BY_USER.
  absl::Status Measure(SpeedResult& result);

 private:
  absl::Status AddRuns(SpeedResult& result);
  absl::Status AddShares(SpeedResult& result);
  absl::StatusOr<PeakShares> ReadShares(const SpeedResult& result, const std::string& path,
                                        int64_t batch);

  Session& session_;
  Connection& connection_;
  const Suite& suite_;
  const std::string device_;
  const InterruptScope& interrupt_;
  bool has_counters_;
};

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SPEED_METER_H_
