#include "kernels/api/device.h"

#include "kernels/api/error.h"

namespace qtipd {

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Reset();
    device_ = std::exchange(other.device_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void Buffer::Reset() {
  if (data_ != nullptr) device_->Free(data_);
  device_ = nullptr;
  data_ = nullptr;
  bytes_ = 0;
}

absl::Status CheckConvertible(DType dst_dtype, DType src_dtype) {
  for (const DType dtype : {dst_dtype, src_dtype}) {
    if (IsFloatDType(dtype)) continue;
    return InvalidField("DTYPE_UNSUPPORTED", "dtype of a conversion", DTypeName(dtype),
                        "F16, BF16, F32");
  }
  return absl::OkStatus();
}

absl::StatusOr<DType> ActivationDType(const DeviceInfo& device, std::string_view name) {
  if (name.empty()) return device.compute_dtype;
  const std::optional<DType> dtype = ParseDType(name);
  if (dtype == device.compute_dtype || dtype == DType::kBF16) return *dtype;
  return InvalidField("ACTIVATION_DTYPE_UNSUPPORTED", "activation_dtype", name,
                      std::string(DTypeName(device.compute_dtype)) + ", BF16 on " + device.id);
}

}  // namespace qtipd
