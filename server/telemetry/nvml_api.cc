#include "server/telemetry/nvml_api.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <mutex>
#include <utility>

#include "kernels/api/error.h"
#include "server/telemetry/nvml_sources.h"

namespace qtipd {
namespace nvml {
namespace {

// "Not available" is all ones, in 32 or 64 bits.
template <typename T>
std::optional<uint64_t> Known(T value) {
  if (value == std::numeric_limits<T>::max()) return std::nullopt;
  return value;
}

class NvmlLibrary final : public Nvml {
 public:
  explicit NvmlLibrary(const std::function<void*(const char*)>& find) {
    const auto either = [&find](const char* symbol, const char* older) {
      void* found = find(symbol);
      return found != nullptr || older == nullptr ? found : find(older);
    };
    for (size_t i = 0; i < std::size(kSources); ++i) {
      calls_[i] = either(kSources[i].symbol, kSources[i].older);
    }
    for (size_t i = 0; i < std::size(kProcessCalls); ++i) {
      processes_[i] = Cast<ProcessesCall>(either(kProcessCalls[i].first, kProcessCalls[i].second));
    }
    init_ = Cast<InitCall>(either("nvmlInit_v2", "nvmlInit"));
    error_ = Cast<ErrorCall>(find("nvmlErrorString"));
    driver_version_ = Cast<TextCall>(find("nvmlSystemGetDriverVersion"));
    vbios_ = Cast<DeviceTextCall>(find("nvmlDeviceGetVbiosVersion"));
    by_uuid_ = Cast<FindCall>(find("nvmlDeviceGetHandleByUUID"));
    by_pci_ =
        Cast<FindCall>(either("nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetHandleByPciBusId"));
    parent_ = Cast<ParentCall>(find("nvmlDeviceGetDeviceHandleFromMigDeviceHandle"));
    fields_ = Cast<FieldCall>(find("nvmlDeviceGetFieldValues"));
    temperature_ = Cast<TemperatureCall>(find("nvmlDeviceGetTemperatureV"));
    utilization_ = Cast<UtilizationCall>(find("nvmlDeviceGetProcessUtilization"));
    lock_ = Cast<LockCall>(find("nvmlDeviceSetGpuLockedClocks"));
    reset_ = Cast<ResetCall>(find("nvmlDeviceResetGpuLockedClocks"));
  }

  absl::Status Initialize() {
    const NvmlReturn result = init_ == nullptr ? NvmlReturn::kFunctionNotFound : Code(init_());
    if (result == NvmlReturn::kSuccess) return absl::OkStatus();
    return MakeError(absl::StatusCode::kUnavailable, "NVML_UNAVAILABLE",
                     "libnvidia-ml.so.1: nvmlInit: " + ErrorText(result));
  }

  std::optional<std::string> DriverVersion() override {
    return Text(driver_version_ != nullptr,
                [this](char* text) { return driver_version_(text, kTextBytes); });
  }
  std::optional<std::string> VbiosVersion(NvmlDevice device) override {
    return Text(vbios_ != nullptr, [&](char* text) { return vbios_(device, text, kTextBytes); });
  }
  NvmlDevice FindByUuid(const std::string& uuid) override { return Find(by_uuid_, uuid); }
  NvmlDevice FindByPciBusId(const std::string& bus_id) override { return Find(by_pci_, bus_id); }

  NvmlDevice ParentOfMig(NvmlDevice instance) override {
    std::lock_guard lock(mutex_);
    NvmlDevice parent = nullptr;
    const bool is_found = parent_ != nullptr && parent_(instance, &parent) == 0;
    return is_found ? parent : nullptr;
  }

  std::optional<uint64_t> Read(NvmlDevice device, NvmlQuantity quantity) override {
    std::lock_guard lock(mutex_);
    if (quantity == kPowerMilliwatts) {
      if (const auto instant = ReadInstantPower(device)) return instant;
    } else if (quantity == kTemperatureCelsius) {
      if (const auto celsius = ReadTemperature(device)) return celsius;
    }
    return ReadFrom(kSources[static_cast<size_t>(quantity)], calls_[static_cast<size_t>(quantity)],
                    device);
  }

  std::optional<std::vector<NvmlProcess>> Processes(NvmlDevice device) override {
    std::lock_guard lock(mutex_);
    std::optional<std::vector<NvmlProcess>> all;
    for (ProcessesCall* call : processes_) {
      const auto some = call == nullptr ? std::nullopt : ReadProcesses(call, device);
      if (!some) continue;
      if (!all) all.emplace();
      for (const ProcessInfo& info : *some) Add(info, *all);
    }
    return all;
  }

  // No sample is "not found". A list that grows while it is read is asked for again, with room.
  std::optional<std::vector<NvmlProcessUse>> ProcessUse(NvmlDevice device,
                                                        uint64_t since_microseconds) override {
    std::lock_guard lock(mutex_);
    std::vector<ProcessUtilization> samples(32);
    for (int attempt = 0; utilization_ != nullptr && attempt < 4; ++attempt) {
      auto count = static_cast<uint32_t>(samples.size());
      const NvmlReturn result =
          Code(utilization_(device, samples.data(), &count, since_microseconds));
      if (result == NvmlReturn::kNotFound) return std::vector<NvmlProcessUse>();
      if (result == NvmlReturn::kSuccess) {
        samples.resize(std::min<size_t>(count, samples.size()));
        return Uses(samples, since_microseconds);
      }
      if (result != NvmlReturn::kInsufficientSize) return std::nullopt;
      samples.resize(std::max<size_t>(count, samples.size()) + 8);
    }
    return std::nullopt;
  }

  NvmlReturn SetGpuLockedClocks(NvmlDevice device, uint32_t low_mhz, uint32_t high_mhz) override {
    std::lock_guard lock(mutex_);
    return lock_ == nullptr ? NvmlReturn::kFunctionNotFound
                            : Code(lock_(device, low_mhz, high_mhz));
  }
  NvmlReturn ResetGpuLockedClocks(NvmlDevice device) override {
    std::lock_guard lock(mutex_);
    return reset_ == nullptr ? NvmlReturn::kFunctionNotFound : Code(reset_(device));
  }
  std::string ErrorText(NvmlReturn code) override {
    std::lock_guard lock(mutex_);
    const char* text = error_ == nullptr ? nullptr : error_(static_cast<int>(code));
    return text == nullptr ? "NVML error " + std::to_string(static_cast<int>(code)) : text;
  }

 private:
  template <typename Function>
  static Function* Cast(void* symbol) {
    return reinterpret_cast<Function*>(symbol);
  }
  static NvmlReturn Code(int result) { return static_cast<NvmlReturn>(result); }

  template <typename Call>
  std::optional<std::string> Text(bool has_call, const Call& call) {
    std::lock_guard lock(mutex_);
    char text[kTextBytes] = {};
    if (!has_call || call(text) != 0 || text[0] == '\0') return std::nullopt;
    return text;
  }

  NvmlDevice Find(FindCall* call, const std::string& name) {
    std::lock_guard lock(mutex_);
    NvmlDevice device = nullptr;
    const bool is_found = call != nullptr && !name.empty() && call(name.c_str(), &device) == 0;
    return is_found ? device : nullptr;
  }

  std::optional<uint64_t> ReadInstantPower(NvmlDevice device) {
    FieldValue field = {};
    field.field_id = kPowerInstant;
    const bool is_read = fields_ != nullptr && fields_(device, 1, &field) == 0 &&
                         field.result == 0 && field.value_type == kUnsignedInt;
    return is_read ? Known(field.value.u32) : std::nullopt;
  }

  std::optional<uint64_t> ReadTemperature(NvmlDevice device) {
    TemperatureV1 temperature;
    const bool is_read = temperature_ != nullptr && temperature_(device, &temperature) == 0 &&
                         temperature.celsius > 0;
    return is_read ? std::optional<uint64_t>(temperature.celsius) : std::nullopt;
  }

  static std::optional<uint64_t> ReadFrom(const Source& source, void* call, NvmlDevice device) {
    if (call == nullptr) return std::nullopt;
    uint32_t narrow = 0;
    uint32_t pending = 0;
    uint64_t wide = 0;
    int result = 0;
    switch (source.shape) {
      case Shape::kU32:
        result = Cast<U32Call>(call)(device, &narrow);
        break;
      case Shape::kU32Of:
        result = Cast<U32OfCall>(call)(device, source.argument, &narrow);
        break;
      case Shape::kPair:
        result = Cast<PairCall>(call)(device, &narrow, &pending);
        break;
      case Shape::kU64:
        result = Cast<U64Call>(call)(device, &wide);
        break;
      case Shape::kEcc:
        result = Cast<EccCall>(call)(device, source.argument, kVolatile, &wide);
        break;
    }
    if (result != 0) return std::nullopt;
    const bool is_wide = source.shape == Shape::kU64 || source.shape == Shape::kEcc;
    return is_wide ? Known(wide) : Known(narrow);
  }

  // A list that grows while it is read is asked for again, with room.
  static std::optional<std::vector<ProcessInfo>> ReadProcesses(ProcessesCall* call,
                                                               NvmlDevice device) {
    std::vector<ProcessInfo> processes(32);
    for (int attempt = 0; attempt < 4; ++attempt) {
      auto count = static_cast<uint32_t>(processes.size());
      const NvmlReturn result = Code(call(device, &count, processes.data()));
      if (result == NvmlReturn::kSuccess) {
        processes.resize(std::min<size_t>(count, processes.size()));
        return processes;
      }
      if (result != NvmlReturn::kInsufficientSize) return std::nullopt;
      processes.resize(std::max<size_t>(count, processes.size()) + 8);
    }
    return std::nullopt;
  }

  // Entries that no process fills are all zero; drivers have told shares above 100 % of a process
  // that had just begun.
  static std::vector<NvmlProcessUse> Uses(const std::vector<ProcessUtilization>& samples,
                                          uint64_t since_microseconds) {
    std::vector<NvmlProcessUse> uses;
    for (const ProcessUtilization& sample : samples) {
      if (sample.pid == 0 || sample.sm_percent > 100) continue;
      if (sample.microseconds <= since_microseconds) continue;
      uses.push_back({sample.pid, sample.sm_percent});
    }
    return uses;
  }

  static void Add(const ProcessInfo& info, std::vector<NvmlProcess>& all) {
    const bool is_known = std::any_of(all.begin(), all.end(),
                                      [&](const NvmlProcess& p) { return p.pid == info.pid; });
    if (!is_known) all.push_back({info.pid, Known(info.memory_bytes)});
  }

  std::mutex mutex_;  // around every call: NVML has had bugs of thread safety
  std::array<void*, std::size(kSources)> calls_ = {};
  std::array<ProcessesCall*, std::size(kProcessCalls)> processes_ = {};
  InitCall* init_;
  ErrorCall* error_;
  TextCall* driver_version_;
  DeviceTextCall* vbios_;
  FindCall* by_uuid_;
  FindCall* by_pci_;
  ParentCall* parent_;
  FieldCall* fields_;
  TemperatureCall* temperature_;
  LockCall* lock_;
  ResetCall* reset_;
  UtilizationCall* utilization_;
};

}  // namespace
}  // namespace nvml

std::string_view NvmlQuantityName(NvmlQuantity quantity) {
  return nvml::kSources[static_cast<size_t>(quantity)].name;
}

absl::StatusOr<std::shared_ptr<Nvml>> OpenNvmlWith(const std::function<void*(const char*)>& find) {
  auto library = std::make_shared<nvml::NvmlLibrary>(find);
  absl::Status initialized = library->Initialize();
  if (!initialized.ok()) return initialized;
  return std::shared_ptr<Nvml>(std::move(library));
}

absl::StatusOr<std::shared_ptr<Nvml>> OpenNvml() {
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
  if (library == nullptr) {
    const char* why = dlerror();
    return MakeError(absl::StatusCode::kUnavailable, "NVML_UNAVAILABLE",
                     why == nullptr ? "libnvidia-ml.so.1 cannot be opened" : why);
  }
  return OpenNvmlWith([library](const char* symbol) { return dlsym(library, symbol); });
}

}  // namespace qtipd
