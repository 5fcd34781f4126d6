#include "server/profiler/program/path_replay.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/api/builtin.h"
#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "kernels/api/status.h"
#include "kernels/cpu/cpu_backend.h"
#include "server/engine/store/artifact_file.h"
#include "server/profiler/driver_api.h"

namespace qtipd {
namespace {

// On the CPU, where a recording is a list of calls.
constexpr int kRunsOnCpu = 16;
// Counters that share the hardware take turns of some milliseconds: every one of them needs
// several.
constexpr double kShortestSecondsOnCpu = 0.1;
constexpr int kMostRepeatsOnCpu = 100000;
// Elsewhere a replay is a recording, enqueued several times. The device idles until the host has
// queued the first, and counters see that: 3.5 % of the fused path's time at 4096x4096 on an H200
// with 13 of 80 runs. A recording that takes long by itself needs fewer.
constexpr int kMinRecordedRuns = 64;
constexpr int kMostRepeats = 16;
constexpr double kLongReplaySeconds = 0.04;

int RoundUp(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

// The activations that a benchmark of the same seed uses.
std::vector<std::byte> MakeActivations(const ProfileTask& task, int64_t in_features, DType dtype) {
  std::vector<float> values(static_cast<size_t>(task.batch * in_features));
  FillNormal(task.seed, RandomStream::kActivations, 0, values);
  return EncodeFloats(values, dtype);
}

std::string Join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

int RepeatsOfReplay(double seconds, bool is_synchronous) {
  const double wanted = is_synchronous ? kShortestSecondsOnCpu : kLongReplaySeconds;
  const int most = is_synchronous ? kMostRepeatsOnCpu : kMostRepeats;
  if (seconds * most <= wanted) return most;
  return static_cast<int>(std::ceil(wanted / seconds));
}

absl::StatusOr<std::unique_ptr<PathReplay>> PathReplay::Open(const ProfileTask& task) {
  std::unique_ptr<PathReplay> replay(new PathReplay());
  QTIPD_RETURN_IF_ERROR(replay->OpenDevice(task));
  QTIPD_RETURN_IF_ERROR(replay->Prepare(task));
  QTIPD_RETURN_IF_ERROR(replay->ChooseSteps(task));
  QTIPD_ASSIGN_OR_RETURN(replay->recording_, replay->device_->Record([self = replay.get()] {
    return self->EnqueueRuns();
  }));
  QTIPD_RETURN_IF_ERROR(replay->ChooseRepeats());
  return replay;
}

absl::Status PathReplay::ChooseRepeats() {
  QTIPD_ASSIGN_OR_RETURN(const ReplayTiming once, recording_->Replay());
  repeats_ = RepeatsOfReplay(once.seconds, device_->info().is_synchronous);
  return absl::OkStatus();
}

absl::Status PathReplay::OpenDevice(const ProfileTask& task) {
  RegisterBuiltinFormats(registry_);
  RegisterBuiltinPaths(registry_);
  int index = 0;
  if (task.device == "cpu") {
    backend_ = MakeCpuBackend();
  } else {
    QTIPD_ASSIGN_OR_RETURN(index, CudaIndex(task.device));
    QTIPD_ASSIGN_OR_RETURN(backend_, OpenBackendModule(task.cuda_module));
  }
  backend_->Register(registry_);
  QTIPD_ASSIGN_OR_RETURN(device_, backend_->OpenDevice(index));
  return absl::OkStatus();
}

absl::Status PathReplay::Prepare(const ProfileTask& task) {
  const std::filesystem::path file(task.artifact_path);
  QTIPD_ASSIGN_OR_RETURN(const PackedLayer layer,
                         ReadArtifactFile(file.parent_path(), file.stem(), registry_));
  QTIPD_ASSIGN_OR_RETURN(const InferencePath* path, registry_.FindPath(task.path));
  const DeviceInfo& info = device_->info();
  QTIPD_ASSIGN_OR_RETURN(const FormatBackend* format,
                         registry_.FindBackend(layer.format, info.backend));
  QTIPD_ASSIGN_OR_RETURN(weights_, format->Load(*device_, layer));
  QTIPD_ASSIGN_OR_RETURN(const DType activations, ActivationDType(info, task.activation_dtype));
  const std::vector<std::byte> x = MakeActivations(task, layer.shape.in_features, activations);
  QTIPD_ASSIGN_OR_RETURN(x_, device_->Allocate(x.size()));
  QTIPD_RETURN_IF_ERROR(device_->CopyToDevice(x_.data(), x.data(), x.size()));
  QTIPD_ASSIGN_OR_RETURN(
      y_, device_->Allocate(static_cast<size_t>(task.batch * layer.shape.out_features) *
                            DTypeSize(activations)));
  QTIPD_ASSIGN_OR_RETURN(
      path_,
      path->Prepare(*device_, *weights_,
                    {.batch = task.batch, .copies = task.copies, .activations = activations}));
  recorded_runs_ = info.is_synchronous ? kRunsOnCpu : RoundUp(kMinRecordedRuns, path_->copies());
  return absl::OkStatus();
}

absl::Status PathReplay::ChooseSteps(const ProfileTask& task) {
  const std::vector<std::string>& steps = path_->steps();
  end_step_ = static_cast<int>(steps.size());
  // All steps once: what a later step reads must exist.
  QTIPD_RETURN_IF_ERROR(path_->Run(0, x_.data(), y_.data(), 0, end_step_));
  QTIPD_RETURN_IF_ERROR(device_->Synchronize());
  if (task.step.empty()) return absl::OkStatus();
  const auto found = std::find(steps.begin(), steps.end(), task.step);
  if (found == steps.end()) {
    return InvalidField("STEP_UNKNOWN", "step", task.step, Join(steps) + " of path " + task.path);
  }
  first_step_ = static_cast<int>(found - steps.begin());
  end_step_ = first_step_ + 1;
  return absl::OkStatus();
}

absl::Status PathReplay::EnqueueRuns() {
  for (int i = 0; i < recorded_runs_; ++i, ++next_run_) {
    const int copy = static_cast<int>(next_run_ % path_->copies());
    QTIPD_RETURN_IF_ERROR(path_->Run(copy, x_.data(), y_.data(), first_step_, end_step_));
  }
  return absl::OkStatus();
}

absl::Status PathReplay::Run() {
  for (int i = 0; i < repeats_; ++i) QTIPD_RETURN_IF_ERROR(recording_->Enqueue());
  return device_->Synchronize();
}

}  // namespace qtipd
