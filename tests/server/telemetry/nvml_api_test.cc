// The real loader over C functions of this file: the ABI, sentinels, missing and older symbols.
#include "server/telemetry/nvml_api.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

using enum NvmlQuantity;

constexpr int kNotSupported = 3;

// ---- A library in C. `result` is what every call returns. ---------------------------------------

int result = 0;
uint32_t narrow = 0;
uint64_t wide = 0;
int argument = -1;
uint32_t listed_processes = 0;
char device_mark;

int Init() { return result; }
int NoDriver() { return 9; }
const char* ErrorString(int code) { return code == 9 ? "Driver Not Loaded" : "?"; }
int DriverVersion(char* text, unsigned bytes) {
  std::strncpy(text, "580.95", bytes);
  return result;
}
int ByName(const char* name, void** device) {
  *device = &device_mark;
  return std::strcmp(name, "GPU-1") == 0 ? 0 : 6;
}
int U32(void*, uint32_t* value) {
  *value = narrow;
  return result;
}
int U32Of(void*, int of, uint32_t* value) {
  argument = of;
  *value = narrow;
  return result;
}
int U64(void*, uint64_t* value) {
  *value = wide;
  return result;
}
int Pair(void*, uint32_t* current, uint32_t* pending) {
  *current = narrow;
  *pending = 77;
  return result;
}
int Ecc(void*, int kind, int counter, uint64_t* value) {
  argument = kind * 10 + counter;
  *value = wide;
  return result;
}

// nvmlFieldValue_t, as bytes that a C program would lay out.
struct Field {
  unsigned id, scope;
  long long timestamp, latency;
  int type, status;
  union {
    unsigned u32;
    unsigned long long u64;
  };
};
int field_status = 0;
int Fields(void*, int count, Field* field) {
  if (count != 1 || field->id != 186) return 2;
  field->status = field_status;
  field->type = 1;
  field->u32 = 98'765;
  return 0;
}

struct TemperatureInfo {
  unsigned version;
  int sensor, celsius;
};
int TemperatureV(void*, TemperatureInfo* info) {
  if (info->version != (12u | 1u << 24) || info->sensor != 0) return 25;
  info->celsius = 41;
  return 0;
}

struct Process {
  unsigned pid;
  unsigned long long bytes;
  unsigned gpu_instance, compute_instance;
};
int Processes(void*, unsigned* count, Process* processes) {
  const unsigned room = *count;
  *count = listed_processes;
  if (room < listed_processes) return 7;
  for (unsigned i = 0; i < listed_processes; ++i) {
    processes[i] = {100 + i, i == 0 ? ~0ull : 1ull << 20, ~0u, ~0u};
  }
  return result;
}
struct Utilization {
  unsigned pid;
  unsigned long long timestamp;
  unsigned sm, memory, encoder, decoder;
};
int Utilizations(void*, Utilization* samples, unsigned* count, unsigned long long since) {
  const unsigned room = *count;
  *count = listed_processes;
  if (listed_processes == 0) return 6;
  if (room < listed_processes) return 7;
  for (unsigned i = 0; i < listed_processes; ++i) samples[i] = {100 + i, since + i, i, 0, 0, 0};
  return result;
}
int Lock(void*, unsigned low, unsigned high) {
  narrow = low * 10000 + high;
  return result;
}

class NvmlApi : public testing::Test {
 protected:
  NvmlApi() {
    result = 0, narrow = 0, wide = 0, argument = -1, listed_processes = 0, field_status = 0;
    Add("nvmlInit_v2", Init);
  }
  template <typename Function>
  void Add(const char* symbol, Function* function) {
    symbols_[symbol] = reinterpret_cast<void*>(function);
  }
  std::shared_ptr<Nvml> Open() {
    auto nvml = OpenNvmlWith([this](const char* symbol) -> void* {
      const auto found = symbols_.find(symbol);
      return found == symbols_.end() ? nullptr : found->second;
    });
    EXPECT_TRUE(nvml.ok()) << nvml.status();
    return *nvml;
  }
  std::optional<uint64_t> Read(NvmlQuantity quantity) { return Open()->Read(nullptr, quantity); }

  std::map<std::string, void*> symbols_;
};

TEST_F(NvmlApi, SaysWhyItCannotStart) {
  Add("nvmlInit_v2", NoDriver);
  Add("nvmlErrorString", ErrorString);
  const auto nvml = OpenNvmlWith([this](const char* symbol) -> void* {
    return symbols_.contains(symbol) ? symbols_.at(symbol) : nullptr;
  });
  EXPECT_EQ(GetErrorInfo(nvml.status()).reason, "NVML_UNAVAILABLE");
  EXPECT_NE(nvml.status().message().find("Driver Not Loaded"), std::string::npos);
  const auto nothing = OpenNvmlWith([](const char*) { return nullptr; });
  EXPECT_EQ(GetErrorInfo(nothing.status()).reason, "NVML_UNAVAILABLE");
}

TEST_F(NvmlApi, AMissingSymbolIsAMissingCapability) {
  const auto nvml = Open();
  for (int i = 0; i < static_cast<int>(kCount); ++i) {
    EXPECT_FALSE(nvml->Read(nullptr, static_cast<NvmlQuantity>(i)));
  }
  EXPECT_FALSE(nvml->DriverVersion());
  EXPECT_FALSE(nvml->VbiosVersion(nullptr));
  EXPECT_FALSE(nvml->Processes(nullptr));
  EXPECT_EQ(nvml->FindByUuid("GPU-1"), nullptr);
  EXPECT_EQ(nvml->ParentOfMig(nullptr), nullptr);
  EXPECT_EQ(nvml->SetGpuLockedClocks(nullptr, 1, 2), NvmlReturn::kFunctionNotFound);
  EXPECT_EQ(nvml->ResetGpuLockedClocks(nullptr), NvmlReturn::kFunctionNotFound);
  EXPECT_EQ(nvml->ErrorText(NvmlReturn::kNotFound), "NVML error 6");
}

TEST_F(NvmlApi, PassesWhichClockItWants) {
  Add("nvmlDeviceGetClockInfo", U32Of);
  narrow = 1980;
  EXPECT_EQ(Read(kSmClockMhz), 1980u);
  EXPECT_EQ(argument, 1);
  EXPECT_EQ(Read(kMemoryClockMhz), 1980u);
  EXPECT_EQ(argument, 2);
}

TEST_F(NvmlApi, NotSupportedIsAbsent) {
  Add("nvmlDeviceGetClockInfo", U32Of);
  Add("nvmlDeviceGetMigMode", Pair);
  Add("nvmlDeviceGetTotalEnergyConsumption", U64);
  result = 0;
  const auto nvml = Open();
  result = kNotSupported;
  for (const NvmlQuantity quantity : {kSmClockMhz, kMigMode, kEnergyMillijoules}) {
    EXPECT_FALSE(nvml->Read(nullptr, quantity));
  }
}

TEST_F(NvmlApi, SentinelsAreAbsent) {
  Add("nvmlDeviceGetPowerUsage", U32);
  Add("nvmlDeviceGetTotalEnergyConsumption", U64);
  Add("nvmlDeviceGetTotalEccErrors", Ecc);
  narrow = ~0u, wide = ~0ull;
  EXPECT_FALSE(Read(kPowerMilliwatts));
  EXPECT_FALSE(Read(kEnergyMillijoules));
  EXPECT_FALSE(Read(kEccUncorrected));
  wide = ~0u;  // no sentinel of a counter of 64 bits
  EXPECT_EQ(Read(kEnergyMillijoules), uint64_t{~0u});
}

TEST_F(NvmlApi, ReadsTheCurrentModeAndNotThePendingOne) {
  Add("nvmlDeviceGetMigMode", Pair);
  narrow = 1;
  EXPECT_EQ(Read(kMigMode), 1u);
}

TEST_F(NvmlApi, CountsEccErrorsSinceTheDriverWasLoaded) {
  Add("nvmlDeviceGetTotalEccErrors", Ecc);
  wide = 5;
  EXPECT_EQ(Read(kEccCorrected), 5u);
  EXPECT_EQ(argument, 0);
  EXPECT_EQ(Read(kEccUncorrected), 5u);
  EXPECT_EQ(argument, 10);
}

TEST_F(NvmlApi, PrefersPowerOfThisInstant) {
  Add("nvmlDeviceGetPowerUsage", U32);
  narrow = 50'000;
  EXPECT_EQ(Read(kPowerMilliwatts), 50'000u);
  Add("nvmlDeviceGetFieldValues", Fields);
  EXPECT_EQ(Read(kPowerMilliwatts), 98'765u);
  field_status = kNotSupported;
  EXPECT_EQ(Read(kPowerMilliwatts), 50'000u);
}

TEST_F(NvmlApi, PrefersTheVersionedTemperature) {
  Add("nvmlDeviceGetTemperature", U32Of);
  narrow = 39;
  EXPECT_EQ(Read(kTemperatureCelsius), 39u);
  Add("nvmlDeviceGetTemperatureV", TemperatureV);
  EXPECT_EQ(Read(kTemperatureCelsius), 41u);
}

TEST_F(NvmlApi, FallsBackToOlderSymbols) {
  Add("nvmlDeviceGetCurrentClocksThrottleReasons", U64);
  wide = 0x20;
  EXPECT_EQ(Read(kClockEventReasons), 0x20u);
  Add("nvmlDeviceGetComputeRunningProcesses_v2", Processes);
  listed_processes = 1;
  EXPECT_EQ(Open()->Processes(nullptr)->size(), 1u);
}

TEST_F(NvmlApi, ListsEveryProcessOnceHoweverManyThereAre) {
  Add("nvmlDeviceGetComputeRunningProcesses_v3", Processes);
  Add("nvmlDeviceGetGraphicsRunningProcesses_v3", Processes);
  listed_processes = 100;
  const auto processes = Open()->Processes(nullptr);
  ASSERT_TRUE(processes);
  ASSERT_EQ(processes->size(), 100u);
  EXPECT_EQ((*processes)[0].pid, 100u);
  EXPECT_FALSE((*processes)[0].memory_bytes);
  EXPECT_EQ((*processes)[99].memory_bytes, uint64_t{1} << 20);
}

TEST_F(NvmlApi, TellsWhatProcessesRanSinceATime) {
  EXPECT_FALSE(Open()->ProcessUse(nullptr, 0));
  Add("nvmlDeviceGetProcessUtilization", Utilizations);
  const auto nvml = Open();
  const auto none = nvml->ProcessUse(nullptr, 5);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
  listed_processes = 3;
  const auto uses = nvml->ProcessUse(nullptr, 5);
  ASSERT_TRUE(uses);
  ASSERT_EQ(uses->size(), 2u);  // the first is no younger than asked for
  EXPECT_EQ((*uses)[1].pid, 102u);
  EXPECT_EQ((*uses)[1].sm_percent, 2u);
  listed_processes = 150;
  EXPECT_EQ(nvml->ProcessUse(nullptr, 5)->size(), 100u);  // above 100 % is no share
  result = kNotSupported;
  EXPECT_FALSE(nvml->ProcessUse(nullptr, 5));
}

TEST_F(NvmlApi, FindsDevicesAndReadsTexts) {
  Add("nvmlDeviceGetHandleByUUID", ByName);
  Add("nvmlSystemGetDriverVersion", DriverVersion);
  const auto nvml = Open();
  EXPECT_NE(nvml->FindByUuid("GPU-1"), nullptr);
  EXPECT_EQ(nvml->FindByUuid("GPU-2"), nullptr);
  EXPECT_EQ(nvml->FindByUuid(""), nullptr);
  EXPECT_EQ(nvml->DriverVersion(), "580.95");
}

TEST_F(NvmlApi, LocksBetweenTwoClocks) {
  Add("nvmlDeviceSetGpuLockedClocks", Lock);
  EXPECT_EQ(Open()->SetGpuLockedClocks(nullptr, 1200, 1980), NvmlReturn::kSuccess);
  EXPECT_EQ(narrow, 12001980u);
}

TEST(NvmlQuantities, HaveNamesOfTheirOwn) {
  EXPECT_EQ(NvmlQuantityName(kSmClockMhz), "sm_clock_mhz");
  EXPECT_EQ(NvmlQuantityName(kPcieWidthMaximum), "pcie_width_maximum");
}

}  // namespace
}  // namespace qtipd
