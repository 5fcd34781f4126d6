// Each RPC without a server: the request reaches the engine whole, with the defaults of the protos.
#include "server/service/handlers.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "kernels/api/error.h"
#include "tests/fakes/fake_engine.h"

namespace qtipd {
namespace {

class FakePath final : public InferencePath {
 public:
  explicit FakePath(std::string id) : id_(std::move(id)) {}
  std::string_view id() const override { return id_; }
  std::string_view summary() const override { return "a path"; }
  uint64_t WeightBytesPerCopy(const ResidentWeights&, const Device&) const override { return 0; }
  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(Device&, ResidentWeights&,
                                                        const PathProblem&) const override {
    return absl::UnimplementedError("not for tests");
  }

 private:
  const std::string id_;
};

class FakeClock final : public Clock {
 public:
  int64_t NowUnixMillis() override { return 0; }
  double MonotonicSeconds() override { return 42; }
  void Sleep(double) override {}
};

class Handlers : public testing::Test {
 protected:
  Handlers() {
    engine_.plugins.AddPath(std::make_unique<FakePath>("dense"));
    engine_.plugins.AddPath(std::make_unique<FakePath>("fused"));
  }

  template <typename T>
  static std::string Reason(const absl::StatusOr<T>& result) {
    return result.ok() ? "OK" : GetErrorInfo(result.status()).reason;
  }

  FakeEngine engine_;
  CallContext call_;
};

TEST_F(Handlers, ServerInfoHoldsTheCatalogue) {
  engine_.devices.resize(1);
  engine_.devices[0].info.id = "cpu";
  engine_.backends = {{"cpu", true, ""}, {"cuda", false, "no driver"}};
  ServerFacts facts;
  facts.build = {{"version", "1.2.3"}, {"git_commit", "abc"}};
  facts.http_address = "127.0.0.1:9464";
  facts.start_seconds = 40;
  FakeClock clock;
  const auto info = GetServerInfo(engine_, facts, clock, call_);
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->version(), "1.2.3");
  EXPECT_EQ(info->git_commit(), "abc");
  EXPECT_EQ(info->uptime_seconds(), 2);
  EXPECT_EQ(info->devices(0).id(), "cpu");
  EXPECT_EQ(info->backends(1).reason(), "no driver");
  EXPECT_EQ(info->paths_size(), 2);
}

TEST_F(Handlers, TheDoctorsFindingsAreTheEngines) {
  engine_.findings = {{"gpu_mig", Severity::kProblem, "what", "why", "mend", "cuda:0"},
                      {"memory", Severity::kWarning, "w"},
                      {"disk_space", Severity::kOk, "o"}};
  v1::RunDoctorRequest request;
  request.set_device("cuda:0");
  const auto response = RunDoctor(engine_, request, call_);
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(engine_.examined, "cuda:0");
  ASSERT_EQ(response->findings_size(), 3);
  const v1::Finding& first = response->findings(0);
  EXPECT_EQ(first.id(), "gpu_mig");
  EXPECT_EQ(first.severity(), v1::SEVERITY_PROBLEM);
  EXPECT_EQ(first.what(), "what");
  EXPECT_EQ(first.why(), "why");
  EXPECT_EQ(first.cure_command(), "mend");
  EXPECT_EQ(first.device(), "cuda:0");
  EXPECT_EQ(response->findings(1).severity(), v1::SEVERITY_WARNING);
  EXPECT_EQ(response->findings(2).severity(), v1::SEVERITY_OK);
}

TEST_F(Handlers, ListPathsFollowsTheRegistry) {
  const auto paths = ListPaths(engine_, {}, call_);
  ASSERT_EQ(paths->paths_size(), 2);
  EXPECT_EQ(paths->paths(1).id(), "fused");
  EXPECT_EQ(paths->paths(1).summary(), "a path");
}

TEST_F(Handlers, QuantizePassesARandomMatrixOn) {
  v1::StartQuantizeRequest request;
  request.set_request_id("key");
  request.set_name("w2");
  request.set_format("qtip");
  request.set_seed(3);
  request.mutable_random()->mutable_shape()->set_out_features(32);
  request.mutable_random()->mutable_shape()->set_in_features(64);
  request.mutable_random()->set_seed(9);
  (*request.mutable_format_options())["bits"].set_integer(2);
  const auto operation = StartQuantize(engine_, request, call_);
  ASSERT_TRUE(operation.ok());
  EXPECT_EQ(operation->name(), "operations/1");
  const QuantizeSpec& spec = *engine_.quantize;
  EXPECT_EQ(spec.request_id, "key");
  EXPECT_EQ(spec.seed, 3u);
  EXPECT_EQ(spec.random->shape, (Shape{32, 64}));
  EXPECT_EQ(spec.random->seed, 9u);
  EXPECT_FALSE(spec.tensor);
  EXPECT_EQ(std::get<int64_t>(spec.options.at("bits")), 2);
}

TEST_F(Handlers, QuantizePassesATensorAndItsHessianOn) {
  v1::StartQuantizeRequest request;
  v1::TensorMatrix& tensor = *request.mutable_tensor();
  tensor.mutable_file()->set_upload_id("u1");
  tensor.set_tensor("W");
  tensor.set_hessian_tensor("H");
  tensor.mutable_hessian_file()->set_server_path("/data/h.safetensors");
  ASSERT_TRUE(StartQuantize(engine_, request, call_).ok());
  const TensorSource& source = *engine_.quantize->tensor;
  EXPECT_EQ(source.file.upload_id, "u1");
  EXPECT_EQ(source.hessian_tensor, "H");
  EXPECT_EQ(source.hessian_file.server_path, "/data/h.safetensors");
}

TEST_F(Handlers, QuantizeNeedsASource) {
  v1::StartQuantizeRequest request;
  EXPECT_EQ(Reason(StartQuantize(engine_, request, call_)), "SOURCE_INVALID");
  request.mutable_tensor()->set_tensor("W");
  EXPECT_EQ(Reason(StartQuantize(engine_, request, call_)), "FILE_SOURCE_INVALID");
  request.mutable_tensor()->mutable_file()->set_upload_id("u1");
  request.mutable_tensor()->clear_tensor();
  EXPECT_EQ(Reason(StartQuantize(engine_, request, call_)), "TENSOR_NAME_MISSING");
  request.mutable_tensor()->set_tensor("W");
  request.mutable_tensor()->mutable_hessian_file()->set_upload_id("u2");
  EXPECT_EQ(Reason(StartQuantize(engine_, request, call_)), "TENSOR_NAME_MISSING");
  EXPECT_FALSE(engine_.quantize);
}

TEST_F(Handlers, AnErrorOfTheEngineIsTheAnswer) {
  engine_.start_error = MakeError(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "later");
  v1::StartQuantizeRequest request;
  request.mutable_random();
  EXPECT_EQ(Reason(StartQuantize(engine_, request, call_)), "SERVER_DRAINING");
}

TEST_F(Handlers, ImportPassesEverythingOn) {
  v1::StartImportRequest request;
  request.set_name("layer");
  request.mutable_file()->set_server_path("/data/m.safetensors");
  request.set_prefix("model.");
  request.set_if_absent(true);
  ASSERT_TRUE(StartImport(engine_, request, call_).ok());
  EXPECT_EQ(engine_.import->file.server_path, "/data/m.safetensors");
  EXPECT_EQ(engine_.import->prefix, "model.");
  EXPECT_TRUE(engine_.import->if_absent);
  EXPECT_EQ(Reason(StartImport(engine_, v1::StartImportRequest(), call_)), "FILE_SOURCE_INVALID");
}

TEST_F(Handlers, ImportOfAModelPassesItsConfigOn) {
  v1::StartImportRequest request;
  request.mutable_file()->set_upload_id("u");
  request.set_model_config("{}");
  request.add_absent_tensors("lm_head.weight");
  ASSERT_TRUE(StartImport(engine_, request, call_).ok());
  EXPECT_EQ(engine_.import->model_config, "{}");
  EXPECT_EQ(engine_.import->absent_tensors, std::vector<std::string>{"lm_head.weight"});
}

TEST_F(Handlers, AModelHasItsLayersByPrefix) {
  v1::GetModelRequest request;
  request.set_name("m");
  EXPECT_EQ(Reason(GetModel(engine_, request, call_)), "MODEL_NOT_FOUND");
  ModelView& model = engine_.models["m"];
  model.record = {.name = "m", .format = "qtip", .config = "{}", .absent_tensors = {"norm"}};
  model.layers = {{"a.q.", {.name = "m/a.q", .shape = {8, 4}, .packed_bytes = 9}}};
  const auto proto = GetModel(engine_, request, call_);
  ASSERT_TRUE(proto.ok()) << proto.status();
  EXPECT_EQ(proto->layers(0).artifact(), "m/a.q");
  EXPECT_EQ(proto->layers(0).shape().out_features(), 8);
  EXPECT_EQ(proto->layers(0).packed_bytes(), 9u);
  EXPECT_EQ(proto->absent_tensors(0), "norm");
  EXPECT_FALSE(proto->has_create_time());
  v1::DeleteArtifactRequest remove;
  remove.set_name("m");
  EXPECT_EQ(Reason(DeleteArtifact(engine_, remove, call_)), "ARTIFACT_NOT_FOUND");
  remove.set_model(true);
  EXPECT_TRUE(DeleteArtifact(engine_, remove, call_).ok());
  EXPECT_TRUE(engine_.models.empty());
}

TEST_F(Handlers, CalibratePassesEverythingOn) {
  v1::StartCalibrateRequest request;
  EXPECT_EQ(Reason(StartCalibrate(engine_, request, call_)), "FILE_SOURCE_INVALID");
  request.set_name("h");
  request.mutable_file()->set_upload_id("u");
  EXPECT_EQ(Reason(StartCalibrate(engine_, request, call_)), "TENSOR_NAME_MISSING");
  request.set_tensor("X");
  request.set_add(true);
  request.set_device("cpu");
  ASSERT_TRUE(StartCalibrate(engine_, request, call_).ok());
  EXPECT_EQ(engine_.calibrate->tensor, "X");
  EXPECT_EQ(engine_.calibrate->device, "cpu");
  EXPECT_TRUE(engine_.calibrate->add);
}

TEST_F(Handlers, HessiansAreListedShownAndDeleted) {
  engine_.hessians["h"] = {.name = "h", .in_features = 4, .tokens = 2, .sources = {"x"}};
  EXPECT_EQ(ListHessians(engine_, {}, call_)->hessians(0).tokens(), 2);
  v1::GetHessianRequest get;
  get.set_name("h");
  EXPECT_EQ(GetHessian(engine_, get, call_)->sources(0), "x");
  v1::DeleteHessianRequest remove;
  remove.set_name("h");
  EXPECT_TRUE(DeleteHessian(engine_, remove, call_).ok());
  EXPECT_EQ(Reason(DeleteHessian(engine_, remove, call_)), "HESSIAN_NOT_FOUND");
}

TEST_F(Handlers, BenchmarkFillsTheDefaultsOfTheProto) {
  v1::StartBenchmarkRequest request;
  request.set_artifact("w2");
  ASSERT_TRUE(StartBenchmark(engine_, request, call_).ok());
  const BenchmarkSpec& spec = *engine_.benchmark;
  EXPECT_EQ(spec.paths, (std::vector<std::string>{"dense", "fused"}));
  EXPECT_EQ(spec.batches, (std::vector<int64_t>{1}));
  EXPECT_EQ(spec.cache_mode, CacheMode::kRotate);
  EXPECT_EQ(spec.seed, 1u);
  EXPECT_EQ(spec.samples, 0);
  EXPECT_EQ(spec.stopping_criterion, "ci-width");
  EXPECT_TRUE(spec.stopping_parameters.empty());
  EXPECT_EQ(spec.min_samples, 0);  // the criterion's
  EXPECT_EQ(spec.max_samples, 0);
  EXPECT_FALSE(spec.lock_clocks);
  EXPECT_EQ(spec.activation_dtype, "");  // the device's
  EXPECT_EQ(spec.relative_half_width, 0.005);
  EXPECT_EQ(spec.max_seconds, 15);
}

TEST_F(Handlers, BenchmarkTakesWhatIsGiven) {
  v1::StartBenchmarkRequest request;
  request.add_paths("fused");
  request.add_batches(4);
  request.add_batches(8);
  request.set_cache_mode(v1::CACHE_MODE_HOT);
  request.set_seed(5);
  request.mutable_stopping()->set_samples(200);
  request.mutable_stopping()->mutable_timeout()->set_nanos(500'000'000);
  request.mutable_stopping()->set_criterion("stdrel");
  (*request.mutable_stopping()->mutable_parameters())["max-noise"] = 0.01;
  request.set_lock_clocks(true);
  request.set_activation_dtype("BF16");
  ASSERT_TRUE(StartBenchmark(engine_, request, call_).ok());
  const BenchmarkSpec& spec = *engine_.benchmark;
  EXPECT_EQ(spec.paths, (std::vector<std::string>{"fused"}));
  EXPECT_EQ(spec.batches, (std::vector<int64_t>{4, 8}));
  EXPECT_EQ(spec.cache_mode, CacheMode::kHot);
  EXPECT_EQ(spec.seed, 5u);
  EXPECT_EQ(spec.samples, 200);
  EXPECT_EQ(spec.max_seconds, 0.5);
  EXPECT_EQ(spec.stopping_criterion, "stdrel");
  EXPECT_EQ(spec.stopping_parameters.at("max-noise"), 0.01);
  EXPECT_TRUE(spec.lock_clocks);
  EXPECT_EQ(spec.activation_dtype, "BF16");
}

TEST_F(Handlers, BenchmarkTakesACacheThatIsFlushed) {
  v1::StartBenchmarkRequest request;
  request.set_cache_mode(v1::CACHE_MODE_COLD);
  ASSERT_TRUE(StartBenchmark(engine_, request, call_).ok());
  EXPECT_EQ(engine_.benchmark->cache_mode, CacheMode::kCold);
}

TEST_F(Handlers, BenchmarkRefusesAStoppingRuleThatNeverEnds) {
  const auto with = [&](auto change) {
    v1::StartBenchmarkRequest request;
    change(*request.mutable_stopping());
    return Reason(StartBenchmark(engine_, request, call_));
  };
  const std::string refused = "STOPPING_RULE_INVALID";
  EXPECT_EQ(with([](auto& r) { r.set_samples(-1); }), refused);
  EXPECT_EQ(with([](auto& r) { r.set_min_samples(-1); }), refused);
  EXPECT_EQ(with([](auto& r) { r.set_max_samples(-1); }), refused);
  EXPECT_EQ(with([](auto& r) { r.set_relative_half_width(1); }), refused);
  EXPECT_EQ(
      with([](auto& r) { r.set_relative_half_width(std::numeric_limits<double>::quiet_NaN()); }),
      refused);
  EXPECT_EQ(with([](auto& r) { r.mutable_timeout(); }), refused);
}

TEST_F(Handlers, BenchmarkRefusesACacheModeItDoesNotKnow) {
  v1::StartBenchmarkRequest request;
  request.set_cache_mode(static_cast<v1::CacheMode>(99));
  EXPECT_EQ(Reason(StartBenchmark(engine_, request, call_)), "CACHE_MODE_UNKNOWN");
}

TEST_F(Handlers, ProfileFillsTheDefaultsOfTheProto) {
  v1::StartProfileRequest request;
  request.set_artifact("w2");
  request.set_preset("stalls");
  const auto operation = StartProfile(engine_, request, call_);
  ASSERT_TRUE(operation.ok());
  EXPECT_EQ(operation->name(), "operations/1");
  const ProfileSpec& spec = *engine_.profile;
  EXPECT_EQ(spec.artifact, "w2");
  EXPECT_EQ(spec.path, "fused");
  EXPECT_EQ(spec.step, "");
  EXPECT_EQ(spec.batch, 1);
  EXPECT_EQ(spec.preset, "stalls");
  EXPECT_TRUE(spec.metrics.empty());
  EXPECT_TRUE(spec.samples_instructions);
  EXPECT_EQ(spec.seed, 1u);
}

TEST_F(Handlers, AProfileThatIsOnlyValidatedIsNotStarted) {
  v1::StartProfileRequest request;
  request.set_artifact("w2");
  request.set_batch(5000);
  request.set_validate_only(true);
  const auto operation = StartProfile(engine_, request, call_);
  ASSERT_TRUE(operation.ok());
  EXPECT_TRUE(operation->done());
  EXPECT_EQ(operation->name(), "");
  EXPECT_FALSE(engine_.profile);
  EXPECT_EQ(engine_.validated_profile->artifact, "w2");
  EXPECT_EQ(engine_.validated_profile->batch, 5000);
  engine_.start_error = MakeError(absl::StatusCode::kInvalidArgument, "BATCH_INVALID", "no");
  EXPECT_EQ(Reason(StartProfile(engine_, request, call_)), "BATCH_INVALID");
}

TEST_F(Handlers, ProfileTakesWhatIsGiven) {
  v1::StartProfileRequest request;
  request.set_request_id("key");
  request.set_device("cuda:1");
  request.set_path("dense");
  request.set_step("gemv");
  request.set_batch(4);
  request.add_metrics("a.sum");
  request.set_seed(0);
  request.set_activation_dtype("BF16");
  ASSERT_TRUE(StartProfile(engine_, request, call_).ok());
  const ProfileSpec& spec = *engine_.profile;
  EXPECT_EQ(spec.request_id, "key");
  EXPECT_EQ(spec.device, "cuda:1");
  EXPECT_EQ(spec.path, "dense");
  EXPECT_EQ(spec.step, "gemv");
  EXPECT_EQ(spec.batch, 4);
  EXPECT_EQ(spec.metrics, (std::vector<std::string>{"a.sum"}));
  EXPECT_FALSE(spec.samples_instructions);
  EXPECT_EQ(spec.seed, 0u);
  EXPECT_EQ(spec.activation_dtype, "BF16");
}

TEST_F(Handlers, InstructionsAreSampledWithStallsUnlessToldOtherwise) {
  const auto samples = [&](const char* preset, std::optional<bool> wanted) {
    v1::StartProfileRequest request;
    request.set_preset(preset);
    if (wanted) request.set_instructions(*wanted);
    EXPECT_TRUE(StartProfile(engine_, request, call_).ok());
    return engine_.profile->samples_instructions;
  };
  EXPECT_TRUE(samples("full", {}));
  EXPECT_FALSE(samples("memory", {}));
  EXPECT_TRUE(samples("memory", true));
  EXPECT_FALSE(samples("stalls", false));
}

TEST_F(Handlers, ProfilesAreFoundById) {
  engine_.profiles["7"].id = "7";
  engine_.next_page_token = "next";
  v1::GetProfileRequest request;
  request.set_id("7");
  EXPECT_EQ(GetProfile(engine_, request, call_)->id(), "7");
  request.set_id("8");
  EXPECT_EQ(Reason(GetProfile(engine_, request, call_)), "PROFILE_NOT_FOUND");
  v1::ListProfilesRequest list;
  list.set_page_size(5);
  const auto listed = ListProfiles(engine_, list, call_);
  EXPECT_EQ(listed->profiles_size(), 1);
  EXPECT_EQ(listed->next_page_token(), "next");
  EXPECT_EQ(engine_.page->page_size, 5);
  list.set_page_size(-1);
  EXPECT_EQ(Reason(ListProfiles(engine_, list, call_)), "PAGE_SIZE_INVALID");
}

TEST_F(Handlers, TheMetricCatalogueIsFiltered) {
  engine_.catalogue = MetricCatalogue{
      "GH100", {{"dram__bytes_read", "bytes"}, {"sm__cycles", "cycles"}}, {"a.sum"}, {"b.sum"}, 6};
  v1::ListMetricsRequest request;
  request.set_chip("GH100");
  request.set_preset("memory");
  request.add_metrics("a.sum");
  request.set_filter("dram");
  const auto metrics = ListMetrics(engine_, request, call_);
  ASSERT_TRUE(metrics.ok());
  EXPECT_EQ(engine_.catalogue_task->chip, "GH100");
  EXPECT_EQ(engine_.catalogue_task->preset, "memory");
  EXPECT_EQ(engine_.catalogue_task->metrics, (std::vector<std::string>{"a.sum"}));
  EXPECT_EQ(metrics->chip(), "GH100");
  ASSERT_EQ(metrics->metrics_size(), 1);
  EXPECT_EQ(metrics->metrics(0).name(), "dram__bytes_read");
  EXPECT_EQ(metrics->metrics(0).description(), "bytes");
  EXPECT_EQ(metrics->selected_metrics(0), "a.sum");
  EXPECT_EQ(metrics->unavailable_metrics(0), "b.sum");
  EXPECT_EQ(metrics->passes(), 6);
  engine_.catalogue = MakeError(absl::StatusCode::kInvalidArgument, "CHIP_UNKNOWN", "no");
  EXPECT_EQ(Reason(ListMetrics(engine_, request, call_)), "CHIP_UNKNOWN");
}

TEST_F(Handlers, AQuestionForMetricsEndsWithItsCall) {
  bool is_gone = false;
  call_.is_cancelled = [&] { return is_gone; };
  std::vector<bool> seen;
  engine_.on_catalogue = [&](const std::function<bool()>& is_cancelled) {
    seen.push_back(is_cancelled());
    is_gone = true;
    seen.push_back(is_cancelled());
  };
  EXPECT_TRUE(ListMetrics(engine_, {}, call_).ok());
  EXPECT_EQ(seen, (std::vector<bool>{false, true}));
}

TEST_F(Handlers, LoadAndUnloadNameArtifactAndDevice) {
  v1::LoadArtifactRequest load;
  load.set_name("w2");
  load.set_device("cuda:1");
  ASSERT_TRUE(StartLoadArtifact(engine_, load, call_).ok());
  EXPECT_EQ(engine_.load->artifact, "w2");
  EXPECT_EQ(engine_.load->device, "cuda:1");
  v1::UnloadArtifactRequest unload;
  unload.set_name("w3");
  ASSERT_TRUE(StartUnloadArtifact(engine_, unload, call_).ok());
  EXPECT_EQ(engine_.load->artifact, "w3");
}

TEST_F(Handlers, ListsPage) {
  engine_.artifacts["a"].name = "a";
  engine_.runs["r"].id = "r";
  engine_.next_page_token = "next";
  v1::ListArtifactsRequest artifacts;
  artifacts.set_page_size(7);
  artifacts.set_page_token("here");
  const auto page = ListArtifacts(engine_, artifacts, call_);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->artifacts(0).name(), "a");
  EXPECT_EQ(page->next_page_token(), "next");
  EXPECT_EQ(engine_.page->page_size, 7);
  EXPECT_EQ(engine_.page->page_token, "here");
  EXPECT_EQ(ListRuns(engine_, {}, call_)->runs(0).id(), "r");
  artifacts.set_page_size(-1);
  EXPECT_EQ(Reason(ListArtifacts(engine_, artifacts, call_)), "PAGE_SIZE_INVALID");
}

TEST_F(Handlers, ArtifactsAreFoundAndDeletedByName) {
  engine_.artifacts["a"].name = "a";
  v1::GetArtifactRequest get;
  get.set_name("a");
  EXPECT_EQ(GetArtifact(engine_, get, call_)->name(), "a");
  v1::DeleteArtifactRequest remove;
  remove.set_name("a");
  EXPECT_TRUE(DeleteArtifact(engine_, remove, call_).ok());
  EXPECT_EQ(Reason(GetArtifact(engine_, get, call_)), "ARTIFACT_NOT_FOUND");
}

TEST_F(Handlers, ExportsArePackedUnlessToldOtherwise) {
  EXPECT_EQ(*ToExportForm(v1::EXPORT_FORM_UNSPECIFIED), ExportForm::kPacked);
  EXPECT_EQ(*ToExportForm(v1::EXPORT_FORM_DENSE), ExportForm::kDense);
  EXPECT_EQ(Reason(ToExportForm(static_cast<v1::ExportForm>(9))), "EXPORT_FORM_UNKNOWN");
}

TEST_F(Handlers, OperationsGoByTheirName) {
  google::longrunning::CancelOperationRequest cancel;
  cancel.set_name("operations/5");
  EXPECT_TRUE(CancelOperation(engine_, cancel, call_).ok());
  EXPECT_EQ(engine_.cancelled, "5");
  google::longrunning::DeleteOperationRequest remove;
  remove.set_name("operations/6");
  EXPECT_TRUE(DeleteOperation(engine_, remove, call_).ok());
  EXPECT_EQ(engine_.deleted, "6");
  google::longrunning::GetOperationRequest get;
  get.set_name("5");
  EXPECT_EQ(Reason(GetOperation(engine_, get, call_)), "OPERATION_NAME_INVALID");
  get.set_name("operations/5");
  EXPECT_EQ(Reason(GetOperation(engine_, get, call_)), "OPERATION_NOT_FOUND");
}

TEST_F(Handlers, ListOperationsHasNoFilter) {
  google::longrunning::ListOperationsRequest request;
  EXPECT_TRUE(ListOperations(engine_, request, call_).ok());
  request.set_filter("done=true");
  EXPECT_EQ(Reason(ListOperations(engine_, request, call_)), "FILTER_UNSUPPORTED");
}

TEST(CallContext, SaysWhetherSomebodyWaits) {
  CallContext call;
  EXPECT_TRUE(call.Check().ok());
  call.is_cancelled = [] { return true; };
  EXPECT_EQ(GetErrorInfo(call.Check()).reason, "CALL_CANCELLED");
  call.deadline = std::chrono::system_clock::time_point();
  EXPECT_EQ(GetErrorInfo(call.Check()).reason, "DEADLINE_EXCEEDED");
}

}  // namespace
}  // namespace qtipd
