// An NVML of one GPU, whose values a test sets.
#ifndef QTIPD_TESTS_FAKES_FAKE_NVML_H_
#define QTIPD_TESTS_FAKES_FAKE_NVML_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/telemetry/nvml_api.h"

namespace qtipd {

class FakeNvml final : public Nvml {
 public:
  // ---- what a test sets; what is not set is not told -------------------------------------------
  std::string uuid = "GPU-1";
  std::string mig_uuid;  // of its only instance
  std::string bus_id = "0000:18:00.0";
  std::optional<std::string> driver_version = "580.1";
  std::map<NvmlQuantity, uint64_t> values;
  std::optional<std::vector<NvmlProcess>> processes = std::vector<NvmlProcess>();
  std::optional<std::vector<NvmlProcessUse>> uses;
  std::optional<std::vector<NvmlProcess>> mig_processes;
  NvmlReturn lock_result = NvmlReturn::kSuccess;
  NvmlReturn reset_result = NvmlReturn::kSuccess;

  // ---- what a test asks -------------------------------------------------------------------------
  std::optional<std::pair<uint32_t, uint32_t>> locked_mhz;
  int resets = 0;
  std::map<NvmlQuantity, int> reads;
  int process_reads = 0;
  uint64_t uses_since = 0;  // of the last ProcessUse, in microseconds

  // ---- Nvml -------------------------------------------------------------------------------------
  std::optional<std::string> DriverVersion() override { return driver_version; }
  NvmlDevice FindByUuid(const std::string& wanted) override {
    if (wanted.empty()) return nullptr;
    if (wanted == uuid) return gpu();
    return wanted == mig_uuid ? instance() : nullptr;
  }
  NvmlDevice FindByPciBusId(const std::string& wanted) override {
    return wanted == bus_id ? gpu() : nullptr;
  }
  NvmlDevice ParentOfMig(NvmlDevice device) override {
    return device == instance() ? gpu() : nullptr;
  }
  std::optional<std::string> VbiosVersion(NvmlDevice) override { return std::nullopt; }
  std::optional<uint64_t> Read(NvmlDevice device, NvmlQuantity quantity) override {
    ++reads[quantity];
    const auto found = values.find(quantity);
    if (device != gpu() || found == values.end()) return std::nullopt;
    return found->second;
  }
  std::optional<std::vector<NvmlProcess>> Processes(NvmlDevice device) override {
    ++process_reads;
    return device == gpu() ? processes : mig_processes;
  }
  std::optional<std::vector<NvmlProcessUse>> ProcessUse(NvmlDevice,
                                                        uint64_t since_microseconds) override {
    uses_since = since_microseconds;
    return uses;
  }
  NvmlReturn SetGpuLockedClocks(NvmlDevice, uint32_t low, uint32_t high) override {
    if (lock_result == NvmlReturn::kSuccess) locked_mhz = {low, high};
    return lock_result;
  }
  NvmlReturn ResetGpuLockedClocks(NvmlDevice) override {
    ++resets;
    if (reset_result == NvmlReturn::kSuccess) locked_mhz.reset();
    return reset_result;
  }
  std::string ErrorText(NvmlReturn code) override {
    return "code " + std::to_string(static_cast<int>(code));
  }

 private:
  NvmlDevice gpu() { return reinterpret_cast<NvmlDevice>(&marks_[0]); }
  NvmlDevice instance() { return reinterpret_cast<NvmlDevice>(&marks_[1]); }
  char marks_[2] = {};
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_NVML_H_
