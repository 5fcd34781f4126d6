// A matrix of fp32 in host memory.
#ifndef QTIPD_SERVER_ENGINE_INPUT_FLOAT_ARRAY_H_
#define QTIPD_SERVER_ENGINE_INPUT_FLOAT_ARRAY_H_

#include <cstdint>
#include <span>

#include "kernels/api/huge_array.h"

namespace qtipd {

// Owning, move-only and uninitialised. To zero a large matrix, and to give it back in small pages,
// takes seconds in which nobody can be told to stop; so it is in huge pages.
class FloatArray {
 public:
  FloatArray() = default;
  // Throws std::bad_alloc.
  explicit FloatArray(int64_t count)
      : data_(AllocateHuge<float>(static_cast<size_t>(count))), size_(static_cast<size_t>(count)) {}

  std::span<float> span() const { return {data_.get(), size_}; }

 private:
  HugeArray<float> data_;
  size_t size_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_INPUT_FLOAT_ARRAY_H_
