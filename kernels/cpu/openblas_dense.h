// Dense multiplication by OpenBLAS: the CPU's baseline.
#ifndef QTIPD_KERNELS_CPU_OPENBLAS_DENSE_H_
#define QTIPD_KERNELS_CPU_OPENBLAS_DENSE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"

namespace qtipd {

// "OpenBLAS 0.3.21 ... Haswell", with the kernels that it dispatches to on this machine.
std::string OpenBlasDescription();

// Threads of every later OpenBLAS call of the process; OpenBLAS has no setting per call.
void SetOpenBlasThreads(int threads);

// y = x W^T by cblas_sgemv at batch 1, cblas_sgemm otherwise.
// Errors: InvalidArgument/DENSE_PROBLEM_INVALID for an output dtype other than F32, or a size
// outside 1 to 2^31 - 1.
absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareOpenBlasDense(const DenseProblem& problem);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_OPENBLAS_DENSE_H_
