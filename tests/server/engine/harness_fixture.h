// A fake device, a clock, and a path that notes what it ran.
#ifndef QTIPD_TESTS_SERVER_ENGINE_HARNESS_FIXTURE_H_
#define QTIPD_TESTS_SERVER_ENGINE_HARNESS_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/engine/harness/measure.h"
#include "server/engine/harness/sampling.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_device.h"
#include "tests/fakes/fake_monitor.h"

namespace qtipd {

// Notes which copies and steps were run.
class NotingPath final : public PreparedPath {
 public:
  NotingPath(int copies, int steps) : copies_(copies) {
    for (int i = 0; i < steps; ++i) steps_.push_back("step" + std::to_string(i));
  }
  const std::vector<std::string>& steps() const override { return steps_; }
  int copies() const override { return copies_; }
  absl::Status Run(int copy, const void* x, void*, int first_step, int end_step) override {
    runs.push_back({copy, first_step, end_step});
    inputs.push_back(x);
    return absl::OkStatus();
  }
  bool RepeatsPrevious(int step) const override { return step == repeating_step; }
  uint64_t bytes_per_run() const override { return 0; }
  uint64_t weight_bytes() const override { return 0; }

  struct OneRun {
    int copy, first_step, end_step;
    bool operator==(const OneRun&) const = default;
  };
  std::vector<OneRun> runs;
  std::vector<const void*> inputs;  // one a run
  int repeating_step = -1;

 private:
  const int copies_;
  std::vector<std::string> steps_;
};

class HarnessTest : public ::testing::Test {
 protected:
  StepRange Whole(NotingPath& path) {
    return {.path = &path, .end_step = static_cast<int>(path.steps().size())};
  }
  std::unique_ptr<Sampler> Make(NotingPath& path, CacheMode mode = CacheMode::kRotate) {
    auto sampler = MakeSampler(mode, *device_, Whole(path));
    EXPECT_TRUE(sampler.ok()) << sampler.status();
    return *std::move(sampler);
  }
  // A rule of `spec` on samples that `sampler` gives, watched by monitor_.
  absl::StatusOr<Measurement> RunLoop(Sampler& sampler, const BenchmarkSpec& spec,
                                      ConditionsWatch& watch,
                                      const std::function<bool()>& is_cancelled) {
    const auto rule = MakeStoppingRule(spec, sampler.runs_per_sample());
    watch.Begin();
    return Measure({sampler, *rule, watch, clock_, is_cancelled, quiet_});
  }
  absl::StatusOr<Measurement> RunLoop(Sampler& sampler, const BenchmarkSpec& spec) {
    ConditionsWatch watch(monitor_, clock_);
    return RunLoop(sampler, spec, watch, never_);
  }
  static BenchmarkSpec Fixed(int64_t samples) {
    BenchmarkSpec spec;
    spec.samples = samples;
    return spec;
  }

  std::shared_ptr<FakeDeviceControl> control_ = std::make_shared<FakeDeviceControl>();
  std::unique_ptr<Device> device_ = MakeFakeDevice(control_);
  FakeClock clock_;
  std::shared_ptr<FakeMonitorControl> readings_ = std::make_shared<FakeMonitorControl>();
  FakeMonitor monitor_{readings_};
  const std::function<bool()> never_ = [] { return false; };
  const std::function<void(double)> quiet_ = [](double) {};
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_SERVER_ENGINE_HARNESS_FIXTURE_H_
