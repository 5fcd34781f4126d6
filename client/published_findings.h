// The findings of tiny-gemm (github.com/zhan4808/tiny-gemm, measured there on an A10G) as
// statements about what was measured here.
#ifndef QTIPD_CLIENT_PUBLISHED_FINDINGS_H_
#define QTIPD_CLIENT_PUBLISHED_FINDINGS_H_

#include <vector>

#include "client/output.h"
#include "client/speed_table.h"

namespace qtipd {

// Three rows: the statement, whether it holds (yes, no, or not measured) and the figures:
//   1. INT4 helps where the output is wide, because traffic dominates.
//   2. INT4 is slower where the output is narrow, because decoding is not amortised.
//   3. Counters show the bottleneck shift from memory to computing between FP16 and INT4.
// "INT4" is path `fused`, "FP16" path `dense`; wide and narrow are the widest and the narrowest
// output of the table among the matrices with the most common number of inputs.
Table PublishedFindingsTable(const std::vector<SpeedResult>& results);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_PUBLISHED_FINDINGS_H_
