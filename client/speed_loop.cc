#include "client/speed_loop.h"

#include "kernels/api/status.h"

namespace qtipd {
namespace {

bool IsOfTheCase(const absl::Status& status) {
  return absl::IsUnimplemented(status) || absl::IsInvalidArgument(status) ||
         absl::IsResourceExhausted(status);
}

}  // namespace

absl::Status MeasureCases(std::vector<SpeedResult>& results, const MeasureCase& measure,
                          const KeepCases& keep) {
  for (SpeedResult& result : results) {
    if (result.is_finished) continue;
    result.status = measure(result);
    if (!result.status.ok() && !IsOfTheCase(result.status)) return result.status;
    result.is_finished = true;
    QTIPD_RETURN_IF_ERROR(keep(result));
  }
  return absl::OkStatus();
}

}  // namespace qtipd
