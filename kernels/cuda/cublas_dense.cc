#include "kernels/cuda/cublas_dense.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "kernels/api/spread_buffer.h"

namespace qtipd {
namespace {

constexpr int kHeuristics = 6;       // cuBLASLt algorithms tried for each order of operands
constexpr int kReplays = 5;          // timed replays; the median counts
constexpr int kMinLaunches = 8;      // per replay, at least one for every weight copy
constexpr uint64_t kMaxCopies = 64;  // of small matrices
constexpr size_t kDistinctValues = size_t{1} << 18;  // of a scratch operand

// Candidates this close to the fastest are as fast as it: by so much times differ with the places
// of the operands, and a choice by noise would make the baseline differ from one run to the next.
constexpr double kTie = 0.02;

// One way to compute y = x W^T. Row-major y [batch, out] is column-major [out, batch] = W x^T.
class Candidate {
 public:
  virtual ~Candidate() = default;
  virtual absl::Status Run(const void* w, const void* x, void* y) const = 0;
};

cudaDataType CudaType(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return CUDA_R_16F;
    case DType::kBF16:
      return CUDA_R_16BF;
    default:
      return CUDA_R_32F;
  }
}

// Of w and x.
DType InputDType(const DenseProblem& problem) { return problem.input_dtype.value_or(DType::kF16); }

class GemmExCandidate final : public Candidate {
 public:
  // `vector_first` (batch 1 only) computes the row vector x^T W^T instead of the column W x.
  GemmExCandidate(cublasHandle_t handle, const DenseProblem& problem, bool vector_first)
      : handle_(handle), problem_(problem), vector_first_(vector_first) {}

  absl::Status Run(const void* w, const void* x, void* y) const override {
    const auto out = static_cast<int>(problem_.out_features);
    const auto in = static_cast<int>(problem_.in_features);
    const auto batch = static_cast<int>(problem_.batch);
    const float one = 1;
    const float zero = 0;
    const cudaDataType input = CudaType(InputDType(problem_));
    if (vector_first_) {
      QTIPD_RETURN_IF_CUBLAS_ERROR(cublasGemmEx(
          handle_, CUBLAS_OP_T, CUBLAS_OP_N, 1, out, in, &one, x, input, in, w, input, in, &zero, y,
          CudaType(problem_.output_dtype), 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
      return absl::OkStatus();
    }
    QTIPD_RETURN_IF_CUBLAS_ERROR(cublasGemmEx(
        handle_, CUBLAS_OP_T, CUBLAS_OP_N, out, batch, in, &one, w, input, in, x, input, in, &zero,
        y, CudaType(problem_.output_dtype), out, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    return absl::OkStatus();
  }

 private:
  cublasHandle_t handle_;
  DenseProblem problem_;
  bool vector_first_;
};

using LtOperation =
    CudaHandle<cublasLtMatmulDesc_t,
               static_cast<cublasStatus_t (*)(cublasLtMatmulDesc_t)>(cublasLtMatmulDescDestroy)>;
using LtLayout =
    CudaHandle<cublasLtMatrixLayout_t, static_cast<cublasStatus_t (*)(cublasLtMatrixLayout_t)>(
                                           cublasLtMatrixLayoutDestroy)>;
using LtPreference = CudaHandle<cublasLtMatmulPreference_t,
                                static_cast<cublasStatus_t (*)(cublasLtMatmulPreference_t)>(
                                    cublasLtMatmulPreferenceDestroy)>;

// D = A^T B in cuBLASLt's column-major terms, shared by the algorithms tried for it.
struct LtProblem {
  LtOperation operation;
  LtLayout a;
  LtLayout b;
  LtLayout d;
  bool vector_first = false;
};

absl::StatusOr<LtLayout> MakeLayout(cudaDataType type, int64_t rows, int64_t cols) {
  cublasLtMatrixLayout_t layout = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatrixLayoutCreate(&layout, type, rows, cols, rows));
  return LtLayout(layout);
}

absl::StatusOr<std::shared_ptr<LtProblem>> MakeLtProblem(const DenseProblem& problem,
                                                         bool vector_first) {
  auto lt = std::make_shared<LtProblem>();
  lt->vector_first = vector_first;
  cublasLtMatmulDesc_t operation = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(
      cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  lt->operation.reset(operation);
  const cublasOperation_t transpose = CUBLAS_OP_T;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatmulDescSetAttribute(
      operation, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof(transpose)));
  const int64_t in = problem.in_features;
  const int64_t rows = vector_first ? problem.batch : problem.out_features;
  const int64_t cols = vector_first ? problem.out_features : problem.batch;
  const cudaDataType input = CudaType(InputDType(problem));
  QTIPD_ASSIGN_OR_RETURN(lt->a, MakeLayout(input, in, rows));
  QTIPD_ASSIGN_OR_RETURN(lt->b, MakeLayout(input, in, cols));
  QTIPD_ASSIGN_OR_RETURN(lt->d, MakeLayout(CudaType(problem.output_dtype), rows, cols));
  return lt;
}

class LtCandidate final : public Candidate {
 public:
  LtCandidate(const CudaDevice& device, std::shared_ptr<const LtProblem> problem,
              const cublasLtMatmulAlgo_t& algorithm)
      : device_(device), problem_(std::move(problem)), algorithm_(algorithm) {}

  absl::Status Run(const void* w, const void* x, void* y) const override {
    const float one = 1;
    const float zero = 0;
    const void* a = problem_->vector_first ? x : w;
    const void* b = problem_->vector_first ? w : x;
    QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatmul(
        device_.cublas_lt(), problem_->operation.get(), &one, a, problem_->a.get(), b,
        problem_->b.get(), &zero, y, problem_->d.get(), y, problem_->d.get(), &algorithm_,
        device_.workspace().data(), device_.workspace().bytes(), device_.stream()));
    return absl::OkStatus();
  }

 private:
  const CudaDevice& device_;
  std::shared_ptr<const LtProblem> problem_;
  cublasLtMatmulAlgo_t algorithm_;
};

using Candidates = std::map<std::string, std::unique_ptr<Candidate>>;

// Heuristics may find nothing for a shape: then there are no candidates of this order.
absl::Status AddLtCandidates(const CudaDevice& device, const DenseProblem& problem,
                             bool vector_first, Candidates& candidates) {
  QTIPD_ASSIGN_OR_RETURN(const std::shared_ptr<LtProblem> lt, MakeLtProblem(problem, vector_first));
  cublasLtMatmulPreference_t preference = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatmulPreferenceCreate(&preference));
  const LtPreference owned(preference);
  const size_t workspace = device.workspace().bytes();
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatmulPreferenceSetAttribute(
      preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof(workspace)));
  std::array<cublasLtMatmulHeuristicResult_t, kHeuristics> results;
  int count = 0;
  const cublasStatus_t found = cublasLtMatmulAlgoGetHeuristic(
      device.cublas_lt(), lt->operation.get(), lt->a.get(), lt->b.get(), lt->d.get(), lt->d.get(),
      preference, kHeuristics, results.data(), &count);
  if (found == CUBLAS_STATUS_NOT_SUPPORTED) return absl::OkStatus();
  QTIPD_RETURN_IF_CUBLAS_ERROR(found);
  for (int i = 0; i < count; ++i) {
    if (results[i].state != CUBLAS_STATUS_SUCCESS) continue;
    candidates[std::string(vector_first ? "cublaslt_swapped_" : "cublaslt_") + std::to_string(i)] =
        std::make_unique<LtCandidate>(device, lt, results[i].algo);
  }
  return absl::OkStatus();
}

absl::StatusOr<Candidates> FindCandidates(const CudaDevice& device, const DenseProblem& problem) {
  Candidates candidates;
  candidates["cublas_gemm_ex"] =
      std::make_unique<GemmExCandidate>(device.cublas(), problem, /*vector_first=*/false);
  QTIPD_RETURN_IF_ERROR(AddLtCandidates(device, problem, /*vector_first=*/false, candidates));
  if (problem.batch == 1) {
    candidates["cublas_gemm_ex_swapped"] =
        std::make_unique<GemmExCandidate>(device.cublas(), problem, /*vector_first=*/true);
    QTIPD_RETURN_IF_ERROR(AddLtCandidates(device, problem, /*vector_first=*/true, candidates));
  }
  return candidates;
}

// Scratch operands for timing.
class Timer {
 public:
  Timer(CudaDevice& device, const DenseProblem& problem) : device_(device), problem_(problem) {}

  absl::Status Allocate() {
    const uint64_t weight_bytes = 2 * problem_.out_features * problem_.in_features;
    // As a benchmark of mode rotate has them, so that the candidates' times are what it would tell.
    QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, device_.Memory());
    const uint64_t affordable = std::max<uint64_t>(memory.free_bytes / 2 / weight_bytes, 1);
    const uint64_t copies = std::min({kColdBytesOnGpu / weight_bytes + 1, affordable, kMaxCopies});
    for (uint64_t i = 0; i < copies; ++i) {
      QTIPD_ASSIGN_OR_RETURN(Buffer copy, device_.Allocate(weight_bytes));
      weights_.push_back(std::move(copy));
    }
    const uint64_t x_bytes = 2 * problem_.batch * problem_.in_features;
    QTIPD_ASSIGN_OR_RETURN(x_, SpreadBuffer::Allocate(device_, x_bytes));
    QTIPD_ASSIGN_OR_RETURN(
        y_, SpreadBuffer::Allocate(device_, DTypeSize(problem_.output_dtype) * problem_.batch *
                                                problem_.out_features));
    return FillOperands();
  }

  // With normal numbers: constants take less power and run faster.
  absl::Status FillOperands() {
    std::vector<float> values(kDistinctValues);
    FillNormal(0, RandomStream::kTest, 0, values);
    const std::vector<std::byte> normals = EncodeFloats(values, InputDType(problem_));
    for (const Buffer& w : weights_) QTIPD_RETURN_IF_ERROR(Repeat(normals, w.data(), w.bytes()));
    for (int place = 0; place < x_.places(); ++place) {
      QTIPD_RETURN_IF_ERROR(Repeat(normals, x_.at(place), x_.bytes()));
    }
    return absl::OkStatus();
  }

  // Median device seconds of one call.
  absl::StatusOr<double> Time(const Candidate& candidate) {
    const int launches = std::max(kMinLaunches, static_cast<int>(weights_.size()));
    // Outside a capture first: cuBLAS loads kernels on their first use.
    QTIPD_RETURN_IF_ERROR(candidate.Run(weights_[0].data(), x_.at(0), y_.at(0)));
    QTIPD_RETURN_IF_ERROR(device_.Synchronize());
    QTIPD_ASSIGN_OR_RETURN(const auto recording, device_.Record([&]() -> absl::Status {
      for (int i = 0; i < launches; ++i) {
        const Buffer& w = weights_[i % weights_.size()];
        const int place = i * kPlaces / launches;
        QTIPD_RETURN_IF_ERROR(
            candidate.Run(w.data(), x_.at(place % x_.places()), y_.at(place % y_.places())));
      }
      return absl::OkStatus();
    }));
    QTIPD_RETURN_IF_ERROR(recording->Replay().status());
    std::array<double, kReplays> seconds;
    for (double& s : seconds) {
      QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, recording->Replay());
      s = timing.seconds;
    }
    std::sort(seconds.begin(), seconds.end());
    return seconds[kReplays / 2] / launches;
  }

 private:
  absl::Status Repeat(std::span<const std::byte> pattern, void* data, size_t bytes) {
    auto* const to = static_cast<std::byte*>(data);
    const size_t first = std::min(pattern.size(), bytes);
    QTIPD_RETURN_IF_ERROR(device_.CopyToDevice(to, pattern.data(), first));
    for (size_t done = first; done < bytes; done *= 2) {
      QTIPD_RETURN_IF_ERROR(device_.Copy(to + done, to, std::min(done, bytes - done)));
    }
    return absl::OkStatus();
  }

  CudaDevice& device_;
  DenseProblem problem_;
  std::vector<Buffer> weights_;
  SpreadBuffer x_;
  SpreadBuffer y_;
};

class CublasDense final : public DenseMultiply {
 public:
  CublasDense(std::unique_ptr<Candidate> candidate, std::string description,
              std::map<std::string, double> seconds)
      : candidate_(std::move(candidate)),
        description_(std::move(description)),
        seconds_(std::move(seconds)) {}

  absl::Status Run(const void* w, const void* x, void* y) override {
    return candidate_->Run(w, x, y);
  }
  std::string description() const override { return description_; }
  std::map<std::string, double> candidate_seconds() const override { return seconds_; }

 private:
  std::unique_ptr<Candidate> candidate_;
  std::string description_;
  std::map<std::string, double> seconds_;
};

absl::Status CheckProblem(const DenseProblem& problem) {
  const auto fits = [](int64_t size) {
    return size >= 1 && size <= std::numeric_limits<int>::max();
  };
  if (!fits(problem.out_features) || !fits(problem.in_features) || !fits(problem.batch)) {
    return InvalidField("DENSE_PROBLEM_INVALID", "size",
                        std::to_string(problem.out_features) + "x" +
                            std::to_string(problem.in_features) + ", batch " +
                            std::to_string(problem.batch),
                        "1 to 2147483647");
  }
  const DType input = InputDType(problem);
  if (input != DType::kF16 && input != DType::kBF16) {
    return InvalidField("DENSE_PROBLEM_INVALID", "input_dtype", DTypeName(input), "F16, BF16");
  }
  if (problem.output_dtype != input && problem.output_dtype != DType::kF32) {
    return InvalidField("DENSE_PROBLEM_INVALID", "output_dtype", DTypeName(problem.output_dtype),
                        std::string(DTypeName(input)) + ", F32");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareCublasDense(CudaDevice& device,
                                                                  const DenseProblem& problem) {
  QTIPD_RETURN_IF_ERROR(CheckProblem(problem));
  QTIPD_ASSIGN_OR_RETURN(Candidates candidates, FindCandidates(device, problem));
  Timer timer(device, problem);
  QTIPD_RETURN_IF_ERROR(timer.Allocate());
  std::map<std::string, double> seconds;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [name, candidate] : candidates) {
    QTIPD_ASSIGN_OR_RETURN(seconds[name], timer.Time(*candidate));
    least = std::min(least, seconds[name]);
  }
  // The library's default comes first in the order of names.
  const auto chosen = std::find_if(seconds.begin(), seconds.end(), [&](const auto& candidate) {
    return candidate.second <= (1 + kTie) * least;
  });
  const std::string description = chosen->first + ", fastest of " + std::to_string(seconds.size());
  return std::make_unique<CublasDense>(std::move(candidates[chosen->first]), description,
                                       std::move(seconds));
}

}  // namespace qtipd
