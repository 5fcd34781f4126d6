// docs/errors.md lists every reason of the sources, and no other.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace qtipd {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = QTIPD_SOURCE_DIR;

// Upper-snake strings of the sources that are no reasons.
const std::set<std::string> kOtherNames = {"NOTIFY_SOCKET", "XDG_DATA_HOME", "LD_LIBRARY_PATH",
                                           "SAMPLE_LIMIT", "CUDA_HOME", "NOISE_STABLE",
                                           // Clock events of a GPU.
                                           "SW_POWER_CAP", "HW_SLOWDOWN", "SYNC_BOOST",
                                           "SW_THERMAL_SLOWDOWN", "HW_THERMAL_SLOWDOWN",
                                           "HW_POWER_BRAKE_SLOWDOWN",
                                           // Warnings of a result.
                                           "FOREIGN_WORK", "CLOCK_DRIFT", "CLOCK_LOW", "ECC_ERRORS",
                                           "ROTATION_IN_CACHE", "CEILING_DOUBTFUL", "STEPS_DO_NOT_ADD_UP",
                                           "PHASES_DIFFER"};

std::string ReadFile(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::set<std::string> Matches(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) {
    found.insert((*match)[1]);
  }
  return found;
}

// A reason is a string literal of upper-case words joined by '_', or any that is the reason of a
// call; the names of this project's environment variables begin with its own.
std::set<std::string> ReasonsOfSources() {
  const std::regex literal("\"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\"");
  const std::regex argument(
      R"re((?:InvalidField|FieldError|MakeError)\((?:absl::StatusCode::\w+,)?\s*"([A-Z0-9_]+)")re");
  const std::set<std::string> extensions = {".cc", ".h", ".cu", ".cuh"};
  std::set<std::string> reasons;
  for (const char* folder : {"kernels", "server", "client"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      if (extensions.contains(entry.path().extension())) {
        const std::string text = ReadFile(entry.path());
        reasons.merge(Matches(text, literal));
        reasons.merge(Matches(text, argument));
      }
    }
  }
  std::erase_if(reasons, [](const std::string& name) {
    return kOtherNames.contains(name) || name.starts_with("QTIPD_") || name.starts_with("QTIPCTL_");
  });
  return reasons;
}

TEST(ErrorsDoc, ListsEveryReasonOfTheSourcesAndNoOther) {
  const std::set<std::string> documented =
      Matches(ReadFile(kRoot / "docs" / "errors.md"), std::regex("\\n\\| `([A-Z0-9_]+)` \\|"));
  ASSERT_GT(documented.size(), 50u);
  const std::set<std::string> used = ReasonsOfSources();
  for (const std::string& reason : used) {
    EXPECT_TRUE(documented.contains(reason)) << reason << " is not in docs/errors.md";
  }
  for (const std::string& reason : documented) {
    EXPECT_TRUE(used.contains(reason)) << reason << " is in docs/errors.md alone";
  }
}

TEST(ProfilesDoc, ListsEveryRuleOfTheSourcesAndNoOther) {
  const std::regex rule("\n    \\{\"([a-z0-9_]+)\",");
  const std::regex row("\n\\| `([a-z0-9_]+)` \\|[^\n]*(?:at least|below)");
  const fs::path source = kRoot / "server" / "engine" / "profile" / "bottleneck.cc";
  const std::set<std::string> rules = Matches(ReadFile(source), rule);
  EXPECT_GT(rules.size(), 10u);
  EXPECT_EQ(Matches(ReadFile(kRoot / "docs" / "profiles.md"), row), rules);
}

}  // namespace
}  // namespace qtipd
