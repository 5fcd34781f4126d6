// What a result says beside its figures: distribution, roofline, phases, the device's state.
#ifndef QTIPD_CLIENT_CONDITIONS_VIEW_H_
#define QTIPD_CLIENT_CONDITIONS_VIEW_H_

#include <string>

#include "client/output.h"
#include "qtipd/v1/benchmark.pb.h"

namespace qtipd {

// Adds a row a fact, named `<cell>: <fact>`, to a table of fields and values; what the result does
// not have is left out.
void AddConditions(const v1::BenchmarkResult& result, const std::string& cell, Table& table);

// "ci-width (min-time=0.5), 30 to 10000 samples, interval 0.50 %, at most 15 s"
std::string StoppingText(const v1::StoppingRule& rule);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_CONDITIONS_VIEW_H_
