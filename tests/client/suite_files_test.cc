#include "client/suite_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/api/error.h"
#include "tests/client/sample_runs.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

SuiteResults Results() {
  SuiteResults results{.bits = {2}};
  results.device.set_name("Some (R) GPU @ 2");
  results.device.set_compute_dtype("F16");
  results.runs.push_back(SampleRun("suite/k2", 2));
  v1::Artifact artifact;
  (*artifact.mutable_format_options())["bits"].set_integer(2);
  artifact.set_quantize_seconds(5);
  v1::StepTime& step = *artifact.add_quantize_steps();
  step.set_name("viterbi");
  step.set_seconds(4.5);
  results.artifacts.push_back(artifact);
  return results;
}

TEST(QuantTimingsCsv, LeavesAStepThatWasNotTimedEmpty) {
  EXPECT_EQ(QuantTimingsCsv(Results()),
            "K,total_s,preprocess_s,block_ldl_s,viterbi_s,postprocess_s\n"
            "2,5.00000,,,4.50000,\n");
}

TEST(DequantCsv, BeginsWithTheDenseBaseline) {
  EXPECT_EQ(DequantCsv(Results()),
            "config,w_mse,out_mse,w_bytes,ratio,ms,gb_s\n"
            "FP16,,,33554432,1.0000,0.0200000,800.000\n"
            "K=2,0.0715,299.8,33554432,1.0000,0.0400000,800.000\n");
}

TEST(DequantCsv, NamesTheBaselineAfterTheDevicesType) {
  SuiteResults results = Results();
  results.device.set_compute_dtype("F32");
  EXPECT_NE(DequantCsv(results).find("\nFP32,,,"), std::string::npos);
}

TEST(FusedCsv, HasTheStepsAndLeavesTheRestEmpty) {
  EXPECT_EQ(FusedCsv(Results()),
            "config,w_mse,out_mse,w_bytes,ratio,ms,gb_s,input_rot_ms,fused_decode_ms,"
            "packed_read_ms,decode_overhead_ms,output_rot_ms,output_scale_ms,kernel_codebook_ms,"
            "kernel_loop_ms,kernel_reduce_ms,kernel_total_ms\n"
            "FP16,,,33554432,1.0000,0.0200000,800.000,,,,,,,,,,\n"
            "K=2,0.0715,299.8,4229120,7.9340,0.00500000,800.000,0.00100000,0.00300000,,,"
            "0.000800000,0.000200000,,,,\n");
}

SuiteResults TracedResults() {
  SuiteResults results = Results();
  v1::BenchmarkResult& fused = *results.runs[0].mutable_results(2);
  fused.set_packed_read_seconds(2e-6);
  fused.mutable_phases()->set_kernel_seconds(3.2e-6);
  for (const auto& [name, seconds] : StepList{
           {"codebook", 1e-6}, {"loop", 1.5e-6}, {"reduce", 0.5e-6}, {"launch_skew", 0.2e-6}}) {
    v1::Phase& phase = *fused.mutable_phases()->add_phases();
    phase.set_name(name);
    phase.set_seconds(seconds);
  }
  return results;
}

TEST(FusedCsv, TakesReadOverheadAndPhasesFromTheResult) {
  EXPECT_NE(FusedCsv(TracedResults())
                .find(",0.00100000,0.00300000,0.00200000,0.00100000,0.000800000,0.000200000,"
                      "0.00100000,0.00150000,0.000500000,0.00320000\n"),
            std::string::npos);
}

TEST(FusedCsv, AnOverheadMayBeBelowZeroAndNeedsAStep) {
  SuiteResults results = TracedResults();
  v1::BenchmarkResult& fused = *results.runs[0].mutable_results(2);
  fused.set_packed_read_seconds(4e-6);
  EXPECT_NE(FusedCsv(results).find(",0.00300000,0.00400000,-0.00100000,"), std::string::npos)
      << FusedCsv(results);
  fused.mutable_steps(1)->set_median_seconds(0);
  EXPECT_NE(FusedCsv(results).find(",0,0.00400000,,"), std::string::npos) << FusedCsv(results);
}

TEST(FusedCsv, AStepThatWasTooShortToTellIsZero) {
  SuiteResults results = Results();
  results.runs[0].mutable_results(2)->mutable_steps(3)->set_median_seconds(0);
  EXPECT_NE(FusedCsv(results).find(",0.000800000,0,,,,\n"), std::string::npos) << FusedCsv(results);
}

TEST(FusedCsv, LeavesAPathThatWasNotMeasuredEmpty) {
  SuiteResults results = Results();
  *results.runs[0].mutable_results(2)->mutable_error() = CellError();
  EXPECT_NE(FusedCsv(results).find("\nK=2,0.0715,299.8,,,,,,,,,,,,,,\n"), std::string::npos);
}

TEST(FusedCsv, HasNoQualityForAnImport) {
  SuiteResults results = Results();
  results.runs[0].clear_quality();
  EXPECT_NE(FusedCsv(results).find("\nK=2,,,4229120,"), std::string::npos);
}

TEST(SuiteFiles, HaveAnEmptyRowForARateThatWasNotReached) {
  SuiteResults results = Results();
  results.bits = {2, 3};
  EXPECT_TRUE(QuantTimingsCsv(results).ends_with("\n2,5.00000,,,4.50000,\n3,,,,,\n"));
  EXPECT_TRUE(DequantCsv(results).ends_with(",800.000\nK=3,,,,,,\n"));
}

TEST(WriteTextFile, ReplacesAFileAndLeavesNothingElse) {
  const TempDir directory;
  const std::filesystem::path folder = directory.path();
  for (const std::string text : {"a longer text than the next", "short"}) {
    ASSERT_TRUE(WriteTextFile(folder / "deep" / "file.txt", text).ok());
    std::ostringstream read;
    read << std::ifstream(folder / "deep" / "file.txt").rdbuf();
    EXPECT_EQ(read.str(), text);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "deep"), {}), 1);
  const auto mode = std::filesystem::status(folder / "deep" / "file.txt").permissions();
  EXPECT_NE(mode & std::filesystem::perms::others_read, std::filesystem::perms::none);
}

TEST(FolderName, MakesOnePlainFolderOfAnyName) {
  EXPECT_EQ(FolderName("Some (R) GPU @ 2.1GHz"), "Some_R_GPU_2.1GHz");
  EXPECT_EQ(FolderName("../../etc"), ".._.._etc");
  EXPECT_EQ(FolderName(".."), "device");
  EXPECT_EQ(FolderName(""), "device");
}

TEST(WriteSuiteFiles, WritesThreeFilesBelowTheDevice) {
  const TempDir directory;
  const std::filesystem::path out = directory.path();
  const auto files = WriteSuiteFiles(Results(), out.string());
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->size(), 3u);
  std::ostringstream text;
  text << std::ifstream(out / "Some_R_GPU_2" / "fused" / "results.csv").rdbuf();
  EXPECT_EQ(text.str(), FusedCsv(Results()));
}

TEST(WriteSuiteFiles, SaysWhereItCannotWrite) {
  const auto files = WriteSuiteFiles(Results(), "/dev/null/results");
  EXPECT_EQ(GetErrorInfo(files.status()).reason, "FILE_NOT_WRITABLE");
}

}  // namespace
}  // namespace qtipd
