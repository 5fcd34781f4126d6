// A matrix of fp32 in host memory.
#ifndef QTIPD_SERVER_ENGINE_INPUT_FLOAT_ARRAY_H_
#define QTIPD_SERVER_ENGINE_INPUT_FLOAT_ARRAY_H_

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

namespace qtipd {

// Owning, move-only and uninitialised, in huge pages where the system grants them: a large matrix
// costs nothing until it is written, and is given back at once. Both take seconds otherwise, in
// which nobody can be told to stop.
class FloatArray {
 public:
  FloatArray() = default;
  // Throws std::bad_alloc.
  explicit FloatArray(int64_t count);

  std::span<float> span() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };
  std::unique_ptr<float[], Free> data_;
  size_t size_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_INPUT_FLOAT_ARRAY_H_
