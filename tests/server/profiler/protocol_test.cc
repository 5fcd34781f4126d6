#include "server/profiler/profile_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "kernels/api/error.h"
#include "server/profiler/disassembly.h"
#include "server/profiler/driver_api.h"
#include "server/profiler/metric_presets.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ProfileProtocol, ATaskArrivesAsItWasSent) {
  ProfileTask task;
  task.artifact_path = "/data/a\"b.safetensors";
  task.device = "cuda:1";
  task.cuda_module = "/lib/libqtipd_cuda.so";
  task.path = "fused";
  task.step = "fused_decode";
  task.batch = 4;
  task.activation_dtype = "BF16";
  task.copies = 80;
  task.seed = std::numeric_limits<uint64_t>::max();
  task.preset = "stalls";
  task.metrics = {"a.sum", "b.pct"};
  task.samples_program_counters = true;
  const auto request = ParseRequest(ToJson({task, {}}));
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_TRUE(request->profile);
  EXPECT_EQ(request->profile->artifact_path, task.artifact_path);
  EXPECT_EQ(request->profile->device, "cuda:1");
  EXPECT_EQ(request->profile->cuda_module, task.cuda_module);
  EXPECT_EQ(request->profile->path, "fused");
  EXPECT_EQ(request->profile->step, "fused_decode");
  EXPECT_EQ(request->profile->batch, 4);
  EXPECT_EQ(request->profile->activation_dtype, "BF16");
  EXPECT_EQ(request->profile->copies, 80);
  EXPECT_EQ(request->profile->seed, task.seed);
  EXPECT_EQ(request->profile->preset, "stalls");
  EXPECT_EQ(request->profile->metrics, task.metrics);
  EXPECT_TRUE(request->profile->samples_program_counters);
  EXPECT_FALSE(request->catalogue);
}

TEST(ProfileProtocol, DataArriveAsTheyWereSent) {
  ProfileData data;
  data.chip = "GH100";
  data.source = "cupti";
  data.passes = 6;
  data.runs = 80;
  data.metrics = {{"a.sum", 0.1, "bytes", "what"}, {"b.sum", std::nan(""), "", ""}};
  data.unavailable_metrics = {"c"};
  data.hot_instructions = {{"f()", 16, "LDS R0", 7, {{"wait", 7}}}};
  data.total_samples = 9;
  data.dropped_samples = 1;
  data.notes = {{"key", "value"}};
  const auto read = ParseProfileAnswer(ProfileAnswer(data));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->chip, "GH100");
  EXPECT_EQ(read->source, "cupti");
  EXPECT_EQ(read->passes, 6);
  EXPECT_EQ(read->runs, 80);
  ASSERT_EQ(read->metrics.size(), 2u);
  EXPECT_EQ(read->metrics[0].value, 0.1);
  EXPECT_EQ(read->metrics[0].unit, "bytes");
  EXPECT_EQ(read->metrics[0].description, "what");
  EXPECT_TRUE(std::isnan(read->metrics[1].value));
  EXPECT_THAT(read->unavailable_metrics, ElementsAre("c"));
  ASSERT_EQ(read->hot_instructions.size(), 1u);
  EXPECT_EQ(read->hot_instructions[0].function, "f()");
  EXPECT_EQ(read->hot_instructions[0].offset, 16u);
  EXPECT_EQ(read->hot_instructions[0].text, "LDS R0");
  EXPECT_EQ(read->hot_instructions[0].stall_samples.at("wait"), 7u);
  EXPECT_EQ(read->total_samples, 9u);
  EXPECT_EQ(read->dropped_samples, 1u);
  EXPECT_EQ(read->notes.at("key"), "value");
}

TEST(ProfileProtocol, ARefusalArrivesWithItsReasonAndMetadata) {
  const absl::Status refusal = MakeError(absl::StatusCode::kPermissionDenied,
                                         "PROFILING_NOT_PERMITTED", "no", {{"code", "35"}});
  const auto read = ParseProfileAnswer(ProfileAnswer(refusal));
  EXPECT_EQ(read.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(read.status().message(), "no");
  EXPECT_EQ(GetErrorInfo(read.status()).reason, "PROFILING_NOT_PERMITTED");
  EXPECT_EQ(GetErrorInfo(read.status()).metadata.at("code"), "35");
}

TEST(ProfileProtocol, ACatalogueArrivesAsItWasSent) {
  MetricCatalogue catalogue{"GH100", {{"a", "what"}}, {"a.sum"}, {"b.sum"}, 3};
  const auto read = ParseCatalogueAnswer(CatalogueAnswer(catalogue));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->chip, "GH100");
  EXPECT_EQ(read->metrics[0].name, "a");
  EXPECT_EQ(read->metrics[0].description, "what");
  EXPECT_THAT(read->selected_metrics, ElementsAre("a.sum"));
  EXPECT_THAT(read->unavailable_metrics, ElementsAre("b.sum"));
  EXPECT_EQ(read->passes, 3);
}

TEST(ProfileProtocol, WhatIsNoMessageIsTheHelpersFailure) {
  for (const char* text : {"", "{", "{}", "[]", "{\"profile\": {\"chip\": 1}}", "Segmentation"}) {
    EXPECT_EQ(GetErrorInfo(ParseProfileAnswer(text).status()).reason, "PROFILER_HELPER_FAILED")
        << text;
    EXPECT_EQ(GetErrorInfo(ParseRequest(text).status()).reason, "PROFILER_HELPER_FAILED") << text;
  }
}

TEST(ProfileProtocol, ARequestIsOneOfTheTwo) {
  EXPECT_FALSE(ParseRequest(ToJson({ProfileTask{}, CatalogueTask{}})).ok());
  EXPECT_TRUE(ParseRequest(ToJson({{}, CatalogueTask{}})).ok());
}

TEST(MetricPresets, TakeEveryStallReasonThatTheCatalogueHas) {
  const auto metrics = PresetMetrics(
      "stalls", {"smsp__warp_issue_stalled_new_reason_per_warp_active", "smsp__inst_executed",
                 "smsp__warp_issue_stalled_x_pipe_y_per_warp_active"});
  EXPECT_THAT(*metrics, ElementsAre("smsp__warp_issue_stalled_new_reason_per_warp_active.pct",
                                    "smsp__warp_issue_stalled_x_pipe_y_per_warp_active.pct",
                                    "gpu__time_duration.sum",
                                    "dram__throughput.avg.pct_of_peak_sustained_elapsed"));
}

TEST(MetricPresets, ReadReasonsOffNames) {
  EXPECT_EQ(StallReasonOf("smsp__warp_issue_stalled_math_pipe_throttle_per_warp_active.pct"),
            "math_pipe_throttle");
  EXPECT_EQ(StallReasonOf("smsp__warp_issue_stalled__per_warp_active"), "");
  EXPECT_EQ(StallReasonOf("smsp__warps_active"), "");
}

TEST(MetricPresets, RefuseAnUnknownOne) {
  EXPECT_EQ(GetErrorInfo(PresetMetrics("all", {}).status()).reason, "PRESET_UNKNOWN");
}

TEST(Disassembly, ReadsOffsetsAndTexts) {
  const auto texts = ParseSass(
      "\t\tFunction : _Z1fv\n\t.headerflags\t@\"EF_CUDA_SM90\"\n"
      "        /*0000*/                   LDC R1, c[0x0][0x28] ;      /* 0x00000a00ff017b82 */\n"
      "                                                               /* 0x000fe20000000800 */\n"
      "        /*0a10*/              @!P0 BRA 0x80 ;                  /* 0x0000 */\n"
      "\t\tFunction : _Z1gv\n"
      "        /*0000*/                   EXIT ;                      /* 0x0000 */\n");
  ASSERT_EQ(texts.size(), 3u);
  EXPECT_EQ(texts.at({"_Z1fv", 0}), "LDC R1, c[0x0][0x28]");
  EXPECT_EQ(texts.at({"_Z1fv", 0xa10}), "@!P0 BRA 0x80");
  EXPECT_EQ(texts.at({"_Z1gv", 0}), "EXIT");
}

TEST(Disassembly, WithoutADisassemblerTextsStayEmptyAndTheCureIsNamed) {
  std::vector<HotInstruction> hot = {{"f", 0, "", 1, {}}};
  EXPECT_NE(Disassemble("", "lib.so", hot).find("cuobjdump"), std::string::npos);
  EXPECT_EQ(hot[0].text, "");
}

// A disassembler in a shell's clothes: it knows f and g, fails where it is asked for h
// and hangs where it is asked for slow.
class FakeDisassembler {
 public:
  FakeDisassembler() {
    std::ofstream(path())
        << "#!/bin/sh\necho \"$3\" >> '" << log() << "'\n"
        << "case \"$3\" in *h*) echo no h >&2; exit 1;; *slow*) exec sleep 600;; esac\n"
        << "for f in $(echo \"$3\" | tr , ' '); do\n"
        << "  echo \"Function : $f\"; echo \"/*0010*/ NOP.$f ;\"\ndone\n";
    chmod(path().c_str(), 0755);
  }
  std::string path() const { return directory_ / "cuobjdump"; }
  std::string log() const { return directory_ / "log"; }
  std::vector<std::string> calls() const {
    std::vector<std::string> lines;
    std::ifstream file(log());
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

 private:
  TempDir directory_;
};

TEST(Disassembly, ReadsTheLibraryOnceForAllFunctions) {
  const FakeDisassembler disassembler;
  std::vector<HotInstruction> hot = {
      {"g", 16, "", 3, {}}, {"f", 16, "", 2, {}}, {"f", 32, "", 1, {}}};
  EXPECT_EQ(Disassemble(disassembler.path(), "lib.so", hot), "not in lib.so");  // of offset 32
  EXPECT_EQ(hot[0].text, "NOP.g");
  EXPECT_EQ(hot[1].text, "NOP.f");
  EXPECT_EQ(hot[2].text, "");
  EXPECT_THAT(disassembler.calls(), ElementsAre("f,g"));
}

TEST(Disassembly, AFunctionOfAnotherLibraryCostsTheOthersNothing) {
  const FakeDisassembler disassembler;
  std::vector<HotInstruction> hot = {{"h", 16, "", 3, {}}, {"f", 16, "", 2, {}}};
  EXPECT_THAT(Disassemble(disassembler.path(), "lib.so", hot), HasSubstr("no h"));
  EXPECT_EQ(hot[0].text, "");
  EXPECT_EQ(hot[1].text, "NOP.f");
}

TEST(Disassembly, OneThatTakesTooLongIsAskedOnce) {
  const FakeDisassembler disassembler;
  std::vector<HotInstruction> hot = {{"slow", 16, "", 3, {}}, {"f", 16, "", 2, {}}};
  EXPECT_THAT(Disassemble(disassembler.path(), "lib.so", hot, 0.2),
              HasSubstr("took longer than 0.2 s"));
  EXPECT_LE(disassembler.calls().size(), 1u);
}

TEST(DriverApi, TellsAFullOrLockedDeviceFromNone) {
  EXPECT_TRUE(DriverStatus("cuInit", 0, "CUDA_SUCCESS").ok());
  const absl::Status full = DriverStatus("cuDevicePrimaryCtxRetain", 2, "CUDA_ERROR_OUT_OF_MEMORY");
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(GetErrorInfo(full).reason, "DEVICE_MEMORY_EXHAUSTED");
  const absl::Status locked = DriverStatus("cuDevicePrimaryCtxRetain", 46, "unavailable");
  EXPECT_EQ(locked.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(GetErrorInfo(locked).reason, "DEVICE_UNAVAILABLE");
  EXPECT_THAT(std::string(locked.message()), HasSubstr("nvidia-smi -c DEFAULT"));
  const absl::Status none = DriverStatus("cuInit", 100, "CUDA_ERROR_NO_DEVICE");
  EXPECT_EQ(GetErrorInfo(none).reason, "NO_DEVICE");
  EXPECT_THAT(std::string(none.message()), HasSubstr("cuInit: CUDA_ERROR_NO_DEVICE"));
}

TEST(DriverApi, ReadsTheIndexOffADevice) {
  EXPECT_EQ(*CudaIndex("cuda:12"), 12);
  for (const char* device : {"cuda", "cuda:", "cuda:-1", "cuda:1x", "cpu"}) {
    EXPECT_EQ(GetErrorInfo(CudaIndex(device).status()).reason, "DEVICE_NOT_FOUND") << device;
  }
}

}  // namespace
}  // namespace qtipd
