// How far a suite came, and why it ended before the rest.
#ifndef QTIPD_CLIENT_SUITE_EXTENT_H_
#define QTIPD_CLIENT_SUITE_EXTENT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace qtipd {

struct SuiteExtent {
  int64_t finished = 0;
  int64_t total = 0;
  const char* unit = "cases";  // what is counted; outlives the extent
  absl::Status end;            // why no more are

  bool is_partial() const { return finished < total; }
};

// "Partial: 12 of 49 cases were finished, until INTERRUPTED_BY_USER: ..."; without an end, "...
// when this was written". Empty where all are.
std::string PartialText(const SuiteExtent& extent);

// {"partial": true, "finished": 12, "total": 49, "endedBy": {google.rpc.Status}}; nothing ended a
// suite that still runs, or that is whole.
nlohmann::ordered_json ExtentJson(const SuiteExtent& extent);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SUITE_EXTENT_H_
