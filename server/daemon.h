// The daemon: its objects, and the order in which they start and stop.
#ifndef QTIPD_SERVER_DAEMON_H_
#define QTIPD_SERVER_DAEMON_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/config.h"
#include "server/engine/engine.h"
#include "server/metrics/http_server.h"
#include "server/metrics/prometheus_sink.h"
#include "server/shutdown.h"
#include "server/transport/grpc_server.h"

namespace qtipd {

// Exit codes.
inline constexpr int kExitOk = 0;
inline constexpr int kExitDrainTimedOut = 1;
inline constexpr int kExitBadConfig = 2;    // and every other start that fails
inline constexpr int kExitDeviceLost = 70;  // the supervisor is to start it again

// Starts in the order registry and backends, engine, HTTP pages, gRPC, health; stops as
// shutdown.h says. Start, Stop and the destructor belong to one thread.
class Daemon {
 public:
  // Requests `stop`, which outlives the daemon, when a device is lost. Errors: those of
  // OpenBackends, Engine::Create, HttpServer::Start and GrpcServer::Start.
  // Sets `owns_data_dir`, which outlives the daemon too, once the data directory is locked for it.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const Config& config, StopEvent& stop,
                                                       std::atomic<bool>& owns_data_dir);
  ~Daemon();

  // Starts a daemon, says on stdout when it is ready, and serves until SIGTERM or SIGINT (a second
  // one ends the process at once, but for clocks that are locked) or until a device is lost.
  // Returns an exit code; a failed start is one line on stderr.
  static int Run(const Config& config);

  // Lets go the clocks that a daemon of this data directory left locked. Returns an exit code: 0
  // also where there were none; else one line on stderr.
  static int ReleaseClocks(const Config& config);

  // "qtipd ready grpc=127.0.0.1:7070 http=127.0.0.1:9464 data_dir=/data devices=cpu"
  std::string ReadyLine();

  // Stops in order. Idempotent.
  void Stop();

 private:
  Daemon(StopEvent& stop, std::atomic<bool>& owns_data_dir)
      : stop_(stop), owns_data_dir_(owns_data_dir) {}
  absl::Status StartEngine(const Config& config);
  absl::Status StartServers(const Config& config);
  bool IsReady();

  StopEvent& stop_;
  std::atomic<bool>& owns_data_dir_;
  std::string data_dir_;
  double start_seconds_ = 0;
  // In the order of need: what is below uses what is above.
  std::unique_ptr<PrometheusSink> sink_;
  std::unique_ptr<Engine> engine_;
  std::atomic<bool> is_serving_{false};
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<GrpcServer> grpc_;

  bool is_stopped_ = false;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_DAEMON_H_
