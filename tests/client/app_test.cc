#include "client/app.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "client/rpc_status.h"
#include "nlohmann/json.hpp"

namespace qtipd {
namespace {

// What one command line printed. No daemon runs: nothing here gets further than the target.
class AppTest : public ::testing::Test {
 protected:
  int Run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), {"qtipctl", "--target", "127.0.0.1:1"});
    out_.str("");
    err_.str("");
    return RunClient(static_cast<int>(arguments.size()), arguments.data(), out_, err_);
  }
  // One line on stderr, exit code 2, and the reason in the line.
  void ExpectUsage(const std::vector<const char*>& arguments, const std::string& line) {
    EXPECT_EQ(Run(arguments), kExitError);
    EXPECT_EQ(err_.str(), line + "\n");
    EXPECT_EQ(out_.str(), "");
  }
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(AppTest, PrintsHelpAndIsDone) {
  EXPECT_EQ(Run({"--help"}), kExitDone);
  for (const char* verb : {"quantize", "artifacts", "import", "export", "bench", "profile", "suite",
                           "runs", "jobs", "doctor", "health", "info", "version"}) {
    EXPECT_NE(out_.str().find(verb), std::string::npos) << verb;
  }
}

TEST_F(AppTest, NamesTheVerbsForAnUnknownOne) {
  ExpectUsage(
      {"frobnicate"},
      "error: USAGE: command: got 'frobnicate', allowed quantize, calibrate, artifacts, import, "
      "export, bench, profile, suite, runs, compare, jobs, doctor, health, info, "
      "version");
  ExpectUsage({"jobs"}, "error: USAGE: command: got nothing, allowed list, watch, cancel");
}

TEST_F(AppTest, NamesNearOptionsForAnUnknownOne) {
  ExpectUsage({"bench", "--artifact", "w2", "--bacth", "1"},
              "error: USAGE: argument: got '--bacth', allowed --batch or --path or --cache, see "
              "'qtipctl bench --help'");
}

TEST_F(AppTest, AProfileNeedsAnArtefactAndOneSetOfMetrics) {
  ExpectUsage(
      {"profile"},
      "error: USAGE: --artifact: got nothing, allowed a value, see 'qtipctl profile --help'");
  ExpectUsage({"profile", "--artifact", "w", "--preset", "full", "--metrics", "a.sum"},
              "error: USAGE: --metrics: got both --metrics and --preset, allowed one of them");
  ExpectUsage({"profile", "--artifact", "w", "--metrics", "a.sum,,b.sum"},
              "error: USAGE: --metrics: got 'a.sum,,b.sum', allowed a list like a,b with no "
              "empty part");
  ExpectUsage({"profile", "--artifact", "w", "--batch", "0"},
              "error: USAGE: --batch: got 0, allowed a whole number of at least 1");
}

TEST_F(AppTest, AProfilesVerbTakesNoOptionOfItsParent) {
  ExpectUsage({"profile", "--path", "fused", "list"},
              "error: USAGE: argument: got '--path', allowed see 'qtipctl profile list --help'");
  ExpectUsage({"profile", "show"},
              "error: USAGE: ID: got nothing, allowed a value, see 'qtipctl profile show --help'");
  ExpectUsage({"--device", "cpu", "profile", "metrics", "--chip", "GH100"},
              "error: USAGE: --chip: got both --chip and --device, allowed one of them");
}

TEST_F(AppTest, NamesAMissingOption) {
  ExpectUsage({"bench"},
              "error: USAGE: --artifact: got nothing, allowed a value, see 'qtipctl bench --help'");
}

TEST_F(AppTest, NamesAValueThatIsNoNumber) {
  EXPECT_EQ(Run({"bench", "--artifact", "w2", "--samples", "many"}), kExitError);
  EXPECT_NE(err_.str().find("--samples = many"), std::string::npos);
}

TEST_F(AppTest, TakesGlobalOptionsAfterTheVerb) {
  EXPECT_EQ(Run({"suite", "list", "-o", "json"}), kExitDone);
  EXPECT_EQ(nlohmann::json::parse(out_.str())["suites"][0]["name"], "distortion");
}

TEST_F(AppTest, ChecksGlobalOptions) {
  ExpectUsage({"-o", "yaml", "health"},
              "error: USAGE: --output: got 'yaml', allowed table, json, csv, markdown");
  EXPECT_EQ(Run({"health", "--timeout", "soon"}), kExitError);
}

TEST_F(AppTest, WantsExactlyOneSourceOfWeights) {
  ExpectUsage({"quantize", "--name", "w", "--bits", "2"},
              "error: USAGE: source: got nothing, allowed exactly one of --random, --input, "
              "--server-path");
  ExpectUsage({"quantize", "--name", "w", "--random", "16x16", "--input", "f"},
              "error: USAGE: source: got more than one, allowed exactly one of --random, --input, "
              "--server-path");
  ExpectUsage({"quantize", "--name", "w", "--input", "f"},
              "error: USAGE: --tensor: got nothing, allowed the name of a tensor in the file");
}

TEST_F(AppTest, RefusesACacheModeItDoesNotKnow) {
  ExpectUsage({"bench", "--artifact", "w2", "--cache", "warm"},
              "error: USAGE: --cache: got 'warm', allowed rotate, cold, hot");
}

TEST_F(AppTest, StoppingParametersAreNumbersByName) {
  ExpectUsage({"bench", "--artifact", "w2", "--stopping", "max-noise"},
              "error: USAGE: --stopping: got 'max-noise', allowed KEY=VALUE");
  ExpectUsage({"bench", "--artifact", "w2", "--stopping", "max-noise=low"},
              "error: USAGE: --stopping: got 'max-noise=low', allowed KEY=VALUE with a number as "
              "the value");
  ExpectUsage({"bench", "--artifact", "w2", "--stopping", "min-time=1", "--stopping", "min-time=2"},
              "error: USAGE: --stopping: got 'min-time' more than once, allowed each key once");
}

TEST_F(AppTest, RefusesNumbersThatCannotBeMeant) {
  for (const char* size : {"0", "31", "-5"}) {
    ExpectUsage({"suite", "run", "qtip-eval", "--size", size},
                std::string("error: USAGE: --size: got ") + size +
                    ", allowed at least 32, and a size that the format takes");
  }
  ExpectUsage({"suite", "run", "qtip-eval", "--resume"},
              "error: USAGE: --resume: got given, allowed no such flag: this suite is no table of "
              "speeds");
  for (const char* seed : {"-1", "18446744073709551616"}) {
    const std::string line = std::string("error: USAGE: --seed: got '") + seed +
                             "', allowed a whole number from 0 to 18446744073709551615";
    ExpectUsage({"bench", "--artifact", "w2", "--seed", seed}, line);
    ExpectUsage({"quantize", "--name", "w", "--random", "32x32", "--seed", seed}, line);
  }
  for (const char* seconds : {"nan", "inf", "-1"}) {
    ExpectUsage({"bench", "--artifact", "w2", "--max-seconds", seconds},
                std::string("error: USAGE: --max-seconds: got ") + seconds +
                    ", allowed a positive number of seconds up to 1e9");
  }
}

TEST_F(AppTest, WantsOneTargetToChangeThings) {
  const char* arguments[] = {"qtipctl", "--target", "a:1,b:1", "artifacts", "delete", "w2"};
  EXPECT_EQ(RunClient(6, arguments, out_, err_), kExitError);
  EXPECT_EQ(err_.str(),
            "error: TARGET_AMBIGUOUS: target: got a:1,b:1, allowed exactly one for this command\n");
}

TEST_F(AppTest, SaysInOneLineThatNobodyAnswers) {
  ExpectUsage({"health", "--timeout", "200ms"},
              "error: TARGET_UNREACHABLE: target: got 127.0.0.1:1, allowed a running qtipd (none "
              "answered within 200ms)");
}

TEST_F(AppTest, PrintsTheWholeStatusAfterTheLineWithJson) {
  EXPECT_EQ(Run({"health", "--timeout", "200ms", "-o", "json"}), kExitError);
  const std::string text = err_.str();
  const auto json = nlohmann::json::parse(text.substr(text.find('\n')));
  EXPECT_EQ(json["code"], 14);
  EXPECT_EQ(json["details"][0]["reason"], "TARGET_UNREACHABLE");
}

TEST_F(AppTest, ReportsEveryTargetThatFails) {
  const char* arguments[] = {"qtipctl",   "--target", "127.0.0.1:1,127.0.0.1:2",
                             "--timeout", "200ms",    "info"};
  EXPECT_EQ(RunClient(6, arguments, out_, err_), kExitError);
  EXPECT_NE(err_.str().find("127.0.0.1:1,"), std::string::npos);
  EXPECT_NE(err_.str().find("127.0.0.1:2,"), std::string::npos);
}

TEST_F(AppTest, TheDoctorSaysWhatItCanOfATargetThatDoesNotAnswer) {
  EXPECT_EQ(Run({"doctor", "--timeout", "200ms", "-o", "json"}), kExitError);
  EXPECT_TRUE(err_.str().starts_with("error: TARGET_UNREACHABLE: "));
  const auto findings = nlohmann::json::parse(out_.str())["findings"];
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0]["id"], "target_name");
  EXPECT_EQ(findings[0]["severity"], "SEVERITY_OK");
  EXPECT_EQ(findings[1]["id"], "target_port");
  EXPECT_EQ(findings[1]["severity"], "SEVERITY_PROBLEM");
  EXPECT_FALSE(findings[1]["cureCommand"].get<std::string>().empty());
}

TEST_F(AppTest, KnowsItsVersionWithoutADaemon) {
  EXPECT_EQ(Run({"version", "-o", "json", "--timeout", "200ms"}), kExitDone);
  const auto json = nlohmann::json::parse(out_.str());
  EXPECT_FALSE(json["version"].get<std::string>().empty());
  EXPECT_EQ(json["servers"][0]["target"], "127.0.0.1:1");
  EXPECT_TRUE(json["servers"][0].contains("error"));
}

TEST_F(AppTest, FindsMissingFilesAndTensorsBeforeItAsksADaemon) {
  EXPECT_EQ(Run({"import", "/nonexistent", "--name", "n"}), kExitError);
  EXPECT_TRUE(err_.str().starts_with("error: FILE_NOT_FOUND: "));
}

TEST_F(AppTest, AHessianHasAName) {
  for (const char* hessian : {"@", ":t", "f:"}) {
    EXPECT_EQ(
        Run({"quantize", "--name", "w", "--input", "f", "--tensor", "t", "--hessian", hessian}),
        kExitError);
    EXPECT_TRUE(err_.str().starts_with("error: USAGE: --hessian: got '")) << err_.str();
  }
}

TEST_F(AppTest, CalibrateNeedsANameAndOneSource) {
  ExpectUsage({"calibrate", "--tensor", "t", "--input", "f"},
              "error: USAGE: --name: got nothing, allowed the Hessian's name");
  ExpectUsage({"calibrate", "--name", "h", "--input", "f"},
              "error: USAGE: --tensor: got nothing, allowed the name of a tensor in the file");
  ExpectUsage({"calibrate", "--name", "h", "--tensor", "t"},
              "error: USAGE: source: got nothing, allowed one of --input, --server-path");
  ExpectUsage({"calibrate", "--name", "h", "list"},
              "error: USAGE: argument: got '--name', allowed see 'qtipctl calibrate list --help'");
}

TEST_F(AppTest, ImportTakesOneSource) {
  ExpectUsage({"import", "--name", "n"},
              "error: USAGE: source: got nothing, allowed one of FILE, --server-path");
  ExpectUsage(
      {"import", "f", "--server-path", "/p", "--name", "n"},
      "error: USAGE: source: got both FILE and --server-path, allowed one of FILE, --server-path");
}

TEST_F(AppTest, SaysWhenNobodyTakesItsOutput) {
  out_.setstate(std::ios::badbit);
  const char* arguments[] = {"qtipctl", "suite", "list"};
  EXPECT_EQ(RunClient(3, arguments, out_, err_), kExitError);
  EXPECT_TRUE(err_.str().starts_with("error: OUTPUT_FAILED: "));
}

}  // namespace
}  // namespace qtipd
