// Where a Hessian's mean lies, for those who read the tensors and those who send them.
#ifndef QTIPD_KERNELS_IO_HESSIAN_NAME_H_
#define QTIPD_KERNELS_IO_HESSIAN_NAME_H_

#include <string>

namespace qtipd {

// The name of the tensor `mu` beside a flattened Hessian: its last component replaced by `mu`, as
// in "layer.flatH" and "layer.mu".
inline std::string HessianMeanName(const std::string& hessian_name) {
  const size_t dot = hessian_name.rfind('.');
  return (dot == std::string::npos ? "" : hessian_name.substr(0, dot + 1)) + "mu";
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_IO_HESSIAN_NAME_H_
