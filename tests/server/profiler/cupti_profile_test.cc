// The whole way of a profile: the host half for real, the target half faked.
#include "server/profiler/cupti_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "kernels/api/error.h"
#include "server/profiler/pc_sampling.h"
#include "tests/server/profiler/cupti_fixture.h"
#include "tests/server/profiler/fake_target.h"

namespace qtipd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CuptiProfileTest : public CuptiFixture {
 protected:
  void SetUp() override {
    CuptiFixture::SetUp();
    if (IsSkipped()) return;
    InstallFakeTarget(fake_, api_);
    task_.metrics = {"dram__bytes_read.sum"};
  }
  absl::StatusOr<ProfileData> Profile() {
    return ProfileWithCupti(api_, DriverDevice{}, task_, [this]() -> absl::StatusOr<Replay> {
      fake_.calls.push_back("prepare");
      return Replay([this] {
        fake_.calls.push_back("replay");
        return replay_status_;
      });
    });
  }
  std::string Reason() { return GetErrorInfo(Profile().status()).reason; }

  FakeTarget fake_;
  ProfileTask task_;
  absl::Status replay_status_;
};

TEST_F(CuptiProfileTest, CallsInTheOrderThatCuptiWants) {
  fake_.passes = 2;
  ASSERT_TRUE(Profile().ok());
  EXPECT_THAT(
      fake_.calls,
      ElementsAre("profiler_initialize", "get_chip_name", "prepare", "device_supported",
                  "get_counter_availability", "get_counter_availability", "range_enable",
                  "range_counter_data_size", "range_counter_data_initialize", "range_set_config",
                  "range_start", "range_push", "replay", "range_pop", "range_stop", "range_start",
                  "range_push", "replay", "range_pop", "range_stop", "range_decode_data",
                  "range_counter_data_info", "range_disable", "evaluate", "profiler_deinitialize"));
}

TEST_F(CuptiProfileTest, ReplaysUntilEveryPassIsSubmitted) {
  fake_.passes = 11;
  EXPECT_EQ(Profile()->passes, 11);
  EXPECT_EQ(fake_.CountOf("replay"), 11);
}

TEST_F(CuptiProfileTest, GivesTheHostTheDevicesAvailability) {
  ASSERT_TRUE(Profile().ok());
  EXPECT_THAT(fake_.host_availability, ElementsAre(7, 7, 7, 7));
}

TEST_F(CuptiProfileTest, KeepsValuesWithTheirNamesWhenOthersAreUnknown) {
  task_.metrics = {"no__such.sum", "dram__bytes_read.sum", "nor__this.sum",
                   "dram__bytes_write.sum"};
  fake_.values = {{"dram__bytes_read.sum", 10}, {"dram__bytes_write.sum", 20}};
  const auto data = Profile();
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_EQ(data->metrics.size(), 2u);
  EXPECT_EQ(data->metrics[0].name, "dram__bytes_read.sum");
  EXPECT_EQ(data->metrics[0].value, 10);
  EXPECT_EQ(data->metrics[1].name, "dram__bytes_write.sum");
  EXPECT_EQ(data->metrics[1].value, 20);
  EXPECT_THAT(data->unavailable_metrics, ElementsAre("no__such.sum", "nor__this.sum"));
}

TEST_F(CuptiProfileTest, RefusesWhereNothingIsKnown) {
  task_.metrics = {"no__such.sum"};
  EXPECT_EQ(Reason(), "METRIC_UNKNOWN");
}

TEST_F(CuptiProfileTest, DropsWhatTheDeviceCouldNotCount) {
  fake_.values = {{"dram__bytes_read.sum", std::numeric_limits<double>::quiet_NaN()}};
  const auto data = Profile();
  EXPECT_TRUE(data->metrics.empty());
  EXPECT_THAT(data->unavailable_metrics, ElementsAre("dram__bytes_read.sum"));
}

TEST_F(CuptiProfileTest, SaysTimeInSeconds) {
  task_.metrics = {"gpu__time_duration.sum"};
  fake_.values = {{"gpu__time_duration.sum", 5e6}};
  EXPECT_DOUBLE_EQ(Profile()->metrics[0].value, 5e-3);
}

TEST_F(CuptiProfileTest, RefusesADroppedRange) {
  fake_.dropped_ranges = 1;
  EXPECT_EQ(Reason(), "RANGES_DROPPED");
  fake_.dropped_ranges = 0;
  fake_.ranges = 0;
  EXPECT_EQ(Reason(), "RANGES_DROPPED");
}

TEST_F(CuptiProfileTest, EndsAtAProfilerThatNeverEnds) {
  fake_.passes = 1 << 30;
  EXPECT_EQ(Reason(), "CUPTI_FAILED");
  EXPECT_EQ(fake_.CountOf("range_disable"), 1);
}

TEST_F(CuptiProfileTest, DisablesAfterAFailedReplay) {
  replay_status_ = absl::InternalError("kernel");
  EXPECT_EQ(Profile().status().message(), "kernel");
  EXPECT_EQ(fake_.CountOf("range_disable"), 1);
  EXPECT_EQ(fake_.CountOf("profiler_deinitialize"), 1);
}

TEST_F(CuptiProfileTest, RefusalsAreTypedWhereverTheySurface) {
  const std::vector<std::pair<cupti::Result, std::string>> expected = {
      {35, "PROFILING_NOT_PERMITTED"}, {26, "PROFILER_BUSY"},         {39, "PROFILER_BUSY"},
      {33, "PROFILING_VIRTUALISED"},   {40, "PROFILING_VIRTUALISED"}, {43, "PROFILING_MIG"},
      {41, "PROFILING_UNSUPPORTED"},   {999, "CUPTI_FAILED"}};
  for (const auto& [result, reason] : expected) {
    for (const char* call : {"get_counter_availability", "range_enable", "range_start"}) {
      fake_.results = {{call, result}};
      EXPECT_EQ(Reason(), reason) << call << " " << result;
    }
  }
}

TEST_F(CuptiProfileTest, RefusalsSayTheCure) {
  fake_.results = {{"range_enable", 35}};
  EXPECT_THAT(std::string(Profile().status().message()),
              ::testing::AllOf(HasSubstr("NVreg_RestrictProfilingToAdminUsers=0"),
                               HasSubstr("CAP_PERFMON")));
  fake_.results = {{"range_enable", 26}};
  EXPECT_THAT(std::string(Profile().status().message()), HasSubstr("dcgmi profile --pause"));
}

TEST_F(CuptiProfileTest, AnUnsupportedDeviceIsToldApart) {
  fake_.is_supported = cupti::Support::kUnsupported;
  fake_.architecture = cupti::Support::kUnsupported;
  EXPECT_EQ(Reason(), "PROFILING_UNSUPPORTED");
  fake_.vgpu = cupti::Support::kDisabled;
  EXPECT_EQ(Reason(), "PROFILING_VIRTUALISED");
}

TEST_F(CuptiProfileTest, SamplesInstructionsBeforeTheWorkIsLoadedAndOffTheRangeProfiler) {
  task_.samples_program_counters = true;
  fake_.reads = {{{"_Z1fv", 0x10, {{0, 5}, {1, 3}}}},
                 {{"_Z1fv", 0x10, {{0, 2}}}, {"_Z1gv", 0, {{0, 1}}}}};
  const auto data = Profile();
  ASSERT_TRUE(data.ok()) << data.status();
  const auto at = [&](const char* call) {
    return std::find(fake_.calls.begin(), fake_.calls.end(), call) - fake_.calls.begin();
  };
  EXPECT_LT(at("pc_enable"), at("prepare"));
  EXPECT_LT(at("pc_disable"), at("range_enable"));
  EXPECT_LT(at("pc_enable"), at("pc_reason_count"));
  EXPECT_EQ(fake_.CountOf("pc_disable"), 1);
  ASSERT_EQ(data->hot_instructions.size(), 2u);
  EXPECT_EQ(data->hot_instructions[0].function, "_Z1fv");
  EXPECT_EQ(data->hot_instructions[0].offset, 0x10u);
  // "..._not_issued" counts a part of the same samples again.
  EXPECT_EQ(data->hot_instructions[0].samples, 7u);
  EXPECT_EQ(data->hot_instructions[0].stall_samples.at("wait"), 7u);
}

TEST_F(CuptiProfileTest, SamplesInstructionsAlone) {
  task_.metrics.clear();
  task_.samples_program_counters = true;
  fake_.reads = {{{"f", 0, {{0, 1}}}}};
  const auto data = Profile();
  EXPECT_EQ(data->passes, 0);
  EXPECT_EQ(fake_.CountOf("range_enable"), 0);
  EXPECT_EQ(data->hot_instructions.size(), 1u);
}

TEST_F(CuptiProfileTest, ADeviceThatIsNewerThanCuptiWantsANewerOne) {
  fake_.chip = "GX999";
  const auto data = Profile();
  EXPECT_EQ(GetErrorInfo(data.status()).reason, "PROFILING_UNSUPPORTED");
  EXPECT_THAT(std::string(data.status().message()), HasSubstr("install a newer CUPTI"));
}

TEST_F(CuptiProfileTest, CountsWhereInstructionsCannotBeSampled) {
  task_.samples_program_counters = true;
  for (const char* call : {"pc_enable", "pc_reason_count", "pc_start", "pc_get_data"}) {
    fake_.calls.clear();
    fake_.results = {{call, cupti::kHardwareBusy}};
    const auto data = Profile();
    ASSERT_TRUE(data.ok()) << call << data.status();
    EXPECT_THAT(data->notes.at("instructions_error"), HasSubstr("PROFILER_BUSY: "));
    EXPECT_EQ(data->metrics.size(), 1u);
    EXPECT_EQ(fake_.CountOf("prepare"), 1);
  }
}

TEST_F(CuptiProfileTest, RefusesWhereInstructionsAloneWereAskedFor) {
  task_.metrics.clear();
  task_.samples_program_counters = true;
  fake_.results = {{"pc_enable", cupti::kHardwareBusy}};
  EXPECT_EQ(Reason(), "PROFILER_BUSY");
}

TEST_F(CuptiProfileTest, NotesThatTheBufferWasFull) {
  task_.samples_program_counters = true;
  fake_.reads = {{{"f", 0, {{0, 1}}}}};
  EXPECT_FALSE(Profile()->notes.contains("samples_truncated"));
  // By its flag, and by the code that CUPTI gives then.
  for (const cupti::Result result : {cupti::kSuccess, cupti::kOutOfMemory}) {
    fake_.reads_done = 0;
    fake_.is_buffer_full = result == cupti::kSuccess;
    fake_.results = {{"pc_get_data", result}};
    const auto data = Profile();
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_THAT(data->notes.at("samples_truncated"), HasSubstr("buffer was full"));
    EXPECT_EQ(data->hot_instructions.size(), 1u);
  }
}

TEST_F(CuptiProfileTest, NotesThatSamplesWereLeftUnread) {
  task_.samples_program_counters = true;
  fake_.reads.assign(5000, {{"f", 0, {{0, 1}}}});
  const auto data = Profile();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_LT(data->total_samples, 5000u);
  EXPECT_THAT(data->notes.at("samples_truncated"), HasSubstr("could be read"));
}

TEST(PcSampling, KeepsTheHottest) {
  PcSamples samples;
  for (uint64_t i = 0; i < 20; ++i) samples.instructions.push_back({"f", 16 * i, {{"wait", i}}});
  const auto hottest = HottestInstructions(samples, 10);
  ASSERT_EQ(hottest.size(), 10u);
  EXPECT_EQ(hottest.front().samples, 19u);
  EXPECT_EQ(hottest.back().samples, 10u);
}

TEST(PcSampling, Demangles) {
  EXPECT_EQ(Demangle("_Z3foov"), "foo()");
  EXPECT_EQ(Demangle("foo"), "foo");
}

TEST(CuptiApi, IsLookedForBesideTheProgramFirstAndWithTheLoaderLast) {
  const auto candidates = CuptiCandidates("/opt/qtipd/bin", "/opt/cuda");
  EXPECT_EQ(candidates.front(), "/opt/qtipd/bin/libcupti.so.13");
  EXPECT_THAT(candidates, ::testing::Contains("/opt/cuda/extras/CUPTI/lib64/libcupti.so.12"));
  EXPECT_EQ(candidates.back(), "libcupti.so");
}

TEST(CuptiApi, WithoutItTheCureIsNamed) {
  const auto api = OpenCupti({"/nonexistent/libcupti.so.13", "libcupti-that-nobody-has.so"});
  EXPECT_EQ(GetErrorInfo(api.status()).reason, "CUPTI_NOT_FOUND");
  EXPECT_THAT(std::string(api.status().message()), HasSubstr("CUDA_HOME"));
}

TEST(CuptiApi, ALibraryWithoutItsFunctionsIsRefused) {
  const auto api = OpenCupti({"libc.so.6"});
  EXPECT_EQ(GetErrorInfo(api.status()).reason, "CUPTI_NOT_FOUND");
  EXPECT_THAT(std::string(api.status().message()), HasSubstr("cuptiProfilerHostInitialize"));
}

}  // namespace
}  // namespace qtipd
