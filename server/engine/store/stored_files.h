// A folder of content-addressed files: what a crash can leave there.
#ifndef QTIPD_SERVER_ENGINE_STORE_STORED_FILES_H_
#define QTIPD_SERVER_ENGINE_STORE_STORED_FILES_H_

#include <cstdint>
#include <set>
#include <string>

namespace qtipd {

// "<sha256>.safetensors"
std::string StoredFileName(const std::string& sha256);

// Removes half-written files, AtomicFile's, of an earlier process. What cannot be removed stays
// for the next start.
void RemoveTemporaryFiles(const std::string& directory);

struct UnnamedFiles {
  int64_t count = 0;
  uint64_t bytes = 0;
  std::string example;  // path of one
};

// Files named as StoredFileName names them whose hash is not among `known`: a crash between naming
// a file and its record, in either order, leaves such. Opens none of them.
UnnamedFiles FindUnnamedFiles(const std::string& directory, const std::set<std::string>& known);

// Logs them as `<what>_files_unnamed`; they are left alone, since a history that was put back from
// a copy does not know files that are worth keeping.
void ReportUnnamedFiles(const std::string& what, const UnnamedFiles& files);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_STORE_STORED_FILES_H_
