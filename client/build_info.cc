#include "client/build_info.h"

namespace qtipd {

std::string_view ClientVersion() { return QTIPD_VERSION; }

std::string_view ClientGitCommit() {
  return
#include "git_commit.inc"
      ;
}

}  // namespace qtipd
