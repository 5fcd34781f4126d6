#include "kernels/cpu/openblas_dense.h"

#include <cblas.h>

#include <limits>
#include <map>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

class OpenBlasDense final : public DenseMultiply {
 public:
  explicit OpenBlasDense(const DenseProblem& problem)
      : out_(static_cast<blasint>(problem.out_features)),
        in_(static_cast<blasint>(problem.in_features)),
        batch_(static_cast<blasint>(problem.batch)) {}

  absl::Status Run(const void* w, const void* x, void* y) override {
    const auto* weights = static_cast<const float*>(w);
    const auto* input = static_cast<const float*>(x);
    auto* output = static_cast<float*>(y);
    if (batch_ == 1) {
      cblas_sgemv(CblasRowMajor, CblasNoTrans, out_, in_, 1.0f, weights, in_, input, 1, 0.0f,
                  output, 1);
    } else {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, batch_, out_, in_, 1.0f, input, in_,
                  weights, in_, 0.0f, output, out_);
    }
    return absl::OkStatus();
  }

  std::string description() const override {
    return std::string(batch_ == 1 ? "cblas_sgemv" : "cblas_sgemm") + ", " + OpenBlasDescription() +
           ", " + std::to_string(openblas_get_num_threads()) + " threads";
  }

  std::map<std::string, double> candidate_seconds() const override { return {}; }

 private:
  blasint out_;
  blasint in_;
  blasint batch_;
};

absl::Status CheckSize(const char* field, int64_t value) {
  if (value >= 1 && value <= std::numeric_limits<blasint>::max()) return absl::OkStatus();
  return InvalidField("DENSE_PROBLEM_INVALID", field, std::to_string(value), "1 to 2147483647");
}

}  // namespace

std::string OpenBlasDescription() {
  return std::string(openblas_get_config()) + " " + openblas_get_corename();
}

void SetOpenBlasThreads(int threads) { openblas_set_num_threads(threads); }

absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareOpenBlasDense(const DenseProblem& problem) {
  QTIPD_RETURN_IF_ERROR(CheckSize("out_features", problem.out_features));
  QTIPD_RETURN_IF_ERROR(CheckSize("in_features", problem.in_features));
  QTIPD_RETURN_IF_ERROR(CheckSize("batch", problem.batch));
  if (problem.input_dtype.value_or(DType::kF32) != DType::kF32) {
    return InvalidField("DENSE_PROBLEM_INVALID", "input dtype", DTypeName(*problem.input_dtype),
                        "F32");
  }
  if (problem.output_dtype != DType::kF32) {
    return InvalidField("DENSE_PROBLEM_INVALID", "output dtype", DTypeName(problem.output_dtype),
                        "F32");
  }
  return std::make_unique<OpenBlasDense>(problem);
}

}  // namespace qtipd
