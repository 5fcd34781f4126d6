// Cells of tables of speeds; what was not measured is absent.
#ifndef QTIPD_CLIENT_SPEED_CELLS_H_
#define QTIPD_CLIENT_SPEED_CELLS_H_

#include <optional>

#include "client/output.h"

namespace qtipd {

using Seconds = std::optional<double>;

Cell Microseconds(Seconds seconds);  // raw in seconds
Cell Exact(Seconds seconds);
// How often `ours` fits into `dense`, "4.12x".
Cell SpeedRatio(Seconds dense, Seconds ours);
// "62 %" of 0.62.
Cell ShareCell(std::optional<double> share);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SPEED_CELLS_H_
