#include "server/metrics/prometheus_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

DeviceStatus ADevice() {
  DeviceStatus device;
  device.info.id = "cuda:0";
  device.info.backend = "cuda";
  device.info.name = "NVIDIA H200";
  device.info.memory_bytes = 1000;
  device.info.properties["driver"] = "580.1";
  device.memory.free_bytes = 400;
  device.queue_depth = 2;
  return device;
}

RunRecord ARun(int64_t batch) {
  BenchmarkResult result;
  result.path = "fused";
  result.batch = batch;
  result.latency.median = 0.25;
  result.effective_bytes_per_second = 4e9;
  RunRecord run;
  run.device = "cpu";
  run.format = "qtip";
  run.options = Options({{"code", std::string("hyb")}, {"bits", int64_t{2}}});
  run.results = {result};
  return run;
}

class PrometheusSinkTest : public ::testing::Test {
 protected:
  PrometheusSink sink_{{{"version", "1.2.3"}, {"git_commit", "abc"}}};
};

TEST_F(PrometheusSinkTest, TellsWhatWasBuilt) {
  EXPECT_THAT(sink_.Text(), HasSubstr("qtipd_build_info{git_commit=\"abc\",version=\"1.2.3\"} 1"));
}

TEST_F(PrometheusSinkTest, DevicesFollowTheirLastChange) {
  DeviceStatus device = ADevice();
  sink_.DeviceChanged(device);
  EXPECT_THAT(sink_.Text(), HasSubstr("qtipd_device_healthy{device=\"cuda:0\"} 1"));
  EXPECT_THAT(sink_.Text(), HasSubstr("qtipd_device_memory_free_bytes{device=\"cuda:0\"} 400"));
  device.is_healthy = false;
  sink_.DeviceChanged(device);
  EXPECT_THAT(sink_.Text(), HasSubstr("qtipd_device_healthy{device=\"cuda:0\"} 0"));
}

TEST_F(PrometheusSinkTest, ShowsWhatAGpuTellsAndOnlyThat) {
  DeviceStatus device = ADevice();
  sink_.DeviceChanged(device);
  EXPECT_THAT(sink_.Text(), Not(HasSubstr("qtipd_gpu_temperature_celsius{")));
  device.reading =
      DeviceReading{.clock_hertz = 1.98e9, .temperature_celsius = 41, .ecc_corrected_errors = 3};
  sink_.DeviceChanged(device);
  std::string text = sink_.Text();
  EXPECT_THAT(text, HasSubstr("qtipd_gpu_temperature_celsius{device=\"cuda:0\"} 41"));
  EXPECT_THAT(text, HasSubstr("qtipd_gpu_sm_clock_hertz{device=\"cuda:0\"} 1980000000"));
  EXPECT_THAT(text,
              HasSubstr("qtipd_gpu_ecc_errors_total{device=\"cuda:0\",kind=\"corrected\"} 3"));
  EXPECT_THAT(text, Not(HasSubstr("qtipd_gpu_power_watts{")));
  EXPECT_THAT(text, Not(HasSubstr("kind=\"uncorrected\"")));
  device.reading = DeviceReading{};
  sink_.DeviceChanged(device);
  EXPECT_THAT(sink_.Text(), Not(HasSubstr("qtipd_gpu_temperature_celsius{")));
}

TEST_F(PrometheusSinkTest, AStatusWithoutAReadingLeavesTheLastOne) {
  DeviceStatus device = ADevice();
  device.reading = DeviceReading{.power_watts = 120};
  sink_.DeviceChanged(device);
  sink_.DeviceChanged(ADevice());
  EXPECT_THAT(sink_.Text(), HasSubstr("qtipd_gpu_power_watts{device=\"cuda:0\"} 120"));
}

TEST_F(PrometheusSinkTest, MemoryErrorsGoOnCountingWhenTheDriverStartsAgain) {
  DeviceStatus device = ADevice();
  for (const uint64_t errors : {5, 7, 2}) {
    device.reading = DeviceReading{.ecc_uncorrected_errors = errors};
    sink_.DeviceChanged(device);
  }
  EXPECT_THAT(sink_.Text(), HasSubstr("kind=\"uncorrected\"} 9"));
}

TEST_F(PrometheusSinkTest, TheCpuIsNoGpu) {
  DeviceStatus device = ADevice();
  device.info.backend = "cpu";
  device.reading = DeviceReading{.clock_hertz = 3e9};
  sink_.DeviceChanged(device);
  EXPECT_THAT(sink_.Text(), Not(HasSubstr("qtipd_gpu_sm_clock_hertz{")));
}

TEST(PrometheusSink, ASeriesThatEndsMakesRoomForAnother) {
  PrometheusSink sink({}, 7);  // build_info, five of a device, and one
  DeviceStatus device;
  device.info.id = "cuda:0";
  device.info.backend = "cuda";
  device.reading = DeviceReading{.power_watts = 1};
  sink.DeviceChanged(device);
  device.reading = DeviceReading{.temperature_celsius = 40};
  sink.DeviceChanged(device);  // the temperature comes before the power goes
  EXPECT_THAT(sink.Text(), Not(HasSubstr("qtipd_gpu_temperature_celsius{")));
  sink.DeviceChanged(device);
  EXPECT_THAT(sink.Text(), HasSubstr("qtipd_gpu_temperature_celsius{"));
}

TEST_F(PrometheusSinkTest, CountsOperationsByOutcome) {
  OperationRecord operation;
  operation.kind = "quantize";
  operation.state = OperationState::kSucceeded;
  sink_.OperationFinished(operation, 2);
  sink_.OperationFinished(operation, 3);
  const std::string text = sink_.Text();
  EXPECT_THAT(text, HasSubstr("qtipd_operations_total{kind=\"quantize\",outcome=\"SUCCEEDED\"} 2"));
  EXPECT_THAT(text, HasSubstr("qtipd_operation_duration_seconds_sum{kind=\"quantize\"} 5"));
}

TEST_F(PrometheusSinkTest, ShowsTheLatestBenchmark) {
  sink_.BenchmarkFinished(ARun(1));
  const std::string text = sink_.Text();
  EXPECT_THAT(text, HasSubstr("qtipd_benchmark_median_seconds{batch=\"1\",bits=\"2\","
                              "cache_mode=\"rotate\",code=\"hyb\",device=\"cpu\",format=\"qtip\","
                              "path=\"fused\"} 0.25"));
  EXPECT_THAT(text,
              HasSubstr("qtipd_benchmarks_total{device=\"cpu\",outcome=\"ok\",path=\"fused\"} 1"));
}

TEST_F(PrometheusSinkTest, ActivationsAreALabelWhereTheyAreNotOfTheComputeDType) {
  RunRecord run = ARun(1);
  run.environment["compute_dtype"] = "F32";
  run.results[0].activation_dtype = "F32";
  sink_.BenchmarkFinished(run);
  EXPECT_THAT(sink_.Text(), Not(HasSubstr("activations=")));
  run.results[0].activation_dtype = "BF16";
  sink_.BenchmarkFinished(run);
  EXPECT_THAT(sink_.Text(),
              HasSubstr("qtipd_benchmark_median_seconds{activations=\"BF16\",batch="));
}

TEST_F(PrometheusSinkTest, AFailedCellHasNoTime) {
  RunRecord run = ARun(1);
  run.results[0].status = absl::UnimplementedError("no");
  sink_.BenchmarkFinished(run);
  const std::string text = sink_.Text();
  EXPECT_THAT(text, HasSubstr("outcome=\"error\""));
  EXPECT_THAT(text, Not(HasSubstr("qtipd_benchmark_median_seconds{")));
}

TEST_F(PrometheusSinkTest, UnusualBatchesShareOneSeries) {
  for (const int64_t batch : {3, 5, 7, 1000}) sink_.BenchmarkFinished(ARun(batch));
  const std::string text = sink_.Text();
  EXPECT_THAT(text, HasSubstr("batch=\"other\""));
  EXPECT_THAT(text, Not(HasSubstr("batch=\"3\"")));
}

TEST_F(PrometheusSinkTest, CountsRpcs) {
  const RpcName rpc{"qtipd.v1.QtipService", "GetArtifact", "unary"};
  sink_.RpcStarted(rpc);
  sink_.RpcHandled(rpc, "NotFound", 0.01);
  EXPECT_THAT(
      sink_.Text(),
      HasSubstr("grpc_server_handled_total{grpc_code=\"NotFound\",grpc_method="
                "\"GetArtifact\",grpc_service=\"qtipd.v1.QtipService\",grpc_type=\"unary\"} 1"));
}

TEST_F(PrometheusSinkTest, RefreshesBeforeAScrape) {
  sink_.SetRefresh([this] { sink_.DeviceChanged(ADevice()); });
  EXPECT_THAT(sink_.Text(), HasSubstr("qtipd_device_queue_depth{device=\"cuda:0\"} 2"));
}

TEST(PrometheusSink, DropsAndCountsSeriesBeyondItsLimit) {
  PrometheusSink sink({}, 3);
  for (int i = 0; i < 5; ++i) {
    sink.ResidentChanged("cuda:" + std::to_string(i), "qtip", 1, 10);
  }
  const std::string text = sink.Text();
  EXPECT_THAT(text, HasSubstr("cuda:0"));
  EXPECT_THAT(text, Not(HasSubstr("cuda:4")));
  EXPECT_THAT(text, HasSubstr("qtipd_metrics_dropped_series_total 8"));
}

TEST_F(PrometheusSinkTest, PleasesPromtool) {
  if (std::string(QTIPD_PROMTOOL).empty()) GTEST_SKIP() << "promtool is not installed";
  DeviceStatus device = ADevice();
  device.reading = DeviceReading{.clock_hertz = 1e9,
                                 .memory_clock_hertz = 2e9,
                                 .temperature_celsius = 40,
                                 .power_watts = 100,
                                 .ecc_corrected_errors = 0,
                                 .ecc_uncorrected_errors = 0};
  sink_.DeviceChanged(device);
  sink_.BenchmarkFinished(ARun(1));
  sink_.ArtifactsChanged("qtip", 1, 10);
  sink_.ResidentChanged("cpu", "qtip", 1, 10);
  OperationRecord operation;
  operation.kind = "import";
  sink_.OperationFinished(operation, 1);
  sink_.RpcStarted({"s", "m", "unary"});
  sink_.RpcHandled({"s", "m", "unary"}, "OK", 1);
  const std::string output = ::testing::TempDir() + "/promtool-output";
  std::FILE* pipe =
      popen((std::string(QTIPD_PROMTOOL) + " check metrics >" + output + " 2>&1").c_str(), "w");
  const std::string text = sink_.Text();
  ASSERT_EQ(std::fwrite(text.data(), 1, text.size(), pipe), text.size());
  EXPECT_EQ(pclose(pipe), 0);
  std::FILE* said = std::fopen(output.c_str(), "r");
  char line[4096] = {};
  EXPECT_EQ(std::fread(line, 1, sizeof(line) - 1, said), 0u) << line;
  std::fclose(said);
}

}  // namespace
}  // namespace qtipd
