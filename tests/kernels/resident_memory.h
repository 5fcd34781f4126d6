// The most memory that the process has resident, for tests of bounds.
#ifndef QTIPD_TESTS_KERNELS_RESIDENT_MEMORY_H_
#define QTIPD_TESTS_KERNELS_RESIDENT_MEMORY_H_

#include <malloc.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace qtipd {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

// Bytes of a line of /proc/self/status, which is in KiB.
inline int64_t StatusBytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    int64_t kib = 0;
    if (word == name + ":" && status >> kib) return kib * 1024;
  }
  return 0;
}

// Resident memory from now on is the new peak. Whether the system can do that.
inline bool ForgetPeak() {
  malloc_trim(0);
  std::ofstream clear("/proc/self/clear_refs");
  clear << 5 << std::flush;
  return clear.good();
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_KERNELS_RESIDENT_MEMORY_H_
