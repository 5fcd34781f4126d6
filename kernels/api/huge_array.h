// Large arrays of host memory.
#ifndef QTIPD_KERNELS_API_HUGE_ARRAY_H_
#define QTIPD_KERNELS_API_HUGE_ARRAY_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace qtipd {

struct FreeMemory {
  void operator()(void* data) const { std::free(data); }
};

// Owning; null where it has no elements.
template <typename T>
using HugeArray = std::unique_ptr<T[], FreeMemory>;

// Uninitialised, in huge pages where the system grants them: it costs nothing until it is written,
// is given back at once, and streams that lie kilobytes apart do not take a page each. Throws
// std::bad_alloc.
template <typename T>
HugeArray<T> AllocateHuge(size_t count) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t bytes = (count * sizeof(T) + kHugePage - 1) / kHugePage * kHugePage;
  if (bytes == 0) return nullptr;
  void* data = std::aligned_alloc(kHugePage, bytes);
  if (data == nullptr) throw std::bad_alloc();
  madvise(data, bytes, MADV_HUGEPAGE);
  return HugeArray<T>(static_cast<T*>(data));
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_HUGE_ARRAY_H_
