// A directory of its own for one test, removed at its end.
#ifndef QTIPD_TESTS_FAKES_TEMP_DIR_H_
#define QTIPD_TESTS_FAKES_TEMP_DIR_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace qtipd {

class TempDir {
 public:
  TempDir() {
    std::string path = (std::filesystem::temp_directory_path() / "qtipd-test-XXXXXX").string();
    path_ = mkdtemp(path.data());
  }
  TempDir(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_TEMP_DIR_H_
