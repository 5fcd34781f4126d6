// A run with made-up but consistent numbers: dense 20 µs, dequant 40 µs, fused 5 µs.
#ifndef QTIPD_TESTS_CLIENT_SAMPLE_RUNS_H_
#define QTIPD_TESTS_CLIENT_SAMPLE_RUNS_H_

#include <string>
#include <utility>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "qtipd/v1/benchmark.pb.h"

namespace qtipd {

using StepList = std::vector<std::pair<std::string, double>>;

inline void AddResult(v1::Run& run, const std::string& path, double median, const StepList& steps) {
  v1::BenchmarkResult& result = *run.add_results();
  result.set_path(path);
  result.set_batch(1);
  result.set_cache_mode("rotate");
  v1::Latency& latency = *result.mutable_latency();
  latency.set_median(median);
  latency.set_ci_low(median * 0.99);
  latency.set_ci_high(median * 1.01);
  for (double factor : {0.99, 1.0, 1.01}) latency.add_samples(median * factor);
  latency.set_stop_reason("CONVERGED");
  for (const auto& [name, seconds] : steps) {
    v1::StepLatency& step = *result.add_steps();
    step.set_name(name);
    step.set_median_seconds(seconds);
  }
  result.set_weight_bytes(path == "fused" ? 4229120 : 33554432);
  result.set_compression_ratio(path == "fused" ? 7.934 : 1);
  result.set_effective_bytes_per_second(8e11);
  result.set_relative_error(1e-4);
  result.set_relative_error_bound(1e-3);
}

inline v1::Run SampleRun(const std::string& artifact, int bits) {
  v1::Run run;
  run.set_id("run-1");
  run.set_artifact(artifact);
  run.set_format("qtip");
  (*run.mutable_format_options())["bits"].set_integer(bits);
  (*run.mutable_format_options())["code"].set_text("hyb");
  run.mutable_shape()->set_out_features(4096);
  run.mutable_shape()->set_in_features(4096);
  run.mutable_quality()->set_weight_mse(0.0715);
  run.mutable_quality()->set_relative_weight_mse(0.0714);
  run.mutable_quality()->set_output_mse(299.8);
  AddResult(run, "dense", 20e-6, {});
  AddResult(run, "dequant", 40e-6, {{"decode", 25e-6}, {"gemv", 15e-6}});
  AddResult(run, "fused", 5e-6,
            {{"input_rotation", 1e-6},
             {"fused_decode", 3e-6},
             {"output_rotation", 0.8e-6},
             {"output_scale", 0.2e-6}});
  return run;
}

inline google::rpc::Status CellError() {
  google::rpc::Status status;
  status.set_code(12);
  status.set_message("batch: got 64, allowed 1 to 8");
  google::rpc::ErrorInfo info;
  info.set_reason("BATCH_UNSUPPORTED");
  status.add_details()->PackFrom(info);
  return status;
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_CLIENT_SAMPLE_RUNS_H_
