#include "server/engine/profile/catalogue_desk.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr std::chrono::milliseconds kPoll(50);
constexpr double kDeviceWaitSeconds = 30;

absl::Status Busy(const std::string& why) {
  return MakeError(absl::StatusCode::kResourceExhausted, "CATALOGUE_BUSY", why);
}

// Shared by the thread that asks and the device's, which may come to it when nobody waits any more.
struct Question {
  std::atomic<bool> is_begun{false};
  std::atomic<bool> is_abandoned{false};
  std::promise<absl::StatusOr<MetricCatalogue>> answer;
};

}  // namespace

absl::StatusOr<MetricCatalogue> CatalogueDesk::Ask(ProfileCollector& collector, CatalogueTask task,
                                                   DeviceExecutor* executor,
                                                   const std::function<bool()>& is_cancelled) {
  const std::unique_lock asking(asking_, std::try_to_lock);
  if (!asking) {
    return Busy("another question for a chip's metrics is being answered; try again later");
  }
  task.device = executor == nullptr ? "" : executor->id();
  if (executor == nullptr) return collector.ReadCatalogue(task, is_cancelled);
  task.chip = ChipOf(executor->id());
  if (!task.chip.empty()) return collector.ReadCatalogue(task, is_cancelled);
  absl::StatusOr<MetricCatalogue> answer = AskDevice(collector, task, *executor, is_cancelled);
  if (answer.ok()) Learn(executor->info(), answer->chip);
  return answer;
}

absl::StatusOr<MetricCatalogue> CatalogueDesk::AskDevice(
    ProfileCollector& collector, const CatalogueTask& task, DeviceExecutor& executor,
    const std::function<bool()>& is_cancelled) {
  const auto question = std::make_shared<Question>();
  std::future<absl::StatusOr<MetricCatalogue>> answer = question->answer.get_future();
  QTIPD_RETURN_IF_ERROR(executor.Enqueue([question, &collector, task](DeviceLease& lease) {
    question->is_begun = true;
    if (question->is_abandoned) return;
    question->answer.set_value(
        lease.health.ok()
            ? collector.ReadCatalogue(task, [question] { return question->is_abandoned.load(); })
            : absl::StatusOr<MetricCatalogue>(lease.health));
  }));
  const double begin = clock_.MonotonicSeconds();
  while (answer.wait_for(kPoll) != std::future_status::ready) {
    const bool is_too_late =
        !question->is_begun && clock_.MonotonicSeconds() - begin > kDeviceWaitSeconds;
    if (!is_too_late && !(is_cancelled && is_cancelled())) continue;
    question->is_abandoned = true;
    if (is_too_late) {
      return Busy("device " + executor.id() +
                  " is at work, and its chip is not known yet; try again later, or name the chip");
    }
    return MakeError(absl::StatusCode::kCancelled, "CANCELLED",
                     "cancelled while asking for a device's metrics");
  }
  return answer.get();
}

std::string CatalogueDesk::ChipOf(const std::string& device) {
  std::lock_guard lock(chips_mutex_);
  const auto found = chips_.find(device);
  return found == chips_.end() ? "" : found->second;
}

void CatalogueDesk::Learn(const DeviceInfo& info, const std::string& chip) {
  if (info.backend == "cpu") return;
  std::lock_guard lock(chips_mutex_);
  chips_[info.id] = chip;
}

}  // namespace qtipd
