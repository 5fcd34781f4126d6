#include "server/metrics/series_limit.h"

namespace qtipd {

bool SeriesLimit::Reserve(size_t series) {
  size_t used = used_;
  while (used + series <= limit_) {
    if (used_.compare_exchange_weak(used, used + series)) return true;
  }
  dropped_.Increment();
  return false;
}

}  // namespace qtipd
