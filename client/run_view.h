// Benchmark runs as tables.
#ifndef QTIPD_CLIENT_RUN_VIEW_H_
#define QTIPD_CLIENT_RUN_VIEW_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "client/output.h"
#include "qtipd/v1/benchmark.pb.h"

namespace qtipd {

// One row a path and batch of every run: latency with its interval, bandwidth, compression, errors,
// and the speed-up over `dense` of the same run and batch, "-" where that was not measured. A
// column of warnings follows where there is one.
Table ResultTable(const std::vector<v1::Run>& runs);

// One row a path and batch, one column a step, in microseconds or what fits; a step that a path
// does not have is absent. Empty where nothing was measured by step.
Table StepTable(const std::vector<v1::Run>& runs);

// One row a sample, in the order measured.
Table SampleTable(const v1::Run& run);

// Everything about a run but its results, one row a fact.
Table RunDetails(const v1::Run& run);

// One row a run.
Table RunTable(const std::vector<v1::Run>& runs);

// The result of a case, or nullptr where it was not measured.
const v1::BenchmarkResult* FindMeasured(const v1::Run& run, std::string_view path, int64_t batch);

// The step of this name, or nullptr.
const v1::StepLatency* FindStep(const v1::BenchmarkResult& result, std::string_view name);

// Whether path `fused` had this batch decoded and multiplied densely, as `dequant` does.
bool WasHandedOver(const v1::BenchmarkResult& result);

// Half the 95 % interval of the median over the median.
double RelativeHalfWidth(const v1::Latency& latency);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_RUN_VIEW_H_
