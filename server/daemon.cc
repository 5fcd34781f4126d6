#include "server/daemon.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "kernels/api/builtin.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/backends.h"
#include "server/base/clock.h"
#include "server/base/log_text.h"
#include "server/build_info.h"
#include "server/monitors.h"
#include "server/sd_notify.h"
#include "server/signals.h"

namespace qtipd {
namespace {

std::string Hostname() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

// How long an end by force may take for clocks that are locked.
constexpr double kUndoSeconds = 1.5;

void TellServiceManager(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  const absl::Status status = SdNotify(path == nullptr ? "" : path, state);
  if (!status.ok()) spdlog::warn("notify_failed {}", LogStatus(status));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const Config& config, StopEvent& stop,
                                                      std::atomic<bool>& owns_data_dir) {
  std::unique_ptr<Daemon> daemon(new Daemon(stop, owns_data_dir));
  daemon->start_seconds_ = SystemClock().MonotonicSeconds();
  daemon->data_dir_ = config.data_dir;
  QTIPD_RETURN_IF_ERROR(daemon->StartEngine(config));
  QTIPD_RETURN_IF_ERROR(daemon->StartServers(config));
  return daemon;
}

absl::Status Daemon::StartEngine(const Config& config) {
  const std::map<std::string, std::string> build = BuildInfo();
  sink_ = std::make_unique<PrometheusSink>(build);
  auto registry = std::make_unique<Registry>();
  RegisterBuiltinFormats(*registry);
  RegisterBuiltinPaths(*registry);
  QTIPD_ASSIGN_OR_RETURN(Backends backends,
                         OpenBackends(config.device, config.cuda_module, *registry));
  EngineConfig engine_config;
  engine_config.data_dir = config.data_dir;
  engine_config.device_selection = config.device;
  engine_config.server_paths = config.server_paths;
  engine_config.max_upload_bytes = config.max_upload_bytes;
  engine_config.build_info = build;
  const bool has_gpu = backends.usable.size() > 1;  // the first is the CPU
  const std::shared_ptr<Nvml> nvml = OpenNvmlIfWanted(has_gpu, config.data_dir);
  engine_config.make_monitor = MakeMonitorFactory(nvml, config.data_dir, SystemClock());
  engine_config.on_directory_locked = [this, nvml] {
    owns_data_dir_ = true;
    UndoLeftClockLocks(nvml.get(), data_dir_);
  };
  engine_config.profiler = config.profiler;
  engine_config.profile_collector =
      MakeHelperCollector({.program = config.profiler, .cuda_module = config.cuda_module});
  QTIPD_ASSIGN_OR_RETURN(
      engine_,
      Engine::Create(std::move(engine_config), std::move(registry), std::move(backends.usable),
                     std::move(backends.status), *sink_, SystemClock()));
  engine_->SetDeviceLostHandler([this](const std::string& device) {
    spdlog::critical("device_lost device={}", device);
    is_serving_ = false;
    stop_.Request(kExitDeviceLost);
  });
  sink_->SetRefresh([this, is_telemetry_on = config.gpu_telemetry == "on"] {
    for (const DeviceStatus& device :
         is_telemetry_on ? engine_->ReadDevices() : engine_->ListDevices()) {
      sink_->DeviceChanged(device);
    }
  });
  return absl::OkStatus();
}

absl::Status Daemon::StartServers(const Config& config) {
  QTIPD_ASSIGN_OR_RETURN(
      http_, HttpServer::Start(config.http_listen, HttpPages{[this] { return sink_->Text(); },
                                                             [this] { return IsReady(); }}));
  ServerFacts facts;
  facts.build = BuildInfo();
  facts.hostname = Hostname();
  facts.http_address = http_->address();
  facts.data_dir = config.data_dir;
  facts.start_seconds = start_seconds_;
  QTIPD_ASSIGN_OR_RETURN(
      grpc_, GrpcServer::Start(config.listen,
                               RpcEnvironment{*engine_, *sink_, SystemClock(), std::move(facts)}));
  is_serving_ = true;
  grpc_->SetServing(true);
  return absl::OkStatus();
}

bool Daemon::IsReady() {
  if (!is_serving_) return false;
  const std::vector<DeviceStatus> devices = engine_->ListDevices();
  return std::any_of(devices.begin(), devices.end(),
                     [](const DeviceStatus& device) { return device.is_healthy; });
}

std::string Daemon::ReadyLine() {
  std::string devices;
  for (const DeviceStatus& device : engine_->ListDevices()) {
    devices += (devices.empty() ? "" : ",") + device.info.id;
  }
  return "qtipd ready grpc=" + grpc_->address() + " http=" + http_->address() +
         " data_dir=" + LogText(data_dir_) + " devices=" + devices;
}

void Daemon::Stop() {
  if (std::exchange(is_stopped_, true)) return;
  is_serving_ = false;
  if (grpc_ != nullptr) {
    StopInOrder(*grpc_, *engine_, http_.get());
    return;
  }
  // A start that failed half-way.
  if (engine_ != nullptr) engine_->Shutdown();
  if (http_ != nullptr) http_->Stop();
}

Daemon::~Daemon() {
  Stop();
  owns_data_dir_ = false;
}

int Daemon::Run(const Config& config) {
  const double begin = SystemClock().MonotonicSeconds();
  StopEvent stop;
  std::atomic<bool> is_stopping{false};
  std::atomic<bool> owns_data_dir{false};
  // Storage is crash-only, so that an end by force loses nothing that was reported complete. Locked
  // clocks would outlive it.
  const auto end_by_force = [&](int exit_code) {
    if (owns_data_dir) UndoLeftClockLocksWithin(kUndoSeconds, OpenAnyNvml, config.data_dir);
    std::_Exit(exit_code);
  };
  SignalThread signals([&](int signal) {
    if (is_stopping.exchange(true)) end_by_force(128 + signal);
    spdlog::info("stop_requested signal={}", signal);
    stop.Request(kExitOk);
  });
  const absl::StatusOr<std::unique_ptr<Daemon>> started = Start(config, stop, owns_data_dir);
  if (!started.ok()) {
    const absl::Status& status = started.status();
    std::fprintf(stderr, "error: %s: %s\n", GetErrorInfo(status).reason.c_str(),
                 std::string(status.message()).c_str());
    return kExitBadConfig;
  }
  Daemon& daemon = **started;
  std::printf("%s\n", daemon.ReadyLine().c_str());
  std::fflush(stdout);
  spdlog::info("daemon_ready seconds={:.3f} {}", SystemClock().MonotonicSeconds() - begin,
               VersionText());
  TellServiceManager("READY=1");

  const int exit_code = stop.Wait();
  TellServiceManager("STOPPING=1");
  const double stop_begin = SystemClock().MonotonicSeconds();
  {
    Watchdog watchdog(config.drain_timeout_seconds, [&] {
      spdlog::error("drain_timed_out seconds={}", config.drain_timeout_seconds);
      end_by_force(exit_code == kExitOk ? kExitDrainTimedOut : exit_code);
    });
    daemon.Stop();
  }
  spdlog::info("daemon_stopped seconds={:.3f} exit_code={}",
               SystemClock().MonotonicSeconds() - stop_begin, exit_code);
  return exit_code;
}

int Daemon::ReleaseClocks(const Config& config) {
  const absl::Status status = ReleaseLeftClocks(OpenAnyNvml, config.data_dir);
  if (status.ok()) return kExitOk;
  std::fprintf(stderr, "error: %s: %s\n", GetErrorInfo(status).reason.c_str(),
               std::string(status.message()).c_str());
  return kExitBadConfig;
}

}  // namespace qtipd
