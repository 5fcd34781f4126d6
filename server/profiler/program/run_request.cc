#include "server/profiler/program/run_request.h"

#include <chrono>
#include <filesystem>
#include <memory>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/profiler/cupti_api.h"
#include "server/profiler/cupti_profile.h"
#include "server/profiler/disassembly.h"
#include "server/profiler/driver_api.h"
#include "server/profiler/pc_sampling.h"
#include "server/profiler/perf_profile.h"
#include "server/profiler/program/path_replay.h"
#include "server/profiler/range_profiler.h"

namespace qtipd {
namespace {

constexpr char kCpu[] = "cpu";
constexpr char kModule[] = "libqtipd_cuda.so";

std::string BesideProgram(const char* name) {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / name;
}

using SteadyClock = std::chrono::steady_clock;

std::string SecondsSince(SteadyClock::time_point begin) {
  return std::to_string(std::chrono::duration<double>(SteadyClock::now() - begin).count());
}

void NameInstructions(const std::string& library, ProfileData& data) {
  if (data.hot_instructions.empty()) return;
  const auto begin = SteadyClock::now();
  const std::string missing = Disassemble(FindCuobjdump(), library, data.hot_instructions);
  if (!missing.empty()) data.notes["instructions_without_text"] = missing;
  for (HotInstruction& hot : data.hot_instructions) hot.function = Demangle(hot.function);
  data.notes["disassembly_seconds"] = SecondsSince(begin);
}

absl::StatusOr<ProfileData> ProfileCuda(ProfileTask task) {
  if (task.cuda_module.empty()) task.cuda_module = BesideProgram(kModule);
  QTIPD_ASSIGN_OR_RETURN(const CuptiApi api, OpenCupti());
  QTIPD_ASSIGN_OR_RETURN(const int index, CudaIndex(task.device));
  QTIPD_ASSIGN_OR_RETURN(const DriverDevice device, OpenDriverDevice(index));
  std::unique_ptr<PathReplay> path;
  const auto prepare = [&]() -> absl::StatusOr<Replay> {
    QTIPD_ASSIGN_OR_RETURN(path, PathReplay::Open(task));
    return Replay([&path] { return path->Run(); });
  };
  QTIPD_ASSIGN_OR_RETURN(ProfileData data, ProfileWithCupti(api, device, task, prepare));
  data.runs = path->runs();
  NameInstructions(task.cuda_module, data);
  return data;
}

absl::StatusOr<ProfileData> ProfileCpu(const ProfileTask& task) {
  QTIPD_ASSIGN_OR_RETURN(const auto replay, PathReplay::Open(task));
  QTIPD_ASSIGN_OR_RETURN(ProfileData data, ProfileWithPerfEvents(SystemPerfApi(), task,
                                                                 [&] { return replay->Run(); }));
  data.runs = replay->runs();
  return data;
}

// The chip of a device, without loading anything onto it.
absl::StatusOr<std::string> ChipOf(const CuptiApi& api, const std::string& device) {
  QTIPD_ASSIGN_OR_RETURN(const int index, CudaIndex(device));
  QTIPD_ASSIGN_OR_RETURN(const DriverDevice opened, OpenDriverDevice(index));
  QTIPD_ASSIGN_OR_RETURN(const auto session, CuptiSession::Open(api, opened));
  return session->ChipName();
}

}  // namespace

absl::StatusOr<ProfileData> RunProfileTask(const ProfileTask& task) {
  const auto begin = SteadyClock::now();
  absl::StatusOr<ProfileData> data = task.device == kCpu ? ProfileCpu(task) : ProfileCuda(task);
  if (data.ok()) data->notes["helper_seconds"] = SecondsSince(begin);
  return data;
}

absl::StatusOr<MetricCatalogue> RunCatalogueTask(const CatalogueTask& task) {
  if (task.chip.empty() && task.device == kCpu) return ReadPerfCatalogue(SystemPerfApi(), task);
  QTIPD_ASSIGN_OR_RETURN(const CuptiApi api, OpenCupti());
  std::string chip = task.chip;
  if (chip.empty()) {
    QTIPD_ASSIGN_OR_RETURN(chip, ChipOf(api, task.device));
  }
  return ReadCuptiCatalogue(api, chip, task);
}

std::string AnswerRequest(const std::string& json) {
  const absl::StatusOr<HelperRequest> request = ParseRequest(json);
  if (!request.ok()) return ProfileAnswer(request.status());
  if (request->profile) return ProfileAnswer(RunProfileTask(*request->profile));
  return CatalogueAnswer(RunCatalogueTask(*request->catalogue));
}

}  // namespace qtipd
