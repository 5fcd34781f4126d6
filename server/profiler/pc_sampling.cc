#include "server/profiler/pc_sampling.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "kernels/api/status.h"

namespace qtipd {
namespace {

// A sample of every SM each 2^n cycles: a replay of some ten milliseconds gives a million, and an
// instruction with a hundredth of them is known to one percent. At 2^7 they were 15 million on an
// H200, dropped some, and took CUPTI a second to decode.
constexpr uint32_t kPeriodExponent = 11;
constexpr size_t kScratchBytes = size_t{16} << 20;
constexpr size_t kHardwareBytes = size_t{64} << 20;
constexpr size_t kMostPcs = 8192;     // a GetData call at a time
constexpr size_t kMostReasons = 128;  // more than any chip has
constexpr int kMostReads = 1024;

// CUPTI's names are "smsp__pcsamp_warps_issue_stalled_wait" and the same with "_not_issued": the
// latter are a part of the former.
constexpr std::string_view kReasonPrefix = "smsp__pcsamp_warps_issue_stalled_";
constexpr std::string_view kNotIssued = "_not_issued";

constexpr std::string_view kBufferFull = "the device's buffer was full: later samples are missing";
constexpr std::string_view kReadLimit = "more than could be read: the rest is left out";

// Memory that CUPTI writes records into.
class RecordBuffer {
 public:
  RecordBuffer() : records_(kMostPcs), reasons_(kMostPcs * kMostReasons) { Reset(); }
  void Reset() {
    data_ = {};
    data_.size = sizeof(data_);
    data_.collect_pc_count = kMostPcs;
    data_.records = records_.data();
    for (size_t i = 0; i < records_.size(); ++i) {
      records_[i] = {};
      records_[i].size = sizeof(cupti::PcRecord);
      records_[i].stall_reasons = reasons_.data() + i * kMostReasons;
    }
  }
  cupti::PcData& data() { return data_; }

 private:
  std::vector<cupti::PcRecord> records_;
  std::vector<cupti::PcStallReason> reasons_;
  cupti::PcData data_;
};

class CuptiPcSampler final : public PcSampler {
 public:
  explicit CuptiPcSampler(const CuptiSession& session)
      : api_(session.api()), context_(session.device().context) {}
  ~CuptiPcSampler() override {
    if (!is_enabled_) return;
    auto params = Params<cupti::PcCall>();
    api_.pc_disable(&params);
  }

  // Enabling comes first: later CUPTI names no reasons before it.
  absl::Status Start() {
    QTIPD_RETURN_IF_ERROR(Run("cuptiPCSamplingEnable", api_.pc_enable));
    is_enabled_ = true;
    QTIPD_RETURN_IF_ERROR(ReadReasons());
    return Configure();
  }

  absl::StatusOr<PcSamples> Collect(const Replay& replay) override {
    QTIPD_RETURN_IF_ERROR(Run("cuptiPCSamplingStart", api_.pc_start));
    QTIPD_RETURN_IF_ERROR(replay());
    QTIPD_RETURN_IF_ERROR(Run("cuptiPCSamplingStop", api_.pc_stop));
    PcSamples samples;
    // The configured buffer may be filled already; then further reads take what is left.
    Take(buffer_.data(), samples);
    bool is_more = true;
    for (int i = 0; i < kMostReads && is_more; ++i) {
      buffer_.Reset();
      auto params = Params<cupti::PcGetData>();
      params.data = &buffer_.data();
      const cupti::Result result = api_.pc_get_data(&params);
      Take(buffer_.data(), samples);
      // CUPTI says so by this code, and by the flag that Take reads.
      if (result == cupti::kOutOfMemory) return Truncated(kBufferFull, std::move(samples));
      QTIPD_RETURN_IF_ERROR(CuptiStatus(api_, "cuptiPCSamplingGetData", result));
      is_more = buffer_.data().remaining_pc_count > 0;
    }
    if (is_more) return Truncated(kReadLimit, std::move(samples));
    return samples;
  }

 private:
  template <typename T>
  T Params() const {
    T params = cupti::Params<T>();
    params.context = context_;
    return params;
  }

  absl::Status Run(const char* name, const CuptiCall<cupti::PcCall>& call) {
    auto params = Params<cupti::PcCall>();
    return CuptiStatus(api_, name, call(&params));
  }

  absl::Status ReadReasons() {
    size_t count = 0;
    auto ask = Params<cupti::PcReasonCount>();
    ask.count = &count;
    QTIPD_RETURN_IF_ERROR(
        CuptiStatus(api_, "cuptiPCSamplingGetNumStallReasons", api_.pc_reason_count(&ask)));
    std::vector<uint32_t> indices(count);
    std::vector<std::vector<char>> texts(count, std::vector<char>(cupti::kPcReasonNameSize));
    std::vector<char*> names;
    for (auto& text : texts) names.push_back(text.data());
    auto fill = Params<cupti::PcReasonNames>();
    fill.count = count;
    fill.indices = indices.data();
    fill.names = names.data();
    QTIPD_RETURN_IF_ERROR(
        CuptiStatus(api_, "cuptiPCSamplingGetStallReasons", api_.pc_reason_names(&fill)));
    for (size_t i = 0; i < count; ++i) reasons_[indices[i]] = names[i];
    return absl::OkStatus();
  }

  absl::Status Configure() {
    std::vector<cupti::PcConfiguration> attributes;
    const auto add = [&](cupti::PcAttribute attribute) -> auto& {
      attributes.push_back({});
      attributes.back().attribute = attribute;
      return attributes.back().value;
    };
    add(cupti::PcAttribute::kCollectionMode).number = cupti::kPcModeContinuous;
    add(cupti::PcAttribute::kSamplingPeriod).number = kPeriodExponent;
    add(cupti::PcAttribute::kStartStopControl).number = 1;
    add(cupti::PcAttribute::kScratchBufferSize).bytes = kScratchBytes;
    add(cupti::PcAttribute::kHardwareBufferSize).bytes = kHardwareBytes;
    add(cupti::PcAttribute::kOutputFormat).number = cupti::kPcFormatParsed;
    add(cupti::PcAttribute::kDataBuffer).buffer = &buffer_.data();
    auto params = Params<cupti::PcSetConfiguration>();
    params.attribute_count = attributes.size();
    params.attributes = attributes.data();
    return CuptiStatus(api_, "cuptiPCSamplingSetConfigurationAttribute",
                       api_.pc_set_configuration(&params));
  }

  static PcSamples Truncated(std::string_view why, PcSamples samples) {
    samples.truncation = why;
    return samples;
  }

  void Take(const cupti::PcData& data, PcSamples& samples) {
    if (data.is_hardware_buffer_full != 0) samples.truncation = kBufferFull;
    samples.total_samples += data.total_samples;
    samples.dropped_samples += data.dropped_samples;
    samples.other_samples += data.non_user_samples;
    for (size_t i = 0; i < data.pc_count; ++i) {
      const cupti::PcRecord& record = data.records[i];
      SampledInstruction instruction;
      if (record.function_name != nullptr) instruction.function = record.function_name;
      instruction.offset = record.pc_offset;
      for (size_t r = 0; r < record.stall_reason_count; ++r) {
        const cupti::PcStallReason stall = record.stall_reasons[r];
        AddReason(reasons_[stall.reason_index], stall.samples, instruction);
      }
      samples.instructions.push_back(std::move(instruction));
    }
  }

  static void AddReason(std::string_view name, uint64_t count, SampledInstruction& instruction) {
    if (count == 0 || name.ends_with(kNotIssued)) return;
    if (name.starts_with(kReasonPrefix)) name.remove_prefix(kReasonPrefix.size());
    instruction.stall_samples[std::string(name)] += count;
  }

  const CuptiApi& api_;
  const cupti::Context context_;
  bool is_enabled_ = false;
  std::map<uint32_t, std::string> reasons_;
  RecordBuffer buffer_;
};

}  // namespace

std::string Demangle(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
  return status == 0 && text != nullptr ? text.get() : name;
}

absl::StatusOr<std::unique_ptr<PcSampler>> PcSampler::Enable(const CuptiSession& session) {
  auto sampler = std::make_unique<CuptiPcSampler>(session);
  QTIPD_RETURN_IF_ERROR(sampler->Start());
  return sampler;
}

std::vector<HotInstruction> HottestInstructions(const PcSamples& samples, size_t count) {
  std::map<std::pair<std::string, uint64_t>, HotInstruction> by_place;
  for (const SampledInstruction& sampled : samples.instructions) {
    HotInstruction& hot = by_place[{sampled.function, sampled.offset}];
    hot.function = sampled.function;
    hot.offset = sampled.offset;
    for (const auto& [reason, number] : sampled.stall_samples) {
      hot.stall_samples[reason] += number;
      hot.samples += number;
    }
  }
  std::vector<HotInstruction> hottest;
  for (auto& [place, hot] : by_place) {
    if (hot.samples > 0) hottest.push_back(std::move(hot));
  }
  std::stable_sort(hottest.begin(), hottest.end(),
                   [](const auto& a, const auto& b) { return a.samples > b.samples; });
  if (hottest.size() > count) hottest.resize(count);
  return hottest;
}

}  // namespace qtipd
