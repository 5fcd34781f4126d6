// Engine values as messages, and back.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "kernels/api/error.h"
#include "qtipd/v1/operation.pb.h"
#include "server/service/artifact_conversion.h"
#include "server/service/common_conversion.h"
#include "server/service/operation_conversion.h"
#include "server/service/profile_conversion.h"
#include "server/service/run_conversion.h"
#include "server/service/status_proto.h"
#include "tests/fakes/fake_engine.h"

namespace qtipd {
namespace {

google::rpc::ErrorInfo InfoOf(const google::rpc::Status& status) {
  google::rpc::ErrorInfo info;
  EXPECT_TRUE(status.details(0).UnpackTo(&info));
  return info;
}

TEST(StatusProto, CarriesReasonDomainAndMetadata) {
  const auto proto = ToProto(InvalidField("SHAPE_UNSUPPORTED", "shape", "17x16", "16x16"));
  EXPECT_EQ(proto.code(), 3);
  EXPECT_EQ(proto.message(), "shape: got 17x16, allowed 16x16");
  ASSERT_EQ(proto.details_size(), 1);
  const auto info = InfoOf(proto);
  EXPECT_EQ(info.reason(), "SHAPE_UNSUPPORTED");
  EXPECT_EQ(info.domain(), "qtipd.dev");
  EXPECT_EQ(info.metadata().at("got"), "17x16");
}

TEST(StatusProto, OkIsEmpty) { EXPECT_EQ(ToProto(absl::OkStatus()).ByteSizeLong(), 0u); }

TEST(StatusProto, SaysWhenARetryMaySucceed) {
  for (const char* reason : {"CATALOGUE_BUSY", "QUEUE_FULL", "SERVER_DRAINING"}) {
    const auto proto = ToProto(MakeError(absl::StatusCode::kUnavailable, reason, "later"));
    ASSERT_EQ(proto.details_size(), 2) << reason;
    google::rpc::RetryInfo retry;
    ASSERT_TRUE(proto.details(1).UnpackTo(&retry));
    EXPECT_GT(retry.retry_delay().seconds(), 0);
  }
}

TEST(StatusProto, FitsIntoTrailersWhateverTheUserSent) {
  const std::string huge(100'000, 'x');
  std::map<std::string, std::string> metadata;
  for (int i = 0; i < 50; ++i) metadata["key" + std::to_string(i)] = huge;
  const auto proto = ToProto(MakeError(absl::StatusCode::kInvalidArgument, "BAD", huge, metadata));
  // Message and base64 of the details both travel in 8 KiB of trailers.
  EXPECT_LT(proto.message().size() + proto.ByteSizeLong() * 4 / 3, 7000u);
}

TEST(StatusProto, MakesTextValidUtf8) {
  EXPECT_EQ(CleanText("a\xff"
                      "b\xc3\xa9",
                      100),
            "a?b\xc3\xa9");
  EXPECT_EQ(CleanText("\xed\xa0\x80", 100), "???");  // a surrogate
  EXPECT_EQ(CleanText("\xc0\xaf", 100), "??");       // overlong
  EXPECT_EQ(CleanText("\xe2\x82", 100), "??");       // cut off
  EXPECT_EQ(CleanText("\xf0\x9f\x98\x80", 100).size(), 4u);
}

TEST(StatusProto, CutsAtACharacter) {
  EXPECT_EQ(CleanText("12345678", 8), "12345678");
  EXPECT_EQ(CleanText("123456789", 8), "12345...");
  EXPECT_EQ(CleanText("1234\xc3\xa9\xc3\xa9\xc3\xa9", 8), "1234...");
}

TEST(OptionConversion, KeepsEveryType) {
  OptionMap proto;
  FillOptions(
      Options({{"bits", int64_t{2}}, {"scale", 0.9}, {"on", true}, {"code", std::string("hyb")}}),
      proto);
  const auto values = FromProto(proto);
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(std::get<int64_t>(values->at("bits")), 2);
  EXPECT_EQ(std::get<double>(values->at("scale")), 0.9);
  EXPECT_EQ(std::get<bool>(values->at("on")), true);
  EXPECT_EQ(std::get<std::string>(values->at("code")), "hyb");
}

TEST(OptionConversion, RefusesAnOptionWithoutAValue) {
  OptionMap proto;
  proto["bits"];
  const absl::Status status = FromProto(proto).status();
  EXPECT_EQ(GetErrorInfo(status).reason, "OPTION_INVALID");
  EXPECT_EQ(GetErrorInfo(status).metadata["field"], "format_options.bits");
}

TEST(PageRequestConversion, ChecksSizeAndToken) {
  EXPECT_EQ(ToPageRequest(1000, "t")->page_token, "t");
  EXPECT_EQ(GetErrorInfo(ToPageRequest(-1, "").status()).reason, "PAGE_SIZE_INVALID");
  EXPECT_EQ(GetErrorInfo(ToPageRequest(1001, "").status()).reason, "PAGE_SIZE_INVALID");
  EXPECT_EQ(GetErrorInfo(ToPageRequest(1, std::string(513, 'a')).status()).reason,
            "PAGE_TOKEN_INVALID");
}

TEST(TimestampConversion, CountsNanosForward) {
  EXPECT_EQ(ToTimestamp(1'500).seconds(), 1);
  EXPECT_EQ(ToTimestamp(1'500).nanos(), 500'000'000);
  EXPECT_EQ(ToTimestamp(-1).seconds(), -1);
  EXPECT_EQ(ToTimestamp(-1).nanos(), 999'000'000);
}

TEST(ArtifactConversion, CarriesEveryField) {
  ArtifactRecord record;
  record.name = "w2";
  record.sha256 = "abc";
  record.format = "qtip";
  record.options = Options({{"bits", int64_t{2}}});
  record.shape = {32, 64};
  record.packed_bytes = 512;
  record.quality = Quality{.relative_weight_mse = 0.07};
  record.quantize_step_seconds = {{"viterbi", 1.5}};
  record.scale_trials = {{.scale = 0.9, .error = 0.0717}};
  record.loaded_on = {"cpu"};
  const v1::Artifact proto = ToProto(record);
  EXPECT_EQ(proto.name(), "w2");
  EXPECT_EQ(proto.format_options().at("bits").integer(), 2);
  EXPECT_EQ(proto.shape().out_features(), 32);
  EXPECT_EQ(proto.shape().in_features(), 64);
  EXPECT_EQ(proto.quality().relative_weight_mse(), 0.07);
  EXPECT_EQ(proto.quantize_steps(0).name(), "viterbi");
  EXPECT_EQ(proto.scale_trials(0).error(), 0.0717);
  EXPECT_EQ(proto.loaded_on(0), "cpu");
}

TEST(ArtifactConversion, LeavesQualityAbsentForImports) {
  EXPECT_FALSE(ToProto(ArtifactRecord()).has_quality());
}

RunRecord OneRun() {
  RunRecord run;
  run.id = "r1";
  BenchmarkResult measured;
  measured.path = "fused";
  measured.activation_dtype = "BF16";
  measured.latency.median = 2e-6;
  measured.samples = {1e-6, 2e-6, 3e-6};
  measured.steps = {{"input_rotation", 1e-7, 2e-7}};
  BenchmarkResult failed;
  failed.path = "dense";
  failed.status =
      MakeError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED", "full");
  run.results = {measured, failed};
  return run;
}

TEST(RunConversion, KeepsSamplesInOrder) {
  const v1::Run proto = ToProto(OneRun(), Samples::kKeep);
  const v1::Latency& latency = proto.results(0).latency();
  ASSERT_EQ(latency.samples_size(), 3);
  EXPECT_EQ(latency.samples(2), 3e-6);
  EXPECT_EQ(latency.stop_reason(), "CONVERGED");
  EXPECT_EQ(proto.results(0).cache_mode(), "rotate");
  EXPECT_EQ(proto.results(0).activation_dtype(), "BF16");
  EXPECT_EQ(proto.results(0).steps(0).name(), "input_rotation");
  EXPECT_EQ(proto.results(0).steps(0).alone_seconds(), 2e-7);
}

TEST(RunConversion, CarriesWhatTheDeviceWasLike) {
  RunRecord run;
  BenchmarkResult& result = run.results.emplace_back();
  result.sample_clock_hertz = {1e9, 2e9};
  result.replay_overhead_seconds = 2e-6;
  result.stop_reason = StopReason::kNoiseStable;
  result.latency.mad = 0.5;
  result.latency.p95 = 3;
  result.latency.modes = 2;
  result.latency.high_outliers = 4;
  result.conditions.clock_hertz = 1.5e9;
  result.conditions.joules_per_run = 0.25;
  result.conditions.throttled_samples = 3;
  result.conditions.foreign_work = {"pid 1"};
  result.warnings = {"THROTTLED"};
  result.comparability_key = "device=X";
  const v1::BenchmarkResult proto = ToProto(run, Samples::kKeep).results(0);
  EXPECT_EQ(proto.latency().stop_reason(), "NOISE_STABLE");
  EXPECT_EQ(proto.latency().sample_clock_hertz(1), 2e9);
  EXPECT_EQ(proto.latency().replay_overhead_seconds(), 2e-6);
  EXPECT_EQ(proto.latency().mad(), 0.5);
  EXPECT_EQ(proto.latency().p95(), 3);
  EXPECT_FALSE(proto.latency().has_p99());
  EXPECT_EQ(proto.latency().modes(), 2);
  EXPECT_EQ(proto.latency().high_outliers(), 4);
  EXPECT_EQ(proto.conditions().clock_hertz(), 1.5e9);
  EXPECT_EQ(proto.conditions().joules_per_run(), 0.25);
  EXPECT_FALSE(proto.conditions().has_power_watts());
  EXPECT_EQ(proto.conditions().throttled_samples(), 3);
  EXPECT_EQ(proto.conditions().foreign_work(0), "pid 1");
  EXPECT_EQ(proto.warnings(0), "THROTTLED");
  EXPECT_EQ(proto.comparability_key(), "device=X");
}

TEST(RunConversion, CarriesPhasesAndTheShippedKernel) {
  RunRecord run;
  run.results.emplace_back().phases = PhaseBreakdown{.kernel_seconds = 5e-6,
                                                     .shipped_kernel_seconds = 4.9e-6,
                                                     .instrumented_overhead = 0.02,
                                                     .phases = {{"loop", 4e-6, 0.8}}};
  const v1::PhaseBreakdown proto = ToProto(run, Samples::kKeep).results(0).phases();
  EXPECT_EQ(proto.kernel_seconds(), 5e-6);
  EXPECT_EQ(proto.shipped_kernel_seconds(), 4.9e-6);
  EXPECT_EQ(proto.instrumented_overhead(), 0.02);
  ASSERT_EQ(proto.phases_size(), 1);
  EXPECT_EQ(proto.phases(0).name(), "loop");
  EXPECT_EQ(proto.phases(0).seconds(), 4e-6);
}

TEST(DeviceConversion, CarriesTheCurvesOfItsCeiling) {
  DeviceStatus device;
  EXPECT_FALSE(ToProto(device).has_ceiling());
  device.ceiling = DeviceCeiling{
      .read = {{1000, 3e-6}}, .copy = {{1000, 5e-6}}, .read_cached = {{1000, 1e-6}, {2000, 2e-6}}};
  const v1::Ceiling ceiling = ToProto(device).ceiling();
  EXPECT_EQ(ceiling.read(0).seconds(), 3e-6);
  EXPECT_EQ(ceiling.copy(0).seconds(), 5e-6);
  ASSERT_EQ(ceiling.read_cached_size(), 2);
  EXPECT_EQ(ceiling.read_cached(1).bytes(), 2000u);
}

TEST(RunConversion, LeavesSamplesOutOfLists) {
  const v1::Run proto = ToProto(OneRun(), Samples::kLeaveOut);
  EXPECT_EQ(proto.results(0).latency().samples_size(), 0);
  EXPECT_EQ(proto.results(0).latency().median(), 2e-6);
}

TEST(RunConversion, AnUnmeasuredCellHasAnErrorAndNoLatency) {
  const v1::Run proto = ToProto(OneRun(), Samples::kKeep);
  EXPECT_FALSE(proto.results(1).has_latency());
  EXPECT_EQ(InfoOf(proto.results(1).error()).reason(), "DEVICE_MEMORY_EXHAUSTED");
}

ProfileRecord OneProfile() {
  ProfileRecord profile;
  profile.id = "3";
  profile.artifact = "w2";
  profile.options = Options({{"bits", int64_t{2}}});
  profile.shape = {4096, 2048};
  profile.path = "fused";
  profile.step = "fused_decode";
  profile.batch = 4;
  profile.activation_dtype = "BF16";
  profile.copies = 80;
  profile.preset = "full";
  profile.environment = {{"driver", "580"}};
  profile.create_time = 1500;
  profile.seconds = 0.75;
  ProfileData& data = profile.data;
  data.chip = "GH100";
  data.source = "cupti";
  data.passes = 6;
  data.runs = 256;
  data.metrics = {
      {"smsp__warp_issue_stalled_wait_per_warp_active.pct", 20, "percent", "w"},
      {"smsp__warp_issue_stalled_long_scoreboard_per_warp_active.pct", 80, "percent", "l"},
      {"dram__throughput.avg.pct_of_peak_sustained_elapsed", 71, "percent", "d"}};
  data.unavailable_metrics = {"no__such.sum"};
  data.hot_instructions = {{"f()", 16, "LDS R1, [R2]", 7, {{"wait", 7}}}};
  data.total_samples = 9;
  data.dropped_samples = 1;
  data.notes = {{"helper_seconds", "0.7"}};
  return profile;
}

TEST(ProfileConversion, CarriesWhatWasProfiled) {
  const v1::Profile proto = ToProto(OneProfile());
  EXPECT_EQ(proto.id(), "3");
  EXPECT_EQ(proto.artifact(), "w2");
  EXPECT_EQ(proto.format_options().at("bits").integer(), 2);
  EXPECT_EQ(proto.shape().in_features(), 2048);
  EXPECT_EQ(proto.path(), "fused");
  EXPECT_EQ(proto.step(), "fused_decode");
  EXPECT_EQ(proto.batch(), 4);
  EXPECT_EQ(proto.copies(), 80);
  EXPECT_EQ(proto.activation_dtype(), "BF16");
  EXPECT_EQ(proto.preset(), "full");
  EXPECT_EQ(proto.chip(), "GH100");
  EXPECT_EQ(proto.source(), "cupti");
  EXPECT_EQ(proto.passes(), 6);
  EXPECT_EQ(proto.runs(), 256);
  EXPECT_EQ(proto.environment().at("driver"), "580");
  EXPECT_EQ(proto.notes().at("helper_seconds"), "0.7");
  EXPECT_EQ(proto.create_time().seconds(), 1);
  EXPECT_EQ(proto.seconds(), 0.75);
}

// Every message that `message` can hold, itself included.
void CollectTypes(const google::protobuf::Descriptor* message,
                  std::set<const google::protobuf::Descriptor*>& types) {
  if (!types.insert(message).second) return;
  for (int i = 0; i < message->field_count(); ++i) {
    if (const auto* type = message->field(i)->message_type()) CollectTypes(type, types);
  }
}

// No client can take a time counted under a profiler for a latency: there is no place for one.
TEST(ProfileConversion, AProfileHasNoLatency) {
  std::set<const google::protobuf::Descriptor*> of_profile;
  CollectTypes(v1::Profile::descriptor(), of_profile);
  for (const auto* type : of_profile) {
    for (int i = 0; i < type->field_count(); ++i) {
      EXPECT_EQ(type->field(i)->name().find("latency"), std::string::npos);
    }
  }
  std::set<const google::protobuf::Descriptor*> of_run;
  CollectTypes(v1::Run::descriptor(), of_run);
  EXPECT_FALSE(of_profile.contains(v1::Latency::descriptor()));
  EXPECT_FALSE(of_run.contains(v1::MetricValue::descriptor()));
  EXPECT_FALSE(of_run.contains(v1::Profile::descriptor()));
}

TEST(ProfileConversion, DerivesStallsAndBottleneckFromTheCounters) {
  const v1::Profile proto = ToProto(OneProfile());
  ASSERT_EQ(proto.metrics_size(), 3);
  EXPECT_EQ(proto.metrics(2).value(), 71);
  EXPECT_EQ(proto.unavailable_metrics(0), "no__such.sum");
  ASSERT_EQ(proto.stall_reasons_size(), 2);
  EXPECT_EQ(proto.stall_reasons(0).reason(), "long_scoreboard");
  EXPECT_EQ(proto.stall_reasons(0).percent(), 80);
  ASSERT_EQ(proto.bottleneck_size(), 1);  // latency is none where the bandwidth is used up
  EXPECT_EQ(proto.bottleneck(0).rule(), "memory_bandwidth");
  EXPECT_EQ(proto.bottleneck(0).evidence(0).value(), 71);
  EXPECT_EQ(proto.bottleneck(0).evidence(0).condition(), "at least 60");
  ASSERT_EQ(proto.hot_instructions_size(), 1);
  EXPECT_EQ(proto.hot_instructions(0).offset_bytes(), 16u);
  EXPECT_EQ(proto.hot_instructions(0).stall_samples().at("wait"), 7u);
  EXPECT_EQ(proto.total_samples(), 9u);
  EXPECT_EQ(proto.dropped_samples(), 1u);
}

OperationRecord Operation(const std::string& kind, OperationState state) {
  OperationRecord record;
  record.id = "7";
  record.kind = kind;
  record.target = "w2";
  record.state = state;
  record.progress = 0.5;
  record.stage = "viterbi";
  return record;
}

TEST(OperationConversion, RunningHasMetadataAndNoResult) {
  FakeEngine engine;
  const auto proto =
      ToProto(Operation("quantize", OperationState::kRunning), engine, Samples::kKeep);
  EXPECT_EQ(proto.name(), "operations/7");
  EXPECT_FALSE(proto.done());
  EXPECT_EQ(proto.result_case(), google::longrunning::Operation::RESULT_NOT_SET);
  v1::OperationMetadata metadata;
  ASSERT_TRUE(proto.metadata().UnpackTo(&metadata));
  EXPECT_EQ(metadata.state(), v1::RUNNING);
  EXPECT_EQ(metadata.stage(), "viterbi");
  EXPECT_EQ(metadata.progress(), 0.5);
}

TEST(OperationConversion, AnswersWithTheArtifact) {
  FakeEngine engine;
  engine.artifacts["w2"].name = "w2";
  engine.artifacts["w2"].format = "qtip";
  OperationRecord record = Operation("quantize", OperationState::kSucceeded);
  record.result = "w2";
  v1::Artifact artifact;
  const auto proto = ToProto(record, engine, Samples::kKeep);
  ASSERT_TRUE(proto.done());
  ASSERT_TRUE(proto.response().UnpackTo(&artifact));
  EXPECT_EQ(artifact.format(), "qtip");
}

TEST(OperationConversion, AnswersWithTheRunOfABenchmark) {
  FakeEngine engine;
  engine.runs["r1"] = OneRun();
  OperationRecord record = Operation("benchmark", OperationState::kSucceeded);
  record.result = "r1";
  v1::Run run;
  ASSERT_TRUE(ToProto(record, engine, Samples::kKeep).response().UnpackTo(&run));
  EXPECT_EQ(run.results_size(), 2);
}

TEST(OperationConversion, AnswersWithTheProfile) {
  FakeEngine engine;
  engine.profiles["3"].path = "fused";
  OperationRecord record = Operation("profile", OperationState::kSucceeded);
  record.result = "3";
  v1::Profile profile;
  ASSERT_TRUE(ToProto(record, engine, Samples::kKeep).response().UnpackTo(&profile));
  EXPECT_EQ(profile.path(), "fused");
  record.result = "gone";
  ASSERT_TRUE(ToProto(record, engine, Samples::kKeep).response().UnpackTo(&profile));
  EXPECT_EQ(profile.id(), "gone");
}

TEST(OperationConversion, NamesADeletedResultAlone) {
  FakeEngine engine;
  OperationRecord record = Operation("benchmark", OperationState::kSucceeded);
  record.result = "gone";
  v1::Run run;
  ASSERT_TRUE(ToProto(record, engine, Samples::kKeep).response().UnpackTo(&run));
  EXPECT_EQ(run.id(), "gone");
  EXPECT_EQ(run.results_size(), 0);
}

TEST(OperationConversion, EveryOtherEndHasAnError) {
  FakeEngine engine;
  for (const OperationState state :
       {OperationState::kFailed, OperationState::kCancelled, OperationState::kInterrupted}) {
    OperationRecord record = Operation("quantize", state);
    record.error = InvalidField("NON_FINITE", "W", "NaN", "finite values");
    const auto proto = ToProto(record, engine, Samples::kKeep);
    EXPECT_TRUE(proto.done());
    EXPECT_EQ(InfoOf(proto.error()).reason(), "NON_FINITE");
  }
}

TEST(OperationConversion, ReadsOnlyOperationNames) {
  EXPECT_EQ(*OperationId("operations/42"), "42");
  for (const char* name : {"", "42", "operations/", "operation/42"}) {
    EXPECT_EQ(GetErrorInfo(OperationId(name).status()).reason, "OPERATION_NAME_INVALID") << name;
  }
}

}  // namespace
}  // namespace qtipd
