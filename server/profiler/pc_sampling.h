// Which machine instructions warps are found waiting at.
#ifndef QTIPD_SERVER_PROFILER_PC_SAMPLING_H_
#define QTIPD_SERVER_PROFILER_PC_SAMPLING_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/profiler/profile_protocol.h"
#include "server/profiler/range_profiler.h"

namespace qtipd {

// Samples of one instruction. `function` is the linker's name.
struct SampledInstruction {
  std::string function;
  uint64_t offset = 0;  // bytes
  std::map<std::string, uint64_t> stall_samples;
};

struct PcSamples {
  std::vector<SampledInstruction> instructions;
  uint64_t total_samples = 0;
  uint64_t dropped_samples = 0;
  std::string truncation;      // why samples are missing that nobody counted; empty: none are
  uint64_t other_samples = 0;  // of total_samples, those of kernels that CUPTI does not know
};

// Sampling of a context, on while it lives; not beside an enabled range profiler.
class PcSampler {
 public:
  // Kernels that are loaded before have no instructions. The session outlives the sampler.
  // Errors: those of CuptiStatus.
  static absl::StatusOr<std::unique_ptr<PcSampler>> Enable(const CuptiSession& session);
  virtual ~PcSampler() = default;
  // Samples while `replay` runs once. Errors: those of CuptiStatus; the replay's own.
  virtual absl::StatusOr<PcSamples> Collect(const Replay& replay) = 0;
};

// The `count` instructions with the most samples, most first, those of one instruction added up;
// `function` is the linker's name still, and there is no text yet.
std::vector<HotInstruction> HottestInstructions(const PcSamples& samples, size_t count);

// "_Z3foov" -> "foo()"; what is no mangled name comes back as it is.
std::string Demangle(const std::string& name);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_PC_SAMPLING_H_
