#include "server/engine/input/float_array.h"

#include <sys/mman.h>

#include <new>

namespace qtipd {

FloatArray::FloatArray(int64_t count) : size_(static_cast<size_t>(count)) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t bytes = (size_ * sizeof(float) + kHugePage - 1) / kHugePage * kHugePage;
  if (bytes == 0) return;
  data_.reset(static_cast<float*>(std::aligned_alloc(kHugePage, bytes)));
  if (data_ == nullptr) throw std::bad_alloc();
  madvise(data_.get(), bytes, MADV_HUGEPAGE);
}

}  // namespace qtipd
