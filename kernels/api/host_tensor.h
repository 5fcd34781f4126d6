// A named tensor's bytes in host memory: the currency of files, uploads, imports and exports.
#ifndef QTIPD_KERNELS_API_HOST_TENSOR_H_
#define QTIPD_KERNELS_API_HOST_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/dtype.h"

namespace qtipd {

// A dense row-major tensor, immutable once built. The bytes are shared: `owner` keeps them alive,
// whether they are a heap block or a mapped file, so copies of a HostTensor are cheap.
// Thread-safe to read.
class HostTensor {
 public:
  HostTensor() = default;
  HostTensor(DType dtype, std::vector<int64_t> shape, std::shared_ptr<const void> owner,
             std::span<const std::byte> bytes);

  // Copies `bytes` (little-endian elements) into memory of its own.
  static HostTensor Copy(DType dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes);

  // Takes over `values`; the number of elements must be the product of `shape`.
  template <typename T>
  static HostTensor Take(DType dtype, std::vector<int64_t> shape, std::vector<T> values) {
    auto owner = std::make_shared<const std::vector<T>>(std::move(values));
    std::span<const std::byte> bytes = std::as_bytes(std::span<const T>(*owner));
    return HostTensor(dtype, std::move(shape), std::move(owner), bytes);
  }

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  int64_t element_count() const;
  // "[4096, 4096]"
  std::string ShapeText() const;

  // All elements as fp32, whatever the float or integer dtype.
  std::vector<float> ToFloat() const;

 private:
  DType dtype_ = DType::kU8;
  std::vector<int64_t> shape_;
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

using TensorMap = std::map<std::string, HostTensor>;

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_HOST_TENSOR_H_
