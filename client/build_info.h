// What this qtipctl was built from.
#ifndef QTIPD_CLIENT_BUILD_INFO_H_
#define QTIPD_CLIENT_BUILD_INFO_H_

#include <string_view>

namespace qtipd {

std::string_view ClientVersion();    // "0.1.0"
std::string_view ClientGitCommit();  // "1a2b3c4d5e6f", "-dirty" behind it where it is so

}  // namespace qtipd

#endif  // QTIPD_CLIENT_BUILD_INFO_H_
