// The frontier of size, error and speed.
#ifndef QTIPD_CLIENT_FRONTIER_H_
#define QTIPD_CLIENT_FRONTIER_H_

#include <vector>

#include "client/output.h"
#include "client/speed_table.h"

namespace qtipd {

// One row a measured case and batch: bits a weight, relative weight MSE, the time of path `fused`
// and, where another case of the same shape, weights and batch is no larger, no less exact and no
// slower, and better in one of the three, which one that is. Ordered by shape, weights, batch and
// size.
Table FrontierTable(const std::vector<SpeedResult>& results);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_FRONTIER_H_
