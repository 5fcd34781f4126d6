#include "server/engine/device/device_executor.h"

#include <chrono>
#include <future>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/log_text.h"
#include "spdlog/spdlog.h"

namespace qtipd {
namespace {

// How often an idle device is asked for its free memory and health.
constexpr std::chrono::seconds kIdleRefresh(5);

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceExecutor>> DeviceExecutor::Start(Config config) {
  std::unique_ptr<DeviceExecutor> executor(new DeviceExecutor(std::move(config)));
  std::promise<absl::Status> opened;
  executor->thread_ = std::thread([self = executor.get(), &opened] {
    absl::Status status = self->Open();
    const bool is_open = status.ok();
    opened.set_value(std::move(status));  // `opened` is gone from here on
    if (is_open) self->Loop();
  });
  QTIPD_RETURN_IF_ERROR(opened.get_future().get());
  executor->PublishStatus();
  return executor;
}

DeviceExecutor::~DeviceExecutor() { Stop(); }

absl::Status DeviceExecutor::Open() {
  QTIPD_ASSIGN_OR_RETURN(device_, config_.backend->OpenDevice(config_.index));
  info_ = device_->info();
  residents_ = std::make_unique<ResidentSet>(info_.id, *config_.metrics);
  monitor_ = config_.make_monitor ? config_.make_monitor(info_) : MakeSilentMonitor();
  QTIPD_ASSIGN_OR_RETURN(memory_, device_->Memory());
  return absl::OkStatus();
}

absl::Status DeviceExecutor::Enqueue(Work work) {
  {
    std::lock_guard lock(mutex_);
    if (is_stopping_) {
      return MakeError(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "the daemon is stopping");
    }
    if (!published_health_.ok()) {
      return MakeError(absl::StatusCode::kUnavailable, "DEVICE_UNHEALTHY",
                       "device " + info_.id + ": " + std::string(published_health_.message()),
                       {{"device", info_.id}});
    }
    if (queue_.size() >= config_.max_queue) {
      return FieldError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                        "queue of device " + info_.id, std::to_string(queue_.size()) + " jobs",
                        "at most " + std::to_string(config_.max_queue) + "; try again later");
    }
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
  PublishStatus();
  return absl::OkStatus();
}

void DeviceExecutor::EnqueueHousekeeping(Work work) {
  {
    std::lock_guard lock(mutex_);
    if (is_stopping_) return;
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
}

DeviceStatus DeviceExecutor::status() const {
  DeviceStatus status;
  status.info = info_;
  status.artifact_bytes = residents_->bytes();
  std::lock_guard lock(mutex_);
  status.is_healthy = published_health_.ok();
  status.unhealthy_reason = std::string(published_health_.message());
  status.memory = memory_;
  status.queue_depth = static_cast<int>(queue_.size()) + (is_busy_ ? 1 : 0);
  return status;
}

void DeviceExecutor::PublishStatus() { config_.metrics->DeviceChanged(status()); }

void DeviceExecutor::Loop() {
  while (true) {
    Work work;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kIdleRefresh, [this] { return is_stopping_ || !queue_.empty(); });
      if (queue_.empty() && is_stopping_) break;
      if (!queue_.empty()) {
        work = std::move(queue_.front());
        queue_.pop_front();
        is_busy_ = true;
      }
    }
    if (work) RunOne(std::move(work));
    Refresh();
    PublishStatus();
  }
  residents_->Clear();
  device_.reset();
}

void DeviceExecutor::RunOne(Work work) {
  DeviceLease lease{*device_, *residents_, *monitor_, health_};
  work(lease);
  std::lock_guard lock(mutex_);
  is_busy_ = false;
}

void DeviceExecutor::Refresh() {
  if (!health_.ok()) return;
  const absl::StatusOr<DeviceMemory> memory = device_->Memory();
  health_ = device_->Health();
  {
    std::lock_guard lock(mutex_);
    if (memory.ok()) memory_ = *memory;
    published_health_ = health_;
  }
  if (health_.ok()) return;
  spdlog::critical("device_lost device={} {}", info_.id, LogStatus(health_));
  PublishStatus();
  if (config_.on_lost) config_.on_lost(info_.id);
}

void DeviceExecutor::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace qtipd
