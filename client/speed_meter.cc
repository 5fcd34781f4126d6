#include "client/speed_meter.h"

#include <utility>
#include <vector>

#include "client/benchmark.h"
#include "client/operation_wait.h"
#include "client/rpc_status.h"
#include "client/suite_run.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr char kComputeShare[] = "sm__throughput.avg.pct_of_peak_sustained_elapsed";
constexpr char kMemoryShare[] = "dram__throughput.avg.pct_of_peak_sustained_elapsed";

// Not a refusal of the counters: the suite cannot go on.
bool EndsTheSuite(const absl::Status& status) {
  const std::string reason = GetErrorInfo(status).reason;
  return absl::IsCancelled(status) || absl::IsAborted(status) || absl::IsDeadlineExceeded(status) ||
         reason == "TARGET_UNREACHABLE" || reason == "SERVER_DRAINING";
}

}  // namespace

SpeedMeter::SpeedMeter(Session& session, Connection& connection, const Suite& suite,
                       std::string device, const InterruptScope& interrupt)
    : session_(session),
      connection_(connection),
      suite_(suite),
      device_(std::move(device)),
      interrupt_(interrupt),
      has_counters_(suite.report == SpeedReport::kTinyGemm) {}

absl::Status SpeedMeter::Measure(SpeedResult& result) {
  if (interrupt_.WasInterrupted()) {
    return InterruptedByUser(SpeedCaseText(result.speed_case), "it was not begun");
  }
  QTIPD_RETURN_IF_ERROR(AddRuns(result));
  if (!has_counters_) return absl::OkStatus();
  const absl::Status status = AddShares(result);
  if (status.ok()) return status;
  result.shares.clear();
  if (EndsTheSuite(status)) return status;
  has_counters_ = false;
  session_.err() << "no shares of the peak: " << ErrorLine(status).substr(7) << "\n";
  return absl::OkStatus();
}

absl::Status SpeedMeter::AddRuns(SpeedResult& result) {
  v1::StartQuantizeRequest quantize = SpeedQuantizeRequest(suite_, result.speed_case);
  quantize.set_device(device_);
  QTIPD_ASSIGN_OR_RETURN(result.artifact, QuantizeForSuite(session_, connection_, quantize));
  v1::StartBenchmarkRequest request = suite_.benchmark;
  request.set_artifact(result.artifact.name());
  request.set_device(device_);
  request.set_activation_dtype(result.speed_case.activations);
  const std::vector<int64_t>& batches = result.speed_case.batches;
  request.mutable_batches()->Add(batches.begin(), batches.end());
  while (std::ssize(result.runs) < suite_.repeats) {
    QTIPD_ASSIGN_OR_RETURN(v1::Run run, RunBenchmark(session_, connection_, request));
    result.runs.push_back(std::move(run));
  }
  return absl::OkStatus();
}

// Of paths dense and fused at every batch. The first refusal ends it: a device that gives one no
// counters gives none to any.
absl::Status SpeedMeter::AddShares(SpeedResult& result) {
  for (const std::string path : {"dense", "fused"}) {
    for (const int64_t batch : result.speed_case.batches) {
      QTIPD_ASSIGN_OR_RETURN((result.shares[{path, batch}]), ReadShares(result, path, batch));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PeakShares> SpeedMeter::ReadShares(const SpeedResult& result,
                                                  const std::string& path, int64_t batch) {
  v1::StartProfileRequest request;
  request.set_request_id(NewRequestId());
  request.set_artifact(result.artifact.name());
  request.set_device(device_);
  request.set_path(path);
  request.set_batch(batch);
  request.set_activation_dtype(result.speed_case.activations);
  request.add_metrics(kComputeShare);
  request.add_metrics(kMemoryShare);
  QTIPD_ASSIGN_OR_RETURN(const Operation started,
                         connection_.Call(&v1::QtipService::Stub::StartProfile, request));
  QTIPD_ASSIGN_OR_RETURN(const auto profile,
                         AwaitResult<v1::Profile>(session_, connection_, started));
  PeakShares shares;
  for (const v1::MetricValue& metric : profile.metrics()) {
    if (metric.name() == kComputeShare) shares.compute = metric.value() / 100;
    if (metric.name() == kMemoryShare) shares.memory = metric.value() / 100;
  }
  return shares;
}

}  // namespace qtipd
