// What every job may use beside its device.
#ifndef QTIPD_SERVER_ENGINE_JOBS_JOB_CONTEXT_H_
#define QTIPD_SERVER_ENGINE_JOBS_JOB_CONTEXT_H_

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "kernels/api/registry.h"
#include "kernels/api/weight_format.h"
#include "server/base/clock.h"
#include "server/engine/device/ceiling_store.h"
#include "server/engine/history/history_store.h"
#include "server/engine/input/input_files.h"
#include "server/engine/metrics_sink.h"
#include "server/engine/store/artifact_store.h"
#include "server/engine/store/hessian_store.h"

namespace qtipd {

// References to parts of the engine; they outlive every job.
struct JobContext {
  const Registry& registry;
  ArtifactStore& artifacts;
  InputFiles& files;
  HistoryStore& history;
  MetricsSink& metrics;
  Clock& clock;
  const std::map<std::string, std::string>& build_info;
  CeilingStore& ceilings;
  HessianStore& hessians;
};

// A part [begin, end] of another progress, for a step of a job. The parent outlives it.
class PartialProgress final : public Progress {
 public:
  PartialProgress(Progress& parent, double begin, double end)
      : parent_(parent), begin_(begin), end_(end) {}
  void Report(double fraction, std::string_view stage) override {
    parent_.Report(begin_ + (end_ - begin_) * fraction, stage);
  }
  bool IsCancelled() const override { return parent_.IsCancelled(); }

 private:
  Progress& parent_;
  const double begin_;
  const double end_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_JOB_CONTEXT_H_
