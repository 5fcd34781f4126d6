// What this binary was built from.
#ifndef QTIPD_SERVER_BUILD_INFO_H_
#define QTIPD_SERVER_BUILD_INFO_H_

#include <map>
#include <string>

namespace qtipd {

// version, git_commit, compiler, build_type; copied into every run and the labels of
// qtipd_build_info.
std::map<std::string, std::string> BuildInfo();

// "0.1.0 (commit 0123456789ab, GNU 12.2.0, Release)"
std::string VersionText();

}  // namespace qtipd

#endif  // QTIPD_SERVER_BUILD_INFO_H_
