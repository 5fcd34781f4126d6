// LDLQ on a GPU: the search for every tile of a panel, with the errors of the columns to the right
// fed back where there is a Hessian.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LDLQ_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LDLQ_H_

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/statusor.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_code.h"
#include "kernels/formats/qtip/qtip_cuda_ldl.h"
#include "kernels/formats/qtip/qtip_cuda_viterbi.h"

namespace qtipd {

// Rows of weights that are quantized together: a whole matrix, or a sample of its row strips.
struct CudaPanel {
  float* weights = nullptr;  // [rows, cols]: in W in the scale of the table, out W - decoded
  // QtipTrellisWords of the rows, rounded up to 32, and cols; checkpoint order, out.
  uint16_t* trellis = nullptr;
  int64_t rows = 0;  // a multiple of 16
};

// Encodes panels of one matrix with one code. Lives on the device's thread; the device and the
// factor outlive it.
class CudaLdlq {
 public:
  // Called with the fraction done between launches of well under 0.2 s; an error status ends the
  // work and is returned.
  using Watch = std::function<absl::Status(double)>;

  // `tlut` holds spec.table_values() fp16 bits; `cholesky` is the factor of the rotated
  // Hessian (FactorOnCuda), null for the identity. Errors: Unimplemented/CODE_UNSUPPORTED,
  // DEVICE_MEMORY_EXHAUSTED.
  static absl::StatusOr<CudaLdlq> Create(CudaDevice& device, const QtipCodeSpec& spec,
                                         std::span<const uint16_t> tlut, int64_t cols,
                                         const float* cholesky);

  // Root mean square of the weights of all states.
  double table_rms() const { return table_rms_; }

  // Returns tr(E H E^T) / tr(W H W^T), 0 for a panel of zeros. Blocks. Errors: those of `watch`,
  // DEVICE_MEMORY_EXHAUSTED.
  absl::StatusOr<double> Encode(const CudaPanel& panel, const Watch& watch);

 private:
  CudaLdlq(CudaDevice& device, const QtipCodeSpec& spec, int64_t cols, const float* cholesky)
      : device_(&device), spec_(spec), cols_(cols), cholesky_(cholesky) {}

  absl::Status UploadTable(std::span<const uint16_t> tlut);
  EncodeArguments Arguments(const CudaPanel& panel) const;
  absl::Status EncodeTiles(EncodeArguments arguments, int64_t tiles, const Watch& watch) const;
  absl::Status EncodeWithFeedback(const CudaPanel& panel, const Watch& watch);
  absl::Status FeedBack(const CudaPanel& panel, const EncodeFeedback& group, float* product);
  absl::StatusOr<double> Energy(const CudaPanel& panel, double done, const Watch& watch);

  CudaDevice* device_;
  QtipCodeSpec spec_;
  int64_t cols_;
  const float* cholesky_;
  double table_rms_ = 0;
  float reach_ = 0;  // the largest magnitude of a weight
  Buffer table_;     // tlut of a code in kernel layout
  Buffer values_;    // all states' weights of a code in plain layout, fp32
  Buffer halves_;    // and fp16
  Buffer scratch_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LDLQ_H_
