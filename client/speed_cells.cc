#include "client/speed_cells.h"

#include "absl/strings/str_cat.h"
#include "client/units.h"

namespace qtipd {

Cell Microseconds(Seconds seconds) {
  if (!seconds) return Absent();
  return Cell(FormatNumber(*seconds * 1e6, 4), ExactNumber(*seconds));
}

Cell Exact(Seconds seconds) { return seconds ? Cell(ExactNumber(*seconds)) : Absent(); }

Cell SpeedRatio(Seconds dense, Seconds ours) {
  if (!dense || !ours || *ours <= 0) return Absent();
  return Cell(absl::StrCat(FormatNumber(*dense / *ours, 3), "x"), ExactNumber(*dense / *ours));
}

Cell ShareCell(std::optional<double> share) {
  return share ? Cell(FormatPercent(*share), ExactNumber(*share)) : Absent();
}

}  // namespace qtipd
