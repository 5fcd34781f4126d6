// qtip-profiler: one JSON request on standard input, one JSON answer on standard output. The daemon
// starts it; --list-metrics and --passes serve people.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "kernels/api/error.h"
#include "server/profiler/program/run_request.h"

namespace qtipd {
namespace {

struct Flags {
  CatalogueTask task;
  bool lists_metrics = false;
  bool tells_passes = false;
};

int Answer() {
  const std::string request{std::istreambuf_iterator<char>(std::cin), {}};
  std::puts(AnswerRequest(request).c_str());
  return std::fflush(stdout) == 0 ? 0 : 1;
}

int PrintCatalogue(const Flags& flags) {
  const absl::StatusOr<MetricCatalogue> catalogue = RunCatalogueTask(flags.task);
  if (!catalogue.ok()) {
    std::fprintf(stderr, "error: %s: %s\n", GetErrorInfo(catalogue.status()).reason.c_str(),
                 std::string(catalogue.status().message()).c_str());
    return 2;
  }
  if (flags.lists_metrics) {
    for (const MetricDescription& metric : catalogue->metrics) {
      std::printf("%s\t%s\n", metric.name.c_str(), metric.description.c_str());
    }
  }
  if (flags.tells_passes) {
    std::printf("%s: %zu metrics in %d passes\n", catalogue->chip.c_str(),
                catalogue->selected_metrics.size(), catalogue->passes);
    for (const std::string& name : catalogue->unavailable_metrics) {
      std::printf("unavailable: %s\n", name.c_str());
    }
  }
  return 0;
}

// The CPU's counters take a descriptor for every metric of every thread: 1024, the usual soft
// limit, are too few for a large machine. Where it stays low, the counters that lack one say so.
void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Main(int argc, char** argv) {
  // It serves its parent alone.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  RaiseDescriptorLimit();
  CLI::App app("qtip-profiler, the helper of qtipd that reads hardware counters", "qtip-profiler");
  Flags flags;
  flags.task.device = "cuda:0";
  app.add_flag("--list-metrics", flags.lists_metrics, "Print the metrics of a chip");
  app.add_flag("--passes", flags.tells_passes, "Print the replays that a preset or metrics take");
  app.add_option("--chip", flags.task.chip, "A chip's name, GH100; no device is needed");
  app.add_option("--device", flags.task.device, "cpu or cuda:N, whose chip it is")
      ->capture_default_str();
  app.add_option("--preset", flags.task.preset, "memory, stalls or full");
  app.add_option("--metric", flags.task.metrics, "A metric's name; may be repeated");
  CLI11_PARSE(app, argc, argv);
  return flags.lists_metrics || flags.tells_passes ? PrintCatalogue(flags) : Answer();
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) { return qtipd::Main(argc, argv); }
