// Flags, environment, file: which wins, and what is said about bad ones.
#include "server/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "kernels/api/error.h"
#include "server/settings.h"

namespace qtipd {
namespace {

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    environment_["HOME"] = "/home/user";
    sources_.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      return found == environment_.end() ? std::nullopt : std::optional(found->second);
    };
    sources_.program_directory = "/opt/qtipd/bin";
    sources_.version = "qtipd 1.2.3";
  }

  Config Read(std::vector<std::string> arguments) {
    sources_.arguments = std::move(arguments);
    const auto outcome = ReadConfig(sources_);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.ok() ? outcome->config : Config();
  }

  // "REASON: message"
  std::string Error(std::vector<std::string> arguments) {
    sources_.arguments = std::move(arguments);
    const auto outcome = ReadConfig(sources_);
    if (outcome.ok()) return "OK";
    return GetErrorInfo(outcome.status()).reason + ": " + std::string(outcome.status().message());
  }

  std::string File(const std::string& text) {
    const std::string path = testing::TempDir() + "/config_" +
                             testing::UnitTest::GetInstance()->current_test_info()->name() +
                             ".toml";
    std::ofstream(path) << text;
    return path;
  }

  std::map<std::string, std::string> environment_;
  ConfigSources sources_;
};

TEST_F(ConfigTest, HasTheDefaultsOfTheContract) {
  const Config config = Read({});
  EXPECT_EQ(config.listen, "127.0.0.1:7070");
  EXPECT_EQ(config.http_listen, "127.0.0.1:9464");
  EXPECT_EQ(config.data_dir, "/home/user/.local/share/qtipd");
  EXPECT_EQ(config.gpu_telemetry, "on");
  EXPECT_EQ(config.device, "auto");
  EXPECT_TRUE(config.server_paths.empty());
  EXPECT_EQ(config.max_upload_bytes, uint64_t{64} << 30);
  EXPECT_EQ(config.cuda_module, "/opt/qtipd/bin/libqtipd_cuda.so");
  EXPECT_EQ(config.drain_timeout_seconds, 30);
}

TEST_F(ConfigTest, PutsDataIntoTheXdgDirectory) {
  environment_["XDG_DATA_HOME"] = "/xdg";
  EXPECT_EQ(Read({}).data_dir, "/xdg/qtipd");
}

TEST_F(ConfigTest, FlagBeatsEnvironmentBeatsFile) {
  const std::string file = File("listen = '127.0.0.1:1'\ndevice = 'cpu'\nlog-level = 'warn'\n");
  environment_["QTIPD_LISTEN"] = "127.0.0.1:2";
  environment_["QTIPD_DEVICE"] = "cuda";
  const Config config = Read({"--config", file, "--listen=127.0.0.1:3"});
  EXPECT_EQ(config.listen, "127.0.0.1:3");
  EXPECT_EQ(config.device, "cuda");
  EXPECT_EQ(config.log_level, "warn");
}

TEST_F(ConfigTest, TheEnvironmentNamesTheFile) {
  environment_["QTIPD_CONFIG"] = File("device = 'cuda:1'");
  EXPECT_EQ(Read({}).device, "cuda:1");
}

TEST_F(ConfigTest, EverySettingHasAFlagAKeyAndAVariable) {
  const std::map<std::string, std::string> values = {
      {"listen", "127.0.0.2:1"}, {"http-listen", "0.0.0.0:2"}, {"data-dir", "/d"},
      {"device", "cpu"},         {"server-path", "/tmp"},      {"log-level", "debug"},
      {"log-format", "json"},    {"max-upload-bytes", "5"},    {"cuda-module", "/m.so"},
      {"drain-timeout", "2m"},   {"gpu-telemetry", "off"},     {"profiler", "/p"}};
  std::vector<std::string> flags;
  std::string file;
  for (const Setting& setting : Settings(sources_)) {
    ASSERT_TRUE(values.contains(setting.name)) << setting.name;
    flags.push_back("--" + setting.name + "=" + values.at(setting.name));
    file += setting.name + " = '" + values.at(setting.name) + "'\n";
    environment_[EnvironmentName(setting.name)] = values.at(setting.name);
  }
  const auto check = [](const Config& config) {
    EXPECT_EQ(config.listen, "127.0.0.2:1");
    EXPECT_EQ(config.http_listen, "0.0.0.0:2");
    EXPECT_EQ(config.data_dir, "/d");
    EXPECT_EQ(config.device, "cpu");
    EXPECT_EQ(config.server_paths, std::vector<std::string>{"/tmp"});
    EXPECT_EQ(config.log_level, "debug");
    EXPECT_EQ(config.log_format, "json");
    EXPECT_EQ(config.max_upload_bytes, 5u);
    EXPECT_EQ(config.gpu_telemetry, "off");
    EXPECT_EQ(config.cuda_module, "/m.so");
    EXPECT_EQ(config.drain_timeout_seconds, 120);
  };
  check(Read({}));
  environment_ = {{"HOME", "/home/user"}};
  check(Read(flags));
  check(Read({"--config=" + File(file)}));
}

TEST_F(ConfigTest, ServerPathsRepeat) {
  const std::vector<std::string> both = {"/tmp", "/"};
  EXPECT_EQ(Read({"--server-path", "/tmp", "--server-path", "/"}).server_paths, both);
  EXPECT_EQ(Read({"--config", File("server-path = ['/tmp', '/']")}).server_paths, both);
  environment_["QTIPD_SERVER_PATH"] = "/tmp:/";
  EXPECT_EQ(Read({}).server_paths, both);
}

TEST_F(ConfigTest, NumbersMayBeNumbersInTheFile) {
  const Config config = Read({"--config", File("max-upload-bytes = 1000\ndrain-timeout = 2.5")});
  EXPECT_EQ(config.max_upload_bytes, 1000u);
  EXPECT_EQ(config.drain_timeout_seconds, 2.5);
}

TEST_F(ConfigTest, BadValuesNameTheSettingAndWhatIsAllowed) {
  EXPECT_EQ(Error({"--device=gpu"}),
            "CONFIG_INVALID: device: got 'gpu', allowed auto, cpu, cuda, cuda:N");
  EXPECT_EQ(Error({"--log-format=xml"}),
            "CONFIG_INVALID: log-format: got 'xml', allowed text, json");
  for (const char* argument :
       {"--device=cuda:", "--device=cuda:x", "--device=cuda:0000", "--log-level=loud",
        "--max-upload-bytes=0", "--max-upload-bytes=1GiB", "--max-upload-bytes=-1",
        "--drain-timeout=0", "--drain-timeout=5h", "--drain-timeout=nan", "--drain-timeout=61m",
        "--server-path=/no/such/directory"}) {
    EXPECT_EQ(Error({argument}).substr(0, 15), "CONFIG_INVALID:") << argument;
  }
  EXPECT_EQ(Error({"--http-listen=9464"}).substr(0, 16), "ADDRESS_INVALID:");
  EXPECT_EQ(Error({"--listen=0.0.0.0:7070"}).substr(0, 13), "TLS_REQUIRED:");
}

TEST_F(ConfigTest, WithoutAHomeTheDataDirectoryMustBeGiven) {
  environment_.clear();
  EXPECT_EQ(Error({}).substr(0, 24), "CONFIG_INVALID: data-dir");
  EXPECT_EQ(Read({"--data-dir=/d"}).data_dir, "/d");
}

TEST_F(ConfigTest, UnknownFlagsAndKeysAreNamed) {
  EXPECT_NE(Error({"--nonsense=1"}).find("FLAG_UNKNOWN: command line: got '--nonsense"),
            std::string::npos);
  EXPECT_EQ(Error({"stray"}).substr(0, 13), "FLAG_UNKNOWN:");
  const std::string error = Error({"--config", File("device = 'cpu'\nlisten-on = 'x'")});
  EXPECT_NE(error.find("CONFIG_KEY_UNKNOWN: config key: got 'listen-on'"), std::string::npos);
  EXPECT_NE(error.find("http-listen"), std::string::npos);
}

TEST_F(ConfigTest, BadFilesAreErrorsOfOneLine) {
  for (const std::string& file : {File("device = "), std::string("/no/such/file.toml")}) {
    const std::string error = Error({"--config", file});
    EXPECT_EQ(error.substr(0, 20), "CONFIG_FILE_INVALID:") << error;
    EXPECT_EQ(error.find('\n'), std::string::npos);
    EXPECT_NE(error.find(file), std::string::npos);
  }
  EXPECT_EQ(Error({"--config", File("device = ['cpu']")}).substr(0, 15), "CONFIG_INVALID:");
}

TEST_F(ConfigTest, AFlagWithoutItsValueIsAnError) {
  const std::string error = Error({"--listen"});
  EXPECT_EQ(error.substr(0, 13), "FLAG_INVALID:");
  EXPECT_NE(error.find("--listen"), std::string::npos);
}

TEST_F(ConfigTest, ReleasingClocksIsAskedForByAFlag) {
  sources_.arguments = {"--release-clocks", "--data-dir", "/data"};
  EXPECT_TRUE(ReadConfig(sources_)->is_release_clocks);
  EXPECT_EQ(ReadConfig(sources_)->config.data_dir, "/data");
  sources_.arguments = {};
  EXPECT_FALSE(ReadConfig(sources_)->is_release_clocks);
}

TEST_F(ConfigTest, PrintsHelpAndVersionInsteadOfRunning) {
  sources_.arguments = {"--version"};
  EXPECT_EQ(ReadConfig(sources_)->text, "qtipd 1.2.3\n");
  sources_.arguments = {"--help"};
  const std::string help = ReadConfig(sources_)->text;
  for (const Setting& setting : Settings(sources_)) {
    EXPECT_NE(help.find("--" + setting.name), std::string::npos) << setting.name;
  }
}

}  // namespace
}  // namespace qtipd
