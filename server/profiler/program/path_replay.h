// A path of an artefact, loaded in this process and ready to be run again and again.
#ifndef QTIPD_SERVER_PROFILER_PROGRAM_PATH_REPLAY_H_
#define QTIPD_SERVER_PROFILER_PROGRAM_PATH_REPLAY_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/backend.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/registry.h"
#include "server/profiler/profile_protocol.h"

namespace qtipd {

// How often a recording that takes `seconds` is repeated in a replay: on a synchronous device until
// every counter has had its turn, elsewhere until the device's start does not count.
int RepeatsOfReplay(double seconds, bool is_synchronous);

// Lives on one thread. A replay rotates over all copies of the weights, so that each finds the
// last-level cache as the one before left it and does the same work.
class PathReplay {
 public:
  // Opens the task's device and reads, checks and loads its artefact; runs the path once, so that
  // every kernel is loaded, and records it. Errors: BACKEND_UNAVAILABLE, ARTIFACT_FILE_DAMAGED,
  // PATH_UNKNOWN, STEP_UNKNOWN, DEVICE_MEMORY_EXHAUSTED, the path's own.
  static absl::StatusOr<std::unique_ptr<PathReplay>> Open(const ProfileTask& task);

  // One replay: what a benchmark would time, and nothing beside it. Waits for its end.
  absl::Status Run();
  // Runs of the path in a replay.
  int64_t runs() const { return int64_t{recorded_runs_} * repeats_; }
  const Device& device() const { return *device_; }

 private:
  PathReplay() = default;
  absl::Status OpenDevice(const ProfileTask& task);
  absl::Status Prepare(const ProfileTask& task);
  absl::Status ChooseSteps(const ProfileTask& task);
  absl::Status EnqueueRuns();
  // Replays once, so that everything is loaded and its time is known.
  absl::Status ChooseRepeats();

  // In the order of need: what is below uses what is above.
  Registry registry_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<ResidentWeights> weights_;
  Buffer x_;
  Buffer y_;
  std::unique_ptr<PreparedPath> path_;
  std::unique_ptr<Recording> recording_;
  int first_step_ = 0;
  int end_step_ = 0;
  int recorded_runs_ = 1;
  int repeats_ = 1;  // of the recording in a replay
  int64_t next_run_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_PROGRAM_PATH_REPLAY_H_
