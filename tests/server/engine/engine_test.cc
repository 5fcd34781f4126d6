#include "server/engine/engine.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/server/engine/engine_fixture.h"

namespace qtipd {
namespace {

class EngineTest : public EngineFixture {};

// ---- Quantize and artefacts ----

TEST_F(EngineTest, QuantizesARandomMatrixIntoAnArtifact) {
  Quantize("w");
  const auto artifact = engine_->GetArtifact("w");
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->format, "fake");
  EXPECT_EQ(artifact->shape, (Shape{8, 8}));
  EXPECT_EQ(artifact->bits_per_weight, 32);
  EXPECT_EQ(artifact->source, "random seed=7");
  EXPECT_EQ(artifact->loaded_on, std::vector<std::string>{"fake"});
  EXPECT_EQ(artifact->quantized_on, "Fake Device");
  ASSERT_TRUE(artifact->quality.has_value());
  // Rounding to multiples of 1/4: uniform errors of variance (1/4)^2 / 12, W of variance 1.
  EXPECT_NEAR(artifact->quality->weight_mse, 0.0052, 0.003);
  EXPECT_NEAR(artifact->quality->relative_output_mse, 0.0052, 0.004);
  EXPECT_EQ(artifact->quality->proxy_error, 0.25);
  EXPECT_EQ(metrics_.artifacts("fake"), (FakeMetrics::CountAndBytes{1, 256}));
  EXPECT_EQ(metrics_.resident("fake"), (FakeMetrics::CountAndBytes{1, 256}));
}

TEST_F(EngineTest, RefusesBadRequestsAtOnce) {
  QuantizeSpec spec = Random("has space");
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "NAME_INVALID");
  spec = Random(std::string(201, 'a'));
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "NAME_INVALID");
  spec = Random("w");
  spec.format = "fak";
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "FORMAT_UNKNOWN");
  spec = Random("w");
  spec.options["bits"] = int64_t{9};
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "OPTION_INVALID");
  spec = Random("w", {6, 8});
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "SHAPE_UNSUPPORTED");
  spec = Random("w", {0, 8});
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "SHAPE_UNSUPPORTED");
  spec = Random("w");
  spec.random.reset();
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "SOURCE_INVALID");
  spec = Random("w");
  spec.device = "fake:7";
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "DEVICE_NOT_FOUND");
  EXPECT_TRUE(engine_->ListOperations({})->items.empty());
}

TEST_F(EngineTest, RefusesAMatrixLargerThanMemoryWithBothFigures) {
  for (const int64_t side : {int64_t{1} << 24, int64_t{1} << 40, int64_t{1} << 62}) {
    const absl::Status status = engine_->StartQuantize(Random("w", {side, side})).status();
    ASSERT_EQ(Reason(status), "MATRIX_TOO_LARGE") << status;
    EXPECT_EQ(GetErrorInfo(status).metadata.count("needed_bytes"), 1u);
    EXPECT_EQ(GetErrorInfo(status).metadata.count("available_bytes"), 1u);
  }
}

TEST_F(EngineTest, AHostOutOfMemoryFailsTheJobAndNotTheDaemon) {
  format_->on_quantize = [] { throw std::bad_alloc(); };
  EXPECT_EQ(QuantizeReason(Random("w")), "HOST_MEMORY_EXHAUSTED");
  format_->on_quantize = [] {};
  Quantize("w");
}

TEST_F(EngineTest, RefusesADuplicateName) {
  Quantize("w");
  EXPECT_EQ(Reason(engine_->StartQuantize(Random("w")).status()), "ARTIFACT_EXISTS");
}

TEST_F(EngineTest, IfAbsentGivesTheExistingArtifactOfTheSameRecipe) {
  Quantize("w");
  QuantizeSpec spec = Random("w");
  spec.if_absent = true;
  const OperationRecord again = Await(engine_->StartQuantize(spec));
  EXPECT_EQ(again.state, OperationState::kSucceeded) << again.error;
  EXPECT_EQ(again.result, "w");
  spec.options["bits"] = int64_t{3};
  const absl::Status status = engine_->StartQuantize(spec).status();
  EXPECT_EQ(Reason(status), "ARTIFACT_RECIPE_DIFFERS");
  EXPECT_EQ(status.message(), "bits: got 3, allowed 2, as in artifact w, or a free name");
}

TEST_F(EngineTest, ArtifactsSurviveARestart) {
  Quantize("w");
  const ArtifactRecord before = *engine_->GetArtifact("w");
  Open();
  const ArtifactRecord after = *engine_->GetArtifact("w");
  EXPECT_EQ(after.sha256, before.sha256);
  EXPECT_EQ(after.options, before.options);
  EXPECT_EQ(after.quality->weight_mse, before.quality->weight_mse);
  EXPECT_TRUE(after.loaded_on.empty());
  EXPECT_EQ(Await(engine_->StartBenchmark(Bench("w"))).state, OperationState::kSucceeded);
}

TEST_F(EngineTest, DeletingAnArtifactFreesFileAndDevice) {
  Quantize("w");
  const std::string file =
      config_.data_dir + "/artifacts/" + engine_->GetArtifact("w")->sha256 + ".safetensors";
  ASSERT_TRUE(std::filesystem::exists(file));
  ASSERT_TRUE(engine_->DeleteArtifact("w").ok());
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_EQ(Reason(engine_->GetArtifact("w").status()), "ARTIFACT_NOT_FOUND");
  engine_->Shutdown();  // runs what is queued
  EXPECT_EQ(device_->live_buffers, 0);
}

TEST_F(EngineTest, TwoNamesOfOneContentShareTheFile) {
  Quantize("a");
  Quantize("b");
  ASSERT_EQ(engine_->GetArtifact("a")->sha256, engine_->GetArtifact("b")->sha256);
  ASSERT_TRUE(engine_->DeleteArtifact("a").ok());
  EXPECT_EQ(Await(engine_->StartBenchmark(Bench("b"))).state, OperationState::kSucceeded);
}

TEST_F(EngineTest, LoadsAndUnloads) {
  Quantize("w");
  EXPECT_EQ(Await(engine_->StartUnload({"w", ""})).state, OperationState::kSucceeded);
  EXPECT_TRUE(engine_->GetArtifact("w")->loaded_on.empty());
  EXPECT_EQ(Await(engine_->StartLoad({"w", ""})).state, OperationState::kSucceeded);
  EXPECT_EQ(engine_->GetArtifact("w")->loaded_on, std::vector<std::string>{"fake"});
  EXPECT_EQ(Reason(engine_->StartLoad({"v", ""}).status()), "ARTIFACT_NOT_FOUND");
}

// ---- Benchmarks ----

TEST_F(EngineTest, BenchmarksAndKeepsEverySample) {
  Quantize("w");
  BenchmarkSpec spec = Bench("w");
  spec.batches = {1, 4};
  const OperationRecord done = Await(engine_->StartBenchmark(spec));
  ASSERT_EQ(done.state, OperationState::kSucceeded) << done.error;
  Open();
  const auto run = engine_->GetRun(done.result);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->environment.at("version"), "test");
  EXPECT_EQ(run->environment.count("kernel"), 1u);
  ASSERT_EQ(run->results.size(), 2u);
  const BenchmarkResult& result = run->results[1];
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.batch, 4);
  EXPECT_EQ(result.samples.size(), 10u);
  EXPECT_EQ(result.stop_reason, StopReason::kSampleLimit);
  EXPECT_NEAR(result.latency.median, 1e-3, 1e-5);
  EXPECT_EQ(result.effective_bytes_per_second, 1000 / result.latency.median);
  EXPECT_LT(result.relative_error, 1e-6);
  EXPECT_GT(result.copies, 1);
  ASSERT_EQ(result.steps.size(), 2u);
  EXPECT_EQ(result.steps[0].name, "fused_decode");
  EXPECT_EQ(result.notes.at("kernel"), "fake");
  EXPECT_EQ(engine_->ListRuns({})->items.at(0).results[1].samples.size(), 0u);
}

TEST_F(EngineTest, BenchmarksActivationsOfAnotherDType) {
  Quantize("w");
  BenchmarkSpec spec = Bench("w");
  spec.activation_dtype = "BF16";
  const OperationRecord done = Await(engine_->StartBenchmark(spec));
  ASSERT_EQ(done.state, OperationState::kSucceeded) << done.error;
  const RunRecord run = *engine_->GetRun(done.result);
  EXPECT_EQ(run.spec->activation_dtype, "BF16");
  EXPECT_EQ(run.environment.at("compute_dtype"), "F32");
  const BenchmarkResult& result = run.results.at(0);
  EXPECT_EQ(result.activation_dtype, "BF16");
  EXPECT_GT(result.relative_error, 1e-5) << "y was rounded";
  EXPECT_EQ(result.relative_error_bound, 1e-5 + 0x1p-8);
  EXPECT_EQ(result.steps.front().name, "input_cast");
  EXPECT_EQ(result.steps.back().name, "output_cast");
  EXPECT_TRUE(result.comparability_key.ends_with("; activations=BF16"));
}

TEST_F(EngineTest, ActivationsAreOfTheComputeDTypeUnlessNamed) {
  Quantize("w");
  const RunRecord run = *engine_->GetRun(Await(engine_->StartBenchmark(Bench("w"))).result);
  EXPECT_EQ(run.spec->activation_dtype, "F32");
  EXPECT_EQ(run.results.at(0).activation_dtype, "F32");
  EXPECT_TRUE(run.results.at(0).comparability_key.ends_with("; batch=1"));
}

TEST_F(EngineTest, ACellThatCannotRunDoesNotSpoilTheOthers) {
  Quantize("w");
  BenchmarkSpec spec = Bench("w");
  spec.batches = {1, 16};  // the fake format's kernel takes 4
  const OperationRecord done = Await(engine_->StartBenchmark(spec));
  ASSERT_EQ(done.state, OperationState::kSucceeded);
  const RunRecord run = *engine_->GetRun(done.result);
  EXPECT_TRUE(run.results[0].status.ok());
  EXPECT_EQ(Reason(run.results[1].status), "BATCH_UNSUPPORTED");
}

TEST_F(EngineTest, FailsWhereNoCellCouldRun) {
  Quantize("w");
  BenchmarkSpec spec = Bench("w");
  spec.batches = {16};
  EXPECT_EQ(Reason(Await(engine_->StartBenchmark(spec)).error), "BATCH_UNSUPPORTED");
}

TEST_F(EngineTest, AWrongOutputIsAnError) {
  format_->multiply_error = 0.1f;
  Quantize("w");
  EXPECT_EQ(Reason(Await(engine_->StartBenchmark(Bench("w"))).error), "RESULT_INCORRECT");
}

TEST_F(EngineTest, AnOutputThatTheTimedRunsDoNotWriteIsAnError) {
  Quantize("w");
  device_->writes_nothing = true;
  EXPECT_EQ(Reason(Await(engine_->StartBenchmark(Bench("w"))).error), "RESULT_INCORRECT");
}

TEST_F(EngineTest, RefusesBadBenchmarksAtOnce) {
  Quantize("w");
  BenchmarkSpec spec = Bench("v");
  EXPECT_EQ(Reason(engine_->StartBenchmark(spec).status()), "ARTIFACT_NOT_FOUND");
  spec = Bench("w");
  spec.paths = {"warp"};
  EXPECT_EQ(Reason(engine_->StartBenchmark(spec).status()), "PATH_UNKNOWN");
  spec = Bench("w");
  spec.batches = {0};
  EXPECT_EQ(Reason(engine_->StartBenchmark(spec).status()), "BATCH_INVALID");
  spec = Bench("w");
  spec.samples = -1;
  EXPECT_EQ(Reason(engine_->StartBenchmark(spec).status()), "STOPPING_RULE_INVALID");
  spec = Bench("w");
  spec.activation_dtype = "F16";
  const ErrorInfo refused = GetErrorInfo(engine_->StartBenchmark(spec).status());
  EXPECT_EQ(refused.reason, "ACTIVATION_DTYPE_UNSUPPORTED");
  EXPECT_EQ(refused.metadata.at("got"), "F16");
  EXPECT_EQ(refused.metadata.at("allowed"), "F32, BF16 on fake");
}

// ---- Operations ----

TEST_F(EngineTest, TheSameRequestIdStartsOneOperation) {
  QuantizeSpec spec = Random("w");
  spec.request_id = "key";
  const auto first = engine_->StartQuantize(spec);
  Await(first);
  const auto again = engine_->StartQuantize(spec);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, first->id);
  spec.name = "v";
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "REQUEST_ID_REUSED");
  clock_.Advance(25 * 3600);
  EXPECT_EQ(Await(engine_->StartQuantize(spec)).state, OperationState::kSucceeded);
}

TEST_F(EngineTest, CancelsARunningQuantization) {
  Gate entered;
  Gate proceed;
  format_->on_quantize = [&] {
    entered.Open();
    proceed.Wait();
  };
  const auto started = engine_->StartQuantize(Random("w"));
  entered.Wait();
  EXPECT_TRUE(engine_->CancelOperation(started->id).ok());
  EXPECT_EQ(Reason(engine_->DeleteOperation(started->id)), "OPERATION_NOT_FINISHED");
  proceed.Open();
  EXPECT_EQ(Await(started).state, OperationState::kCancelled);
  EXPECT_EQ(Reason(engine_->GetArtifact("w").status()), "ARTIFACT_NOT_FOUND");
  EXPECT_TRUE(engine_->DeleteOperation(started->id).ok());
}

TEST_F(EngineTest, CancelsAQueuedOperationAtOnce) {
  Gate entered;
  Gate proceed;
  format_->on_quantize = [&] {
    entered.Open();
    proceed.Wait();
  };
  const auto first = engine_->StartQuantize(Random("a"));
  const auto second = engine_->StartQuantize(Random("b"));
  entered.Wait();
  EXPECT_TRUE(engine_->CancelOperation(second->id).ok());
  EXPECT_EQ(engine_->GetOperation(second->id)->state, OperationState::kCancelled);
  proceed.Open();
  EXPECT_EQ(Await(first).state, OperationState::kSucceeded);
  EXPECT_EQ(Reason(engine_->GetArtifact("b").status()), "ARTIFACT_NOT_FOUND");
}

TEST_F(EngineTest, RefusesMoreThanTheQueueHolds) {
  Gate proceed;
  format_->on_quantize = [&] { proceed.Wait(); };
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    status = engine_->StartQuantize(Random("w" + std::to_string(i))).status();
  }
  EXPECT_EQ(Reason(status), "QUEUE_FULL");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  proceed.Open();
  engine_->Shutdown();  // before the gate is gone
}

TEST_F(EngineTest, ShutdownInterruptsWhatRunsAndRefusesMore) {
  Gate entered;
  std::atomic<bool> may_go{false};
  format_->on_quantize = [&] {
    entered.Open();
    while (!may_go) std::this_thread::yield();
  };
  const auto running = engine_->StartQuantize(Random("a"));
  const auto queued = engine_->StartQuantize(Random("b"));
  entered.Wait();
  std::thread stopper([&] { engine_->Shutdown(); });
  while (engine_->GetOperation(queued->id)->state == OperationState::kQueued) {
    std::this_thread::yield();
  }
  EXPECT_EQ(Reason(engine_->StartQuantize(Random("c")).status()), "SERVER_DRAINING");
  may_go = true;
  stopper.join();
  EXPECT_EQ(engine_->GetOperation(running->id)->state, OperationState::kInterrupted);
  EXPECT_EQ(engine_->GetOperation(queued->id)->state, OperationState::kInterrupted);
  EXPECT_EQ(device_->live_buffers, 0);
}

TEST_F(EngineTest, ALostDeviceFailsTheJobAndCallsTheHandlerOnce) {
  Quantize("w");
  Gate lost;
  std::atomic<int> calls{0};
  std::string operation_id;
  OperationState seen = OperationState::kQueued;
  Gate started_gate;
  engine_->SetDeviceLostHandler([&](const std::string& device) {
    EXPECT_EQ(device, "fake");
    started_gate.Wait();
    seen = engine_->GetOperation(operation_id)->state;
    ++calls;
    lost.Open();
  });
  device_->on_replay = [&] { device_->is_lost = true; };
  const auto started = engine_->StartBenchmark(Bench("w"));
  operation_id = started->id;
  started_gate.Open();
  lost.Wait();
  EXPECT_EQ(seen, OperationState::kFailed);  // stored before the handler is called
  EXPECT_EQ(Reason(engine_->GetOperation(started->id)->error), "DEVICE_LOST");
  EXPECT_FALSE(engine_->ListDevices()[0].is_healthy);
  EXPECT_EQ(Reason(engine_->StartBenchmark(Bench("w")).status()), "DEVICE_UNHEALTHY");
  engine_->Shutdown();
  EXPECT_EQ(calls, 1);
}

// ---- Opening ----

TEST_F(EngineTest, ADataDirectoryHasOneDaemon) {
  std::unique_ptr<Engine> first = std::move(engine_);
  EXPECT_EQ(Reason(TryOpen()), "DATA_DIR_IN_USE");
}

TEST_F(EngineTest, TellsOfItsDirectoryAlsoWhereTheStartFailsLater) {
  int told = 0;
  config_.on_directory_locked = [&] { ++told; };
  config_.device_selection = "cuda:7";
  EXPECT_FALSE(TryOpen().ok());
  EXPECT_EQ(told, 1);
}

TEST_F(EngineTest, NamesTheDevicesThereAre) {
  config_.device_selection = "cuda:3";
  const absl::Status status = TryOpen();
  EXPECT_EQ(Reason(status), "DEVICE_NOT_FOUND");
  EXPECT_NE(std::string(status.message()).find("fake:0"), std::string::npos) << status;
}

TEST_F(EngineTest, NeedsADataDirectoryThatItCanWrite) {
  config_.data_dir = "/proc/qtipd";
  EXPECT_EQ(Reason(TryOpen()), "DATA_DIR_NOT_WRITABLE");
}

}  // namespace
}  // namespace qtipd
