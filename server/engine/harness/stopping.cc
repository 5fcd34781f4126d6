#include "server/engine/harness/stopping.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/stopping_criterion.h"

namespace qtipd {
namespace {

constexpr const CriterionEntry* kCriteria[] = {&kCiWidthCriterion, &kStdrelCriterion,
                                               &kEntropyCriterion, &kSampleCountCriterion};

constexpr int64_t kMostSamples = 1'000'000;
constexpr double kMostSeconds = 3600;

const CriterionEntry* Find(std::string_view name) {
  for (const CriterionEntry* entry : kCriteria) {
    if (entry->name == name) return entry;
  }
  return nullptr;
}

const CriterionParameter* FindParameter(const CriterionEntry& criterion, std::string_view name) {
  for (const CriterionParameter& parameter : criterion.parameters) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

// "a, b, c"
template <typename List, typename NameOf>
std::string Names(const List& list, const NameOf& name_of) {
  std::string names;
  for (const auto& item : list) {
    if (!names.empty()) names += ", ";
    names += name_of(item);
  }
  return names;
}

absl::Status Invalid(const std::string& field, const std::string& got, const std::string& allowed) {
  return InvalidField("STOPPING_RULE_INVALID", field, got, allowed);
}

int64_t MaxSamples(const BenchmarkSpec& spec, const CriterionEntry& criterion) {
  return spec.max_samples == 0 ? criterion.max_samples : spec.max_samples;
}

int64_t MinSamples(const BenchmarkSpec& spec, const CriterionEntry& criterion) {
  if (spec.min_samples != 0) return spec.min_samples;
  return std::min(criterion.min_samples, MaxSamples(spec, criterion));
}

// Exactly so many, however long that takes.
class FixedSamplesRule final : public StoppingRule {
 public:
  explicit FixedSamplesRule(int64_t samples) : samples_(static_cast<size_t>(samples)) {}
  std::optional<StopReason> Check(std::span<const double> samples, double) override {
    if (samples.size() < samples_) return std::nullopt;
    return StopReason::kSampleLimit;
  }
  double Fraction(std::span<const double> samples, double) const override {
    return std::min(1.0, static_cast<double>(samples.size()) / static_cast<double>(samples_));
  }

 private:
  const size_t samples_;
};

// A criterion within the limits that hold for all of them.
class LimitedRule final : public StoppingRule {
 public:
  LimitedRule(std::unique_ptr<StoppingCriterion> criterion, const CriterionSettings& settings,
              double max_seconds)
      : criterion_(std::move(criterion)),
        min_samples_(static_cast<size_t>(settings.min_samples)),
        max_samples_(static_cast<size_t>(settings.max_samples)),
        max_seconds_(max_seconds) {}

  std::optional<StopReason> Check(std::span<const double> samples,
                                  double elapsed_seconds) override {
    criterion_->Add(samples.back());
    if (samples.size() >= min_samples_) {
      if (const auto reason = criterion_->Check(samples, elapsed_seconds)) return reason;
    }
    if (samples.size() >= max_samples_) return StopReason::kSampleLimit;
    if (elapsed_seconds >= max_seconds_) return StopReason::kTimeout;
    return std::nullopt;
  }

  double Fraction(std::span<const double> samples, double elapsed_seconds) const override {
    const double by_count = static_cast<double>(samples.size()) / static_cast<double>(max_samples_);
    return std::min(1.0, std::max(by_count, elapsed_seconds / max_seconds_));
  }

 private:
  const std::unique_ptr<StoppingCriterion> criterion_;
  const size_t min_samples_;
  const size_t max_samples_;
  const double max_seconds_;
};

absl::Status CheckParameters(const BenchmarkSpec& spec, const CriterionEntry& criterion) {
  for (const auto& [name, value] : spec.stopping_parameters) {
    const CriterionParameter* parameter = FindParameter(criterion, name);
    if (parameter == nullptr) {
      return Invalid(
          "stopping parameter of " + std::string(criterion.name), "'" + name + "'",
          Names(criterion.parameters, [](const auto& p) { return std::string(p.name); }));
    }
    if (!parameter->is_allowed(value)) {
      return Invalid("stopping parameter " + name, OptionText(value),
                     std::string(parameter->allowed));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLimits(const BenchmarkSpec& spec, const CriterionEntry& criterion) {
  const int64_t max_samples = MaxSamples(spec, criterion);
  if (max_samples < 1 || max_samples > kMostSamples) {
    return Invalid("max_samples", std::to_string(max_samples), "1 to 1000000");
  }
  const int64_t min_samples = MinSamples(spec, criterion);
  if (min_samples < 1 || min_samples > max_samples) {
    return Invalid("min_samples", std::to_string(min_samples),
                   "1 to max_samples (" + std::to_string(max_samples) + ")");
  }
  if (!(spec.relative_half_width > 0 && spec.relative_half_width < 1)) {
    return Invalid("relative_half_width", OptionText(spec.relative_half_width),
                   "more than 0 and less than 1");
  }
  if (!(spec.max_seconds > 0 && spec.max_seconds <= kMostSeconds)) {
    return Invalid("timeout", OptionText(spec.max_seconds), "more than 0 and at most 3600 seconds");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckStopping(const BenchmarkSpec& spec) {
  if (spec.samples < 0 || spec.samples > kMostSamples) {
    return Invalid("samples", std::to_string(spec.samples), "0 to 1000000");
  }
  const CriterionEntry* criterion = Find(spec.stopping_criterion);
  if (criterion == nullptr) {
    return Invalid("stopping criterion", "'" + spec.stopping_criterion + "'",
                   Names(kCriteria, [](const auto* entry) { return std::string(entry->name); }));
  }
  QTIPD_RETURN_IF_ERROR(CheckParameters(spec, *criterion));
  return spec.samples > 0 ? absl::OkStatus() : CheckLimits(spec, *criterion);
}

BenchmarkSpec WithStoppingDefaults(BenchmarkSpec spec) {
  const CriterionEntry& criterion = *Find(spec.stopping_criterion);
  spec.min_samples = MinSamples(spec, criterion);
  spec.max_samples = MaxSamples(spec, criterion);
  for (const CriterionParameter& parameter : criterion.parameters) {
    spec.stopping_parameters.try_emplace(std::string(parameter.name), parameter.default_value);
  }
  return spec;
}

std::unique_ptr<StoppingRule> MakeStoppingRule(const BenchmarkSpec& spec, int64_t runs_per_sample) {
  if (spec.samples > 0) return std::make_unique<FixedSamplesRule>(spec.samples);
  const BenchmarkSpec whole = WithStoppingDefaults(spec);
  const auto& parameters = whole.stopping_parameters;
  const CriterionSettings settings{.parameters = {parameters.begin(), parameters.end()},
                                   .relative_half_width = whole.relative_half_width,
                                   .min_samples = whole.min_samples,
                                   .max_samples = whole.max_samples,
                                   .runs_per_sample = runs_per_sample};
  return std::make_unique<LimitedRule>(Find(whole.stopping_criterion)->make(settings), settings,
                                       whole.max_seconds);
}

}  // namespace qtipd
