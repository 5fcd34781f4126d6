// Files of /proc and /sys as a test wants them.
#ifndef QTIPD_TESTS_FAKES_FAKE_ROOT_H_
#define QTIPD_TESTS_FAKES_FAKE_ROOT_H_

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fakes/temp_dir.h"

namespace qtipd {

class FakeRoot {
 public:
  const std::string& path() const { return directory_.path(); }
  // `file` begins with '/'; its folders are made.
  void Write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = directory_.path() + file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void Remove(const std::string& file) { std::filesystem::remove(directory_.path() + file); }

 private:
  TempDir directory_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_ROOT_H_
