// `hot`: one copy, run after run; what fits into a cache is read from there.
#include "server/engine/harness/sampling_modes.h"

namespace qtipd {

const SamplingMode kHotSampling = {
    .mode = CacheMode::kHot, .plan_copies = PlanOneCopy, .make_sampler = MakeBackToBackSampler};

}  // namespace qtipd
