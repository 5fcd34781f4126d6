#include "kernels/cuda/cublas_dense.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/status.h"
#include "kernels/cuda/cuda_status.h"

namespace qtipd {
namespace {

constexpr float kOne = 1.0f;
constexpr float kZero = 0.0f;
constexpr int kLtCandidates = 4;
constexpr int kTimedReplays = 7;

// One way to compute y = W x. Row-major W [out, in] is column-major [in, out], so W is transposed.
class Candidate {
 public:
  virtual ~Candidate() = default;
  virtual std::string name() const = 0;
  virtual absl::Status Run(const void* w, const void* x, void* y) const = 0;
};

cudaDataType_t CudaType(DType dtype) { return dtype == DType::kF16 ? CUDA_R_16F : CUDA_R_32F; }

class CublasCandidate final : public Candidate {
 public:
  CublasCandidate(CudaDevice& device, const DenseProblem& problem)
      : device_(device), problem_(problem) {}
  std::string name() const override { return "cublasGemmEx"; }
  absl::Status Run(const void* w, const void* x, void* y) const override {
    const int out = static_cast<int>(problem_.out_features);
    const int in = static_cast<int>(problem_.in_features);
    QTIPD_RETURN_IF_CUBLAS_ERROR(cublasGemmEx(
        device_.cublas(), CUBLAS_OP_T, CUBLAS_OP_N, out, static_cast<int>(problem_.batch), in,
        &kOne, w, CUDA_R_16F, in, x, CUDA_R_16F, in, &kZero, y, CudaType(problem_.output_dtype),
        out, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    return absl::OkStatus();
  }

 private:
  CudaDevice& device_;
  DenseProblem problem_;
};

// What all cuBLASLt candidates of a problem share.
struct LtProblem {
  CublasLtMatmul matmul;
  CublasLtLayout w;
  CublasLtLayout x;
  CublasLtLayout y;
};

absl::StatusOr<CublasLtLayout> MakeLayout(cudaDataType_t type, int64_t rows, int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatrixLayoutCreate(&layout, type, rows, columns, rows));
  return CublasLtLayout(layout);
}

absl::StatusOr<std::shared_ptr<const LtProblem>> MakeLtProblem(const DenseProblem& problem) {
  auto lt = std::make_shared<LtProblem>();
  cublasLtMatmulDesc_t matmul = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatmulDescCreate(&matmul, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  lt->matmul.reset(matmul);
  const cublasOperation_t transpose = CUBLAS_OP_T;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatmulDescSetAttribute(matmul, CUBLASLT_MATMUL_DESC_TRANSA,
                                                              &transpose, sizeof(transpose)));
  QTIPD_ASSIGN_OR_RETURN(lt->w, MakeLayout(CUDA_R_16F, problem.in_features, problem.out_features));
  QTIPD_ASSIGN_OR_RETURN(lt->x, MakeLayout(CUDA_R_16F, problem.in_features, problem.batch));
  QTIPD_ASSIGN_OR_RETURN(
      lt->y, MakeLayout(CudaType(problem.output_dtype), problem.out_features, problem.batch));
  return lt;
}

class LtCandidate final : public Candidate {
 public:
  LtCandidate(CudaDevice& device, std::shared_ptr<const LtProblem> lt, int rank,
              cublasLtMatmulAlgo_t algorithm)
      : device_(device), lt_(std::move(lt)), rank_(rank), algorithm_(algorithm) {}
  std::string name() const override { return "cublasLt_" + std::to_string(rank_); }
  absl::Status Run(const void* w, const void* x, void* y) const override {
    QTIPD_RETURN_IF_CUBLAS_ERROR(
        cublasLtMatmul(device_.cublas_lt(), lt_->matmul.get(), &kOne, w, lt_->w.get(), x,
                       lt_->x.get(), &kZero, y, lt_->y.get(), y, lt_->y.get(), &algorithm_,
                       device_.lt_workspace(), device_.lt_workspace_bytes(), device_.stream()));
    return absl::OkStatus();
  }

 private:
  CudaDevice& device_;
  std::shared_ptr<const LtProblem> lt_;
  int rank_;
  cublasLtMatmulAlgo_t algorithm_;
};

using Candidates = std::vector<std::unique_ptr<Candidate>>;

absl::Status AddLtCandidates(CudaDevice& device, const DenseProblem& problem,
                             Candidates& candidates) {
  QTIPD_ASSIGN_OR_RETURN(std::shared_ptr<const LtProblem> lt, MakeLtProblem(problem));
  cublasLtMatmulPreference_t created = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatmulPreferenceCreate(&created));
  const CublasLtPreference preference(created);
  const size_t workspace = device.lt_workspace_bytes();
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtMatmulPreferenceSetAttribute(
      created, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof(workspace)));
  std::array<cublasLtMatmulHeuristicResult_t, kLtCandidates> results;
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      device.cublas_lt(), lt->matmul.get(), lt->w.get(), lt->x.get(), lt->y.get(), lt->y.get(),
      created, kLtCandidates, results.data(), &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return absl::OkStatus();  // cuBLAS alone then
  QTIPD_RETURN_IF_CUBLAS_ERROR(status);
  for (int i = 0; i < found; ++i) {
    candidates.push_back(std::make_unique<LtCandidate>(device, lt, i, results[i].algo));
  }
  return absl::OkStatus();
}

// Buffers to time candidates on: enough weight copies that L2 is cold.
struct TrialBuffers {
  std::vector<Buffer> weights;
  Buffer x;
  Buffer y;
};

absl::StatusOr<TrialBuffers> MakeTrialBuffers(CudaDevice& device, const DenseProblem& problem) {
  TrialBuffers buffers;
  const uint64_t weight_bytes = problem.out_features * problem.in_features * 2;
  const uint64_t wanted = 3 * device.info().last_level_cache_bytes;
  const uint64_t copies = std::max<uint64_t>(1, (wanted + weight_bytes - 1) / weight_bytes);
  QTIPD_ASSIGN_OR_RETURN(buffers.x, device.Allocate(problem.batch * problem.in_features * 2));
  QTIPD_ASSIGN_OR_RETURN(buffers.y, device.Allocate(problem.batch * problem.out_features * 4));
  // 0x2C2C is about 0.065: power, and so speed, depends on the bits that toggle.
  QTIPD_RETURN_IF_ERROR(device.Fill(buffers.x.data(), 0x2C, buffers.x.bytes()));
  for (uint64_t i = 0; i < copies; ++i) {
    QTIPD_ASSIGN_OR_RETURN(Buffer weights, device.Allocate(weight_bytes));
    QTIPD_RETURN_IF_ERROR(device.Fill(weights.data(), 0x2C, weight_bytes));
    buffers.weights.push_back(std::move(weights));
  }
  return buffers;
}

// Median seconds of one multiplication, over replays of a graph that visits every copy.
absl::StatusOr<double> TimeCandidate(CudaDevice& device, const Candidate& candidate,
                                     const TrialBuffers& buffers) {
  const Buffer& first = buffers.weights.front();
  // Once outside the graph: kernels load lazily, which a capture does not allow.
  QTIPD_RETURN_IF_ERROR(candidate.Run(first.data(), buffers.x.data(), buffers.y.data()));
  QTIPD_RETURN_IF_ERROR(device.Synchronize());
  QTIPD_ASSIGN_OR_RETURN(auto recording, device.Record([&]() -> absl::Status {
    for (const Buffer& weights : buffers.weights) {
      QTIPD_RETURN_IF_ERROR(candidate.Run(weights.data(), buffers.x.data(), buffers.y.data()));
    }
    return absl::OkStatus();
  }));
  std::vector<double> seconds;
  for (int i = 0; i < kTimedReplays; ++i) {
    QTIPD_ASSIGN_OR_RETURN(const double replay, recording->Replay());
    seconds.push_back(replay / static_cast<double>(buffers.weights.size()));
  }
  std::nth_element(seconds.begin(), seconds.begin() + kTimedReplays / 2, seconds.end());
  return seconds[kTimedReplays / 2];
}

class CublasDense final : public DenseMultiply {
 public:
  CublasDense(std::unique_ptr<Candidate> chosen, std::map<std::string, double> candidate_seconds)
      : chosen_(std::move(chosen)), candidate_seconds_(std::move(candidate_seconds)) {}
  absl::Status Run(const void* w, const void* x, void* y) override { return chosen_->Run(w, x, y); }
  std::string description() const override { return chosen_->name(); }
  std::map<std::string, double> candidate_seconds() const override { return candidate_seconds_; }

 private:
  std::unique_ptr<Candidate> chosen_;
  std::map<std::string, double> candidate_seconds_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareCublasDense(CudaDevice& device,
                                                                  const DenseProblem& problem) {
  Candidates candidates;
  candidates.push_back(std::make_unique<CublasCandidate>(device, problem));
  QTIPD_RETURN_IF_ERROR(AddLtCandidates(device, problem, candidates));
  QTIPD_ASSIGN_OR_RETURN(const TrialBuffers buffers, MakeTrialBuffers(device, problem));
  std::map<std::string, double> seconds;
  size_t best = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    QTIPD_ASSIGN_OR_RETURN(const double measured, TimeCandidate(device, *candidates[i], buffers));
    seconds[candidates[i]->name()] = measured;
    if (measured < seconds[candidates[best]->name()]) best = i;
  }
  return std::make_unique<CublasDense>(std::move(candidates[best]), std::move(seconds));
}

}  // namespace qtipd
