#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <thread>

#include "server/engine/history/profile_json.h"
#include "server/engine/history/record_json.h"
#include "server/engine/profile/profile_collector.h"
#include "tests/fakes/fake_collector.h"
#include "tests/server/engine/engine_fixture.h"

namespace qtipd {
namespace {

using ::testing::HasSubstr;

ProfileData SampleData() {
  ProfileData data;
  data.chip = "GH100";
  data.source = "cupti";
  data.passes = 6;
  data.runs = 80;
  data.metrics = {{"gpu__time_duration.sum", 123.25, "seconds", "time"}};
  data.hot_instructions = {{"f()", 16, "LDS", 7, {{"wait", 7}}}};
  data.unavailable_metrics = {"no__such.sum"};
  data.notes = {{"key", "value"}};
  return data;
}

class ProfileTest : public EngineFixture {
 protected:
  void SetUp() override {
    collector_ = std::make_shared<FakeCollector>();
    collector_->answer = SampleData();
    config_.profile_collector = collector_;
    EngineFixture::SetUp();
    Quantize("w");
  }
  static ProfileSpec Spec() {
    ProfileSpec spec;
    spec.artifact = "w";
    spec.path = "fused";
    spec.preset = "stalls";
    return spec;
  }
  // Of a start; a validation has to say the same.
  std::string StartReason(const ProfileSpec& spec) {
    const std::string reason = Reason(engine_->StartProfile(spec).status());
    if (reason != "REQUEST_ID_REUSED") {
      EXPECT_EQ(Reason(engine_->ValidateProfile(spec)), reason);
    }
    return reason;
  }

  absl::StatusOr<MetricCatalogue> Ask(const CatalogueTask& task) {
    return engine_->ReadMetricCatalogue(task, {});
  }
  std::string AskReason(const CatalogueTask& task) { return Reason(Ask(task).status()); }

  std::shared_ptr<FakeCollector> collector_;
};

TEST_F(ProfileTest, IsStoredWithAllThatWasCounted) {
  const OperationRecord operation = Await(engine_->StartProfile(Spec()));
  ASSERT_EQ(operation.state, OperationState::kSucceeded) << operation.error;
  EXPECT_EQ(operation.kind, "profile");
  const auto profile = engine_->GetProfile(operation.result);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->artifact, "w");
  EXPECT_EQ(profile->path, "fused");
  EXPECT_EQ(profile->preset, "stalls");
  EXPECT_EQ(profile->activation_dtype, "F32") << "the device's own";
  EXPECT_EQ(profile->shape, (Shape{8, 8}));
  EXPECT_EQ(profile->environment.at("version"), "test");
  EXPECT_EQ(profile->data.passes, 6);
  EXPECT_EQ(profile->data.metrics[0].value, 123.25);
  EXPECT_EQ(profile->data.hot_instructions[0].stall_samples.at("wait"), 7u);
}

TEST_F(ProfileTest, SurvivesARestart) {
  const std::string id = Await(engine_->StartProfile(Spec())).result;
  Open();
  EXPECT_EQ(engine_->GetProfile(id)->data.chip, "GH100");
}

// The promise that counters never touch a benchmark: no run appears, and the time that the profile
// counted is in no run that is measured before or after it.
TEST_F(ProfileTest, ReachesNoBenchmarkResult) {
  const std::string before = Await(engine_->StartBenchmark(Bench("w"))).result;
  const size_t runs = engine_->ListRuns({})->items.size();
  const RunRecord kept = *engine_->GetRun(before);
  ASSERT_EQ(Await(engine_->StartProfile(Spec())).state, OperationState::kSucceeded);
  EXPECT_EQ(engine_->ListRuns({})->items.size(), runs);
  const RunRecord read = *engine_->GetRun(before);
  ASSERT_EQ(read.results.size(), kept.results.size());
  for (size_t i = 0; i < read.results.size(); ++i) {
    EXPECT_EQ(ResultToJson(read.results[i]), ResultToJson(kept.results[i]));
    EXPECT_EQ(read.results[i].samples, kept.results[i].samples);
  }
  const std::string id = Await(engine_->StartBenchmark(Bench("w"))).result;
  const RunRecord run = *engine_->GetRun(id);
  for (const BenchmarkResult& result : run.results) {
    for (const double sample : result.samples) EXPECT_NE(sample, 123.25);
    EXPECT_FALSE(result.notes.contains("gpu__time_duration.sum"));
  }
  EXPECT_EQ(engine_->ListProfiles({})->items.size(), 1u);
}

TEST_F(ProfileTest, HoldsTheDeviceMeanwhile) {
  std::string started;
  collector_->on_collect = [&](const auto&) {
    // A benchmark that is started now waits: its operation cannot begin before this returns.
    started = engine_->StartBenchmark(Bench("w"))->id;
    EXPECT_EQ(engine_->GetOperation(started)->state, OperationState::kQueued);
  };
  ASSERT_EQ(Await(engine_->StartProfile(Spec())).state, OperationState::kSucceeded);
  EXPECT_EQ(Await(started).state, OperationState::kSucceeded);
}

TEST_F(ProfileTest, GivesTheHelperTheArtefactsFileAndRotatingCopies) {
  ProfileSpec spec = Spec();
  spec.step = "multiply";
  spec.metrics = {"a.sum"};
  spec.samples_instructions = true;
  spec.batch = 4;
  spec.activation_dtype = "BF16";
  ASSERT_EQ(Await(engine_->StartProfile(spec)).state, OperationState::kSucceeded);
  const ProfileTask& task = collector_->tasks.at(0);
  EXPECT_THAT(task.artifact_path, HasSubstr(engine_->GetArtifact("w")->sha256 + ".safetensors"));
  EXPECT_TRUE(std::ifstream(task.artifact_path).good());
  EXPECT_GT(task.copies, 1);
  EXPECT_EQ(task.step, "multiply");
  EXPECT_EQ(task.batch, 4);
  EXPECT_EQ(task.activation_dtype, "BF16");
  EXPECT_EQ(engine_->ListProfiles({})->items.at(0).activation_dtype, "BF16");
  EXPECT_TRUE(task.samples_program_counters);
}

TEST_F(ProfileTest, ARefusalOfTheHelperIsTheOperationsError) {
  collector_->answer =
      MakeError(absl::StatusCode::kPermissionDenied, "PROFILING_NOT_PERMITTED", "no");
  const OperationRecord operation = Await(engine_->StartProfile(Spec()));
  EXPECT_EQ(operation.state, OperationState::kFailed);
  EXPECT_EQ(Reason(operation.error), "PROFILING_NOT_PERMITTED");
  EXPECT_TRUE(engine_->ListProfiles({})->items.empty());
}

TEST_F(ProfileTest, CancellationReachesTheHelper) {
  Gate running;
  collector_->on_collect = [&](const std::function<bool()>& is_cancelled) {
    running.Open();
    while (!is_cancelled()) std::this_thread::yield();
    collector_->answer = absl::CancelledError("cancelled");
  };
  const auto started = engine_->StartProfile(Spec());
  running.Wait();
  ASSERT_TRUE(engine_->CancelOperation(started->id).ok());
  EXPECT_EQ(Await(started).state, OperationState::kCancelled);
}

TEST_F(ProfileTest, BadInputFailsTheCallItself) {
  ProfileSpec spec = Spec();
  spec.artifact = "v";
  EXPECT_EQ(StartReason(spec), "ARTIFACT_NOT_FOUND");
  spec = Spec();
  spec.path = "nonsense";
  EXPECT_EQ(StartReason(spec), "PATH_UNKNOWN");
  spec = Spec();
  spec.batch = 0;
  EXPECT_EQ(StartReason(spec), "BATCH_INVALID");
  spec = Spec();
  spec.preset = "all";
  EXPECT_EQ(StartReason(spec), "PRESET_UNKNOWN");
  spec.preset = "";
  EXPECT_EQ(StartReason(spec), "METRICS_MISSING");
  spec.metrics.assign(1000, "a.sum");
  EXPECT_EQ(StartReason(spec), "TOO_MANY_METRICS");
  spec = Spec();
  spec.activation_dtype = "F64";
  EXPECT_EQ(StartReason(spec), "ACTIVATION_DTYPE_UNSUPPORTED");
  EXPECT_TRUE(collector_->tasks.empty());
}

TEST_F(ProfileTest, AValidationStartsNothing) {
  const size_t operations = engine_->ListOperations({})->items.size();
  EXPECT_TRUE(engine_->ValidateProfile(Spec()).ok());
  EXPECT_EQ(engine_->ListOperations({})->items.size(), operations);
  ProfileSpec spec = Spec();
  spec.device = "cuda:7";
  EXPECT_EQ(StartReason(spec), "DEVICE_NOT_FOUND");
  engine_->Shutdown();
  EXPECT_EQ(Reason(engine_->ValidateProfile(Spec())), "SERVER_DRAINING");
}

TEST_F(ProfileTest, ARepeatedRequestIsTheSameOperation) {
  ProfileSpec spec = Spec();
  spec.request_id = "key";
  const auto first = engine_->StartProfile(spec);
  EXPECT_EQ(engine_->StartProfile(spec)->id, first->id);
  spec.preset = "memory";
  EXPECT_EQ(StartReason(spec), "REQUEST_ID_REUSED");
  Await(first);
}

TEST_F(ProfileTest, ListsLeaveTheCountersOut) {
  Await(engine_->StartProfile(Spec()));
  Await(engine_->StartProfile(Spec()));
  PageRequest page;
  page.page_size = 1;
  const auto first = engine_->ListProfiles(page);
  ASSERT_EQ(first->items.size(), 1u);
  EXPECT_EQ(first->items[0].id, "2");
  EXPECT_EQ(first->items[0].data.passes, 6);
  EXPECT_TRUE(first->items[0].data.metrics.empty());
  page.page_token = first->next_page_token;
  EXPECT_EQ(engine_->ListProfiles(page)->items[0].id, "1");
}

TEST_F(ProfileTest, UnknownOnesAreNotFound) {
  EXPECT_EQ(Reason(engine_->GetProfile("7").status()), "PROFILE_NOT_FOUND");
  EXPECT_EQ(Reason(engine_->GetProfile("x").status()), "PROFILE_NOT_FOUND");
}

TEST_F(ProfileTest, TheCatalogueIsThatOfTheDevice) {
  collector_->catalogue = MetricCatalogue{"GH100", {{"a", "b"}}, {}, {}, 3};
  EXPECT_EQ(Ask({})->passes, 3);
  EXPECT_FALSE(collector_->catalogue_tasks.at(0).device.empty());
  CatalogueTask task;
  task.device = "nonsense";
  EXPECT_EQ(AskReason(task), "DEVICE_NOT_FOUND");
}

TEST_F(ProfileTest, AQuestionForMetricsIsBounded) {
  CatalogueTask task;
  task.metrics.assign(257, "a.sum");
  EXPECT_EQ(AskReason(task), "TOO_MANY_METRICS");
  for (const std::string& name : {std::string(), std::string(201, 'a'), std::string("a b"),
                                  std::string("a\"b"), std::string("gr\xc3\xbc\xc3\x9f")}) {
    task.metrics = {"a.sum", name};
    EXPECT_EQ(AskReason(task), "METRIC_INVALID") << name;
    ProfileSpec spec = Spec();
    spec.metrics = task.metrics;
    EXPECT_EQ(StartReason(spec), "METRIC_INVALID") << name;
  }
  task.metrics = {std::string(100000, 'a')};
  EXPECT_LT(Ask(task).status().message().size(), 300u);
  task.metrics = {};
  task.preset = "all";
  EXPECT_EQ(AskReason(task), "PRESET_UNKNOWN");
  task.preset = "";
  task.chip = std::string(65, 'a');
  EXPECT_EQ(AskReason(task), "CHIP_UNKNOWN");
  EXPECT_TRUE(collector_->catalogue_tasks.empty());
  task.chip = "GH100";
  task.metrics.assign(256, std::string(199, 'a') + ".");
  EXPECT_TRUE(Ask(task).ok());
  EXPECT_EQ(collector_->catalogue_tasks.at(0).metrics.size(), 256u);
}

TEST_F(ProfileTest, OneQuestionForMetricsIsAnsweredAtATime) {
  CatalogueTask task;
  task.chip = "GH100";
  std::string second;
  // On another thread, as a second call is.
  collector_->on_catalogue = [&](const auto&) {
    std::thread([&] { second = AskReason(task); }).join();
  };
  EXPECT_TRUE(Ask(task).ok());
  EXPECT_EQ(second, "CATALOGUE_BUSY");
  EXPECT_EQ(collector_->catalogue_tasks.size(), 1u);
  collector_->on_catalogue = nullptr;
  EXPECT_TRUE(Ask(task).ok());
}

TEST_F(ProfileTest, TheFirstQuestionAboutADeviceHoldsItAndLaterOnesNameItsChip) {
  collector_->catalogue = MetricCatalogue{"GH100", {}, {}, {}, 0};
  std::string started;
  collector_->on_catalogue = [&](const auto&) {
    started = engine_->StartBenchmark(Bench("w"))->id;
    EXPECT_EQ(engine_->GetOperation(started)->state, OperationState::kQueued);
  };
  EXPECT_TRUE(Ask({}).ok());
  EXPECT_EQ(Await(started).state, OperationState::kSucceeded);
  EXPECT_EQ(collector_->catalogue_tasks.at(0).chip, "");
  collector_->on_catalogue = nullptr;
  // Known: beside a profile that holds the device, and about no device.
  collector_->on_collect = [&](const auto&) { EXPECT_TRUE(Ask({}).ok()); };
  EXPECT_EQ(Await(engine_->StartProfile(Spec())).state, OperationState::kSucceeded);
  EXPECT_EQ(collector_->catalogue_tasks.at(1).chip, "GH100");
}

TEST_F(ProfileTest, AQuestionGivesUpADeviceThatWorksOn) {
  clock_.SetStep(1);
  std::string reason;
  collector_->on_collect = [&](const auto&) { reason = AskReason({}); };
  EXPECT_EQ(Await(engine_->StartProfile(Spec())).state, OperationState::kSucceeded);
  EXPECT_EQ(reason, "CATALOGUE_BUSY");
  EXPECT_TRUE(collector_->catalogue_tasks.empty());
}

TEST_F(ProfileTest, AQuestionThatNobodyWaitsForIsNotAsked) {
  std::string reason;
  collector_->on_collect = [&](const auto&) {
    reason = Reason(engine_->ReadMetricCatalogue({}, [] { return true; }).status());
  };
  EXPECT_EQ(Await(engine_->StartProfile(Spec())).state, OperationState::kSucceeded);
  EXPECT_EQ(reason, "CANCELLED");
  Quantize("v");  // the device came past it
  EXPECT_TRUE(collector_->catalogue_tasks.empty());
}

TEST_F(ProfileTest, AStoppingDaemonEndsAQuestion) {
  for (const std::string chip : {"GH100", ""}) {
    Open();
    Gate asked;
    collector_->on_catalogue = [&](const std::function<bool()>& is_cancelled) {
      asked.Open();
      while (!is_cancelled()) std::this_thread::yield();
      collector_->catalogue = absl::CancelledError("cancelled");
    };
    CatalogueTask task;
    task.chip = chip;
    std::string reason;
    std::thread asker([&] { reason = AskReason(task); });
    asked.Wait();
    engine_->Shutdown();
    asker.join();
    EXPECT_EQ(reason, "SERVER_DRAINING") << chip;
    EXPECT_EQ(AskReason(task), "SERVER_DRAINING");
  }
}

TEST_F(ProfileTest, TheDoctorAsksNothingOfADeviceThatWorks) {
  ASSERT_TRUE(engine_->RunDoctor("").ok());
  const int64_t asked = monitor_->facts_reads;
  int64_t beside = -1;
  collector_->on_collect = [&](const auto&) {
    const int64_t before = monitor_->facts_reads;
    EXPECT_TRUE(engine_->RunDoctor("").ok());
    beside = monitor_->facts_reads - before;
  };
  EXPECT_EQ(Await(engine_->StartProfile(Spec())).state, OperationState::kSucceeded);
  EXPECT_GT(asked, 0);
  EXPECT_EQ(beside, 0);
}

TEST_F(ProfileTest, WithoutAHelperProfilesAreRefused) {
  config_.profile_collector = nullptr;
  Open();
  EXPECT_EQ(StartReason(Spec()), "PROFILER_HELPER_FAILED");
}

TEST(ProfileJson, IsLossless) {
  ProfileRecord profile;
  profile.artifact = "w";
  profile.options = Options({{"bits", int64_t{2}}});
  profile.shape = {8, 16};
  profile.copies = 80;
  profile.seconds = 0.1;
  profile.activation_dtype = "BF16";
  profile.environment = {{"driver", "580"}};
  const auto read = ProfileFromJson(ProfileToJson(profile));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileToJson(*read), ProfileToJson(profile));
  EXPECT_EQ(read->shape, (Shape{8, 16}));
  EXPECT_EQ(read->activation_dtype, "BF16");
  EXPECT_EQ(Reason(ProfileFromJson("{}").status()), "HISTORY_RECORD_DAMAGED");
}

// The real collector, with a script in the helper's place.
class HelperCollectorTest : public ::testing::Test {
 protected:
  absl::StatusOr<ProfileData> Run(const std::string& script, double timeout = 30) {
    const std::string program = directory_ / "helper";
    std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
    chmod(program.c_str(), 0755);
    return MakeHelperCollector({program, "/lib/module.so", timeout})->Collect({}, {});
  }
  TempDir directory_;
};

TEST_F(HelperCollectorTest, ReadsTheAnswer) {
  std::ofstream(directory_ / "answer") << ProfileAnswer(SampleData());
  const auto data = Run("cat > " + (directory_ / "request") + "; cat " + (directory_ / "answer"));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->chip, "GH100");
  std::string request;
  std::getline(std::ifstream(directory_ / "request"), request);
  EXPECT_EQ(ParseRequest(request)->profile->cuda_module, "/lib/module.so");
}

TEST_F(HelperCollectorTest, TellsItsLastLineWhereItFails) {
  const auto failed = Run("echo first >&2; echo it broke >&2; exit 3");
  EXPECT_EQ(Reason(failed.status()), "PROFILER_HELPER_FAILED");
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("status 3: it broke"));
  EXPECT_THAT(std::string(Run("kill -SEGV $$").status().message()), HasSubstr("signal 11"));
}

TEST_F(HelperCollectorTest, EndsOneThatHangs) {
  EXPECT_THAT(std::string(Run("sleep 600", 0.05).status().message()), HasSubstr("too long"));
}

TEST_F(HelperCollectorTest, EndsOneThatNeverStopsWriting) {
  const auto data = Run("exec cat /dev/zero");
  EXPECT_EQ(Reason(data.status()), "PROFILER_HELPER_FAILED");
  EXPECT_THAT(std::string(data.status().message()), HasSubstr("more than 64 MiB"));
}

TEST_F(HelperCollectorTest, AHelperThatIsNotThereIsNamed) {
  const auto data = MakeHelperCollector({"/nonexistent/qtip-profiler", "", 1})->Collect({}, {});
  EXPECT_EQ(Reason(data.status()), "PROFILER_HELPER_FAILED");
  EXPECT_THAT(std::string(data.status().message()), HasSubstr("/nonexistent/qtip-profiler"));
}

TEST_F(HelperCollectorTest, CancellationEndsIt) {
  const std::string program = directory_ / "helper";
  std::ofstream(program) << "#!/bin/sh\nsleep 600\n";
  chmod(program.c_str(), 0755);
  const auto data = MakeHelperCollector({program, "", 600})->Collect({}, [] { return true; });
  EXPECT_TRUE(absl::IsCancelled(data.status()));
}

TEST_F(HelperCollectorTest, AQuestionForMetricsHasItsOwnLimitAndEnd) {
  const std::string program = directory_ / "helper";
  std::ofstream(program) << "#!/bin/sh\nsleep 600\n";
  chmod(program.c_str(), 0755);
  const auto late = MakeHelperCollector({program, "", 600, 0.05})->ReadCatalogue({}, {});
  EXPECT_THAT(std::string(late.status().message()), HasSubstr("too long"));
  const auto gone =
      MakeHelperCollector({program, "", 600, 600})->ReadCatalogue({}, [] { return true; });
  EXPECT_TRUE(absl::IsCancelled(gone.status()));
}

}  // namespace
}  // namespace qtipd
