// qtipd: flags -> Config -> Daemon::Run.
#include <cstdio>
#include <string>

#include "kernels/api/error.h"
#include "server/build_info.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/logging.h"
#include "server/signals.h"
#include "server/transport/grpc_log.h"

int main(int argc, char** argv) {
  qtipd::IgnoreBrokenPipes();
  qtipd::ConfigSources sources = qtipd::ProcessSources(argc, argv);
  sources.version = qtipd::VersionText();
  const absl::StatusOr<qtipd::ConfigOutcome> outcome = qtipd::ReadConfig(sources);
  if (!outcome.ok()) {
    std::fprintf(stderr, "error: %s: %s\n", qtipd::GetErrorInfo(outcome.status()).reason.c_str(),
                 std::string(outcome.status().message()).c_str());
    return qtipd::kExitBadConfig;
  }
  if (!outcome->text.empty()) {
    std::fputs(outcome->text.c_str(), stdout);
    return qtipd::kExitOk;
  }
  qtipd::StartLogging(outcome->config.log_level, outcome->config.log_format);
  qtipd::RouteGrpcLog();
  if (outcome->is_release_clocks) return qtipd::Daemon::ReleaseClocks(outcome->config);
  return qtipd::Daemon::Run(outcome->config);
}
