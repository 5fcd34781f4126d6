#include "kernels/api/status.h"
#include "server/service/handlers.h"

namespace qtipd {

absl::StatusOr<v1::ListMetricsResponse> ListMetrics(Engine& engine,
                                                    const v1::ListMetricsRequest& request,
                                                    const CallContext& context) {
  CatalogueTask task;
  task.device = request.device();
  task.chip = request.chip();
  task.preset = request.preset();
  task.metrics.assign(request.metrics().begin(), request.metrics().end());
  QTIPD_ASSIGN_OR_RETURN(
      const MetricCatalogue catalogue,
      engine.ReadMetricCatalogue(task, [&context] { return !context.Check().ok(); }));
  v1::ListMetricsResponse response;
  response.set_chip(catalogue.chip);
  for (const MetricDescription& metric : catalogue.metrics) {
    if (metric.name.find(request.filter()) == std::string::npos) continue;
    v1::MetricDescription* description = response.add_metrics();
    description->set_name(metric.name);
    description->set_description(metric.description);
  }
  response.mutable_selected_metrics()->Add(catalogue.selected_metrics.begin(),
                                           catalogue.selected_metrics.end());
  response.mutable_unavailable_metrics()->Add(catalogue.unavailable_metrics.begin(),
                                              catalogue.unavailable_metrics.end());
  response.set_passes(catalogue.passes);
  return response;
}

}  // namespace qtipd
