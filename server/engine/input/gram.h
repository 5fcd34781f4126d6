// X^T X of activations, in double precision and bounded memory.
#ifndef QTIPD_SERVER_ENGINE_INPUT_GRAM_H_
#define QTIPD_SERVER_ENGINE_INPUT_GRAM_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/host_tensor.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Receives consecutive rows of a lower triangle: row i has i + 1 values.
using TriangleSink = std::function<absl::Status(std::span<const double>)>;

struct GramLimits {
  uint64_t panel_bytes = uint64_t{256} << 20;  // of the sums held at a time
  int64_t chunk_tokens = 128;                  // converted at a time
};

// Hands the lower triangle of X^T X to `sink`, row after row. X is [tokens, features], F16, BF16 or
// F32, and is read once for every panel of rows. Products and sums are doubles, added up in chunks
// of tokens: the result does not depend on the number of threads. Takes all cores; the memory held
// is a panel and a chunk. `name` names the tensor in errors.
// Errors: InvalidArgument/NON_FINITE naming the first value; Cancelled; the sink's own.
absl::Status ComputeGram(const HostTensor& activations, const std::string& name,
                         const GramLimits& limits, Progress& progress, const TriangleSink& sink);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_INPUT_GRAM_H_
