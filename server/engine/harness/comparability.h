// Which results may be compared.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_COMPARABILITY_H_
#define QTIPD_SERVER_ENGINE_HARNESS_COMPARABILITY_H_

#include <string>

#include "server/engine/types.h"

namespace qtipd {

// Grows with every change of the harness that moves figures: what a sample is, how caches are made
// cold, what is timed.
inline constexpr int kProtocolVersion = 2;

// Everything that two results must share for the difference of their medians to mean the code, as
// text: "device=NVIDIA H200; units=132; driver=580; clocks=default; cache=rotate; protocol=2;
// format=qtip; options=bits=2,code=hyb; shape=4096x4096; path=fused; batch=1". A driver counts by
// its major version; "none" where the device has none. "; activations=BF16" follows where they are
// not of the device's compute dtype. In values, '%' and ';' are written %25 and %3B.
std::string ComparabilityKey(const RunRecord& run, const BenchmarkResult& result);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_COMPARABILITY_H_
