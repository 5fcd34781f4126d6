#include "server/build_info.h"

namespace qtipd {
namespace {

constexpr char kGitCommit[] =
#include "git_commit.inc"
    ;

}  // namespace

std::map<std::string, std::string> BuildInfo() {
  return {{"version", QTIPD_VERSION},
          {"git_commit", kGitCommit},
          {"compiler", QTIPD_COMPILER},
          {"build_type", QTIPD_BUILD_TYPE}};
}

std::string VersionText() {
  return std::string("qtipd ") + QTIPD_VERSION + " (commit " + kGitCommit + ", " + QTIPD_COMPILER +
         ", " + QTIPD_BUILD_TYPE + ")";
}

}  // namespace qtipd
