// The target half of CUPTI without a device, over the real host half where there is one.
#ifndef QTIPD_TESTS_SERVER_PROFILER_FAKE_TARGET_H_
#define QTIPD_TESTS_SERVER_PROFILER_FAKE_TARGET_H_

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/profiler/cupti_api.h"

namespace qtipd {

// What the fake does, and what it saw; calls are logged in order.
struct FakeTarget {
  int passes = 3;
  size_t dropped_ranges = 0;
  size_t ranges = 1;
  std::string chip = "GH100";
  cupti::Support is_supported = cupti::Support::kSupported;
  cupti::Support vgpu = cupti::Support::kSupported;
  cupti::Support architecture = cupti::Support::kSupported;
  // Call -> the result it gives instead of success: "range_enable" -> 35.
  std::map<std::string, cupti::Result> results;
  // Value of a metric; those that it does not know are 1.
  std::map<std::string, double> values;
  // PC sampling.
  std::vector<std::string> reasons = {"smsp__pcsamp_warps_issue_stalled_wait",
                                      "smsp__pcsamp_warps_issue_stalled_wait_not_issued"};
  struct Pc {
    std::string function;
    uint64_t offset;
    std::vector<cupti::PcStallReason> stalls;
  };
  std::vector<std::vector<Pc>> reads;  // what each GetData gives
  bool is_buffer_full = false;

  std::vector<std::string> calls;
  std::vector<uint8_t> host_availability;  // that the host was given
  int passes_done = 0;
  size_t reads_done = 0;

  cupti::Result Note(const std::string& call) {
    calls.push_back(call);
    const auto found = results.find(call);
    return found == results.end() ? cupti::kSuccess : found->second;
  }
  int CountOf(const std::string& call) const {
    return static_cast<int>(std::count(calls.begin(), calls.end(), call));
  }
};

inline void FillPcRead(FakeTarget& fake, cupti::PcData& data) {
  if (fake.reads_done == fake.reads.size()) return;
  data.is_hardware_buffer_full = fake.is_buffer_full ? 1 : 0;
  const auto& pcs = fake.reads[fake.reads_done++];
  data.remaining_pc_count = fake.reads.size() - fake.reads_done;
  data.pc_count = pcs.size();
  for (size_t i = 0; i < pcs.size(); ++i) {
    cupti::PcRecord& record = data.records[i];
    record.function_name = const_cast<char*>(pcs[i].function.c_str());
    record.pc_offset = pcs[i].offset;
    record.stall_reason_count = pcs[i].stalls.size();
    for (size_t r = 0; r < pcs[i].stalls.size(); ++r) {
      record.stall_reasons[r] = pcs[i].stalls[r];
      data.total_samples += pcs[i].stalls[r].samples;
    }
  }
}

// Replaces the target half of `api`; `fake` outlives it.
inline void InstallFakeTarget(FakeTarget& fake, CuptiApi& api) {
  constexpr size_t kImage = 4;
  api.profiler_initialize = [&](auto*) { return fake.Note("profiler_initialize"); };
  api.profiler_deinitialize = [&](auto*) { return fake.Note("profiler_deinitialize"); };
  api.device_supported = [&](cupti::DeviceSupported* p) {
    p->is_supported = fake.is_supported;
    p->vgpu = fake.vgpu;
    p->architecture = fake.architecture;
    return fake.Note("device_supported");
  };
  api.get_chip_name = [&](cupti::GetChipName* p) {
    p->chip_name = fake.chip.c_str();
    return fake.Note("get_chip_name");
  };
  api.get_counter_availability = [&](cupti::GetCounterAvailability* p) {
    if (p->image == nullptr) p->image_size = kImage;
    if (p->image != nullptr) std::memset(p->image, 7, p->image_size);
    return fake.Note("get_counter_availability");
  };
  api.range_enable = [&](cupti::RangeEnable* p) {
    p->profiler = reinterpret_cast<cupti::RangeProfilerObject*>(&fake);
    return fake.Note("range_enable");
  };
  api.range_disable = [&](auto*) { return fake.Note("range_disable"); };
  api.range_start = [&](auto*) { return fake.Note("range_start"); };
  api.range_push = [&](auto*) { return fake.Note("range_push"); };
  api.range_pop = [&](auto*) { return fake.Note("range_pop"); };
  api.range_stop = [&](cupti::RangeStop* p) {
    p->is_all_pass_submitted = ++fake.passes_done >= fake.passes ? 1 : 0;
    return fake.Note("range_stop");
  };
  api.range_set_config = [&](auto*) { return fake.Note("range_set_config"); };
  api.range_decode_data = [&](cupti::RangeDecodeData* p) {
    p->dropped_ranges = fake.dropped_ranges;
    return fake.Note("range_decode_data");
  };
  api.range_counter_data_size = [&](cupti::RangeCounterDataSize* p) {
    p->counter_data_size = kImage;
    return fake.Note("range_counter_data_size");
  };
  api.range_counter_data_initialize = [&](auto*) {
    return fake.Note("range_counter_data_initialize");
  };
  api.range_counter_data_info = [&](cupti::RangeCounterDataInfo* p) {
    p->range_count = fake.ranges;
    return fake.Note("range_counter_data_info");
  };
  // No image of a device that is not there can be evaluated, and no availability of one be read.
  api.evaluate_to_gpu_values = [&](cupti::EvaluateToGpuValues* p) {
    for (size_t i = 0; i < p->metric_count; ++i) {
      const auto found = fake.values.find(p->metric_names[i]);
      p->metric_values[i] = found == fake.values.end() ? 1 : found->second;
    }
    return fake.Note("evaluate");
  };
  api.host_initialize = [&fake, real = api.host_initialize](cupti::HostInitialize* p) {
    if (p->counter_availability_image != nullptr) {
      fake.host_availability.assign(p->counter_availability_image,
                                    p->counter_availability_image + kImage);
      p->counter_availability_image = nullptr;
    }
    return real ? real(p) : cupti::kSuccess;
  };

  api.pc_enable = [&](auto*) { return fake.Note("pc_enable"); };
  api.pc_disable = [&](auto*) { return fake.Note("pc_disable"); };
  api.pc_start = [&](auto*) { return fake.Note("pc_start"); };
  api.pc_stop = [&](auto*) { return fake.Note("pc_stop"); };
  api.pc_set_configuration = [&](auto*) { return fake.Note("pc_set_configuration"); };
  api.pc_reason_count = [&](cupti::PcReasonCount* p) {
    *p->count = fake.reasons.size();
    return fake.Note("pc_reason_count");
  };
  api.pc_reason_names = [&](cupti::PcReasonNames* p) {
    for (size_t i = 0; i < p->count; ++i) {
      p->indices[i] = static_cast<uint32_t>(i);
      std::strncpy(p->names[i], fake.reasons[i].c_str(), cupti::kPcReasonNameSize - 1);
    }
    return fake.Note("pc_reason_names");
  };
  api.pc_get_data = [&](cupti::PcGetData* p) {
    FillPcRead(fake, *static_cast<cupti::PcData*>(p->data));
    return fake.Note("pc_get_data");
  };
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_SERVER_PROFILER_FAKE_TARGET_H_
