// How much memory this process may still take.
#ifndef QTIPD_SERVER_BASE_HOST_MEMORY_H_
#define QTIPD_SERVER_BASE_HOST_MEMORY_H_

#include <cstdint>

namespace qtipd {

// Bytes that can be allocated without swapping: MemAvailable of /proc/meminfo, or what the cgroup
// still allows if that is less. The largest uint64_t where neither can be read.
uint64_t AvailableHostBytes();

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_HOST_MEMORY_H_
