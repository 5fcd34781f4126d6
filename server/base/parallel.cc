#include "server/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace qtipd {

void ParallelBlocks(int64_t count, int64_t block,
                    const std::function<void(int64_t begin, int64_t end)>& body) {
  const int64_t blocks = (count + block - 1) / block;
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    for (int64_t i = next++; i < blocks; i = next++) {
      body(i * block, std::min(count, (i + 1) * block));
    }
  };
  const int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < std::min(cores, blocks); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace qtipd
