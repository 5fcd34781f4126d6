#include "client/speed_record.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <functional>

#include "kernels/api/error.h"
#include "tests/client/sample_suites.h"

namespace qtipd {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

// The first case measured, the second begun.
SpeedRecord Interrupted() {
  SpeedRecord record = SampleRecord();
  MeasureSample(record.results[0]);
  MeasureSample(record.results[1], /*runs=*/1);
  record.end = MakeError(absl::StatusCode::kCancelled, "INTERRUPTED_BY_USER", "got an interrupt");
  record.results[1].status = record.end;
  return record;
}

// What resuming with `record` says to the interrupted one's file, after `change`.
absl::Status Refusal(SpeedRecord record, const std::function<void(Json&)>& change = {}) {
  Json json = ToJson(Interrupted());
  if (change) change(json);
  return TakeFinished(json.dump(), record);
}

void ExpectRefusal(const absl::Status& status, const std::string& message) {
  EXPECT_EQ(GetErrorInfo(status).reason, "SUITE_NOT_RESUMABLE");
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST(SpeedRecord, SaysThatItIsPartialAndWhatItHas) {
  const Json json = ToJson(Interrupted());
  EXPECT_EQ(json["partial"], true);
  EXPECT_EQ(json["finished"], 1);
  EXPECT_EQ(json["total"], 2);
  EXPECT_EQ(json["endedBy"]["details"][0]["reason"], "INTERRUPTED_BY_USER");
  EXPECT_EQ(json["runs"].size(), 3u);
  EXPECT_EQ(json["cases"][0]["case"], "4096x4096 qtip bits=2");
  EXPECT_EQ(json["cases"][0]["runs"], Json({0, 1}));
  EXPECT_EQ(json["cases"][1]["runs"], Json({2}));
  EXPECT_EQ(json["cases"][1]["finished"], false);
}

TEST(SpeedRecord, TakesWhatAnEarlierOneHas) {
  const SpeedRecord earlier = Interrupted();
  SpeedRecord record = SampleRecord();
  const absl::Status taken = TakeFinished(ToJson(earlier).dump(), record);
  ASSERT_TRUE(taken.ok()) << taken;
  EXPECT_TRUE(record.results[0].is_finished);
  ASSERT_EQ(record.results[0].runs.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(MessageDifferencer::Equals(record.results[0].runs[i], earlier.results[0].runs[i]));
  }
  EXPECT_TRUE(MessageDifferencer::Equals(record.results[0].artifact, earlier.results[0].artifact));
  EXPECT_FALSE(record.results[1].is_finished) << "one run is missing";
  EXPECT_EQ(record.results[1].runs.size(), 1u);
  EXPECT_TRUE(record.results[1].status.ok());
}

TEST(SpeedRecord, TakesSharesOfThePeak) {
  SpeedRecord earlier = Interrupted();
  earlier.results[0].shares[{"fused", 1}] = {.compute = 0.25, .memory = 0.75};
  SpeedRecord record = SampleRecord();
  ASSERT_TRUE(TakeFinished(ToJson(earlier).dump(), record).ok());
  EXPECT_EQ((record.results[0].shares[{"fused", 1}].compute), 0.25);
  EXPECT_EQ((record.results[0].shares[{"fused", 1}].memory), 0.75);
}

TEST(SpeedRecord, TriesARefusedCaseAgain) {
  SpeedRecord earlier = Interrupted();
  earlier.results[0].status =
      MakeError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED", "no room");
  SpeedRecord record = SampleRecord();
  ASSERT_TRUE(TakeFinished(ToJson(earlier).dump(), record).ok());
  EXPECT_FALSE(record.results[0].is_finished);
}

TEST(SpeedRecord, NamesTheConditionThatDiffers) {
  SpeedRecord record = SampleRecord();
  record.daemon_commit = "ffffffffffff";
  ExpectRefusal(Refusal(record),
                "--resume: daemonCommit of runs.json: got \"1a2b3c4d5e6f\", allowed "
                "\"ffffffffffff\"");
  record = SampleRecord();
  record.device.set_name("Other GPU");
  ExpectRefusal(Refusal(record),
                "deviceName of runs.json: got \"Some GPU\", allowed \"Other GPU\"");
  Suite suite = SampleSuite();
  suite.repeats = 3;
  ExpectRefusal(Refusal(SampleRecord(suite)), "repeats of runs.json: got 2, allowed 3");
  suite = SampleSuite();
  suite.seed = 8;
  ExpectRefusal(Refusal(SampleRecord(suite)), "seed of runs.json: got 7, allowed 8");
  suite = SampleSuite();
  suite.name = "another";
  ExpectRefusal(Refusal(SampleRecord(suite)), "suite of runs.json: got \"sample\"");
  suite = SampleSuite();
  suite.benchmark.set_paths(1, "dequant");
  ExpectRefusal(Refusal(SampleRecord(suite)),
                "benchmark.paths.1 of runs.json: got \"fused\", allowed \"dequant\"");
  suite = SampleSuite();
  suite.benchmark.add_paths("dequant");
  ExpectRefusal(Refusal(SampleRecord(suite)),
                "benchmark.paths.2 of runs.json: got nothing, allowed \"dequant\"");
  suite.benchmark.mutable_paths()->DeleteSubrange(1, 2);
  ExpectRefusal(Refusal(SampleRecord(suite)),
                "benchmark.paths.1 of runs.json: got \"fused\", allowed nothing");
}

TEST(SpeedRecord, LosesNoCaseThatWasMeasured) {
  SpeedRecord record = SampleRecord();
  record.results.erase(record.results.begin());
  ExpectRefusal(Refusal(record), "got '4096x4096 qtip bits=2', allowed the cases that are asked");
  record = SampleRecord();
  record.results[0].speed_case.batches = {1, 4};
  ExpectRefusal(Refusal(record),
                "batches of '4096x4096 qtip bits=2' of runs.json: got 1, allowed 1,4");
}

TEST(SpeedRecord, RefusesAFileThatItDidNotWrite) {
  SpeedRecord record = SampleRecord();
  for (const char* text : {"", "{", "[]", "{\"suite\": \"sample\", \"runs\": []}"}) {
    ExpectRefusal(TakeFinished(text, record), "allowed what this qtipctl writes");
  }
  const SpeedRecord ours = SampleRecord();
  ExpectRefusal(Refusal(ours, [](Json& json) { json["cases"][0]["runs"][0] = 99; }), "text of");
  ExpectRefusal(Refusal(ours, [](Json& json) { json["cases"][0]["finished"] = "yes"; }), "text of");
  ExpectRefusal(Refusal(ours, [](Json& json) { json["runs"][0]["shape"] = 5; }), "Run of");
}

}  // namespace
}  // namespace qtipd
