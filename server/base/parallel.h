// Splits host work over the machine's cores.
#ifndef QTIPD_SERVER_BASE_PARALLEL_H_
#define QTIPD_SERVER_BASE_PARALLEL_H_

#include <cstdint>
#include <functional>

namespace qtipd {

// Calls body(begin, end) for consecutive blocks of at most `block` that cover [0, count), from
// several threads, and returns when all are done. Blocks never depend on the number of threads.
void ParallelBlocks(int64_t count, int64_t block,
                    const std::function<void(int64_t begin, int64_t end)>& body);

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_PARALLEL_H_
