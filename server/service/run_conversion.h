// Benchmark runs as messages.
#ifndef QTIPD_SERVER_SERVICE_RUN_CONVERSION_H_
#define QTIPD_SERVER_SERVICE_RUN_CONVERSION_H_

#include "qtipd/v1/benchmark.pb.h"
#include "server/engine/types.h"

namespace qtipd {

// Lists leave the samples out: they are most of a run's bytes.
enum class Samples { kKeep, kLeaveOut };

v1::Run ToProto(const RunRecord& record, Samples samples);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SERVICE_RUN_CONVERSION_H_
