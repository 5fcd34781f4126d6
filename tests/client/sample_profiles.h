// A profile of a GPU with made-up but consistent counters, and one of a CPU.
#ifndef QTIPD_TESTS_CLIENT_SAMPLE_PROFILES_H_
#define QTIPD_TESTS_CLIENT_SAMPLE_PROFILES_H_

#include <string>

#include "qtipd/v1/profile.pb.h"

namespace qtipd {

inline void AddMetric(v1::Profile& profile, const std::string& name, double value,
                      const std::string& unit) {
  v1::MetricValue& metric = *profile.add_metrics();
  metric.set_name(name);
  metric.set_value(value);
  metric.set_unit(unit);
  metric.set_description("what " + name + " is");
}

inline void AddStall(v1::Profile& profile, const std::string& reason, double percent) {
  AddMetric(profile, "smsp__warp_issue_stalled_" + reason + "_per_warp_active.pct", percent,
            "percent");
  v1::StallReason& stall = *profile.add_stall_reasons();
  stall.set_reason(reason);
  stall.set_percent(percent);
  stall.set_meaning("meaning of " + reason);
}

inline void AddBottleneck(v1::Profile& profile) {
  v1::BottleneckFinding& finding = *profile.add_bottleneck();
  finding.set_rule("memory_latency");
  finding.set_sentence("Memory latency is the limit.");
  const auto add = [&](const std::string& quantity, double value, const std::string& condition) {
    v1::BottleneckEvidence& evidence = *finding.add_evidence();
    evidence.set_quantity(quantity);
    evidence.set_value(value);
    evidence.set_unit("%");
    evidence.set_condition(condition);
  };
  add("long_scoreboard", 55.25, "at least 30");
  add("DRAM throughput", 41, "below 60");
}

inline v1::Profile SampleProfile() {
  v1::Profile profile;
  profile.set_id("3");
  profile.set_artifact("w2");
  profile.set_artifact_sha256("abc");
  profile.set_format("qtip");
  (*profile.mutable_format_options())["bits"].set_integer(2);
  (*profile.mutable_format_options())["code"].set_text("hyb");
  profile.mutable_shape()->set_out_features(4096);
  profile.mutable_shape()->set_in_features(2048);
  profile.set_path("fused");
  profile.set_batch(1);
  profile.set_copies(80);
  profile.set_preset("full");
  profile.set_device("cuda:0");
  profile.set_device_name("NVIDIA H200");
  profile.set_chip("GH100");
  profile.set_source("cupti");
  profile.set_passes(6);
  profile.set_runs(320);
  profile.set_seconds(0.7);
  AddStall(profile, "long_scoreboard", 55.25);
  AddStall(profile, "selected", 30.5);
  AddStall(profile, "wait", 14.25);
  AddMetric(profile, "dram__bytes_read.sum", 320.0 * 4 * 1048576, "bytes");
  AddMetric(profile, "lts__t_sector_hit_rate.pct", 12.5, "percent");
  AddMetric(profile, "gpu__time_duration.sum", 320 * 6e-6, "seconds");
  AddBottleneck(profile);
  v1::HotInstruction& hot = *profile.add_hot_instructions();
  hot.set_function("FusedKernel<2>()");
  hot.set_offset_bytes(0x1a0);
  hot.set_text("LDG.E.128 R4, [R2]");
  hot.set_samples(50);
  (*hot.mutable_stall_samples())["long_scoreboard"] = 40;
  (*hot.mutable_stall_samples())["wait"] = 5;
  (*hot.mutable_stall_samples())["barrier"] = 4;
  (*hot.mutable_stall_samples())["selected"] = 1;
  profile.set_total_samples(200);
  (*profile.mutable_environment())["driver_version"] = "580.1";
  return profile;
}

inline v1::Profile CpuProfile() {
  v1::Profile profile = SampleProfile();
  profile.clear_metrics();
  profile.clear_stall_reasons();
  profile.clear_hot_instructions();
  profile.clear_bottleneck();
  profile.set_id("4");
  profile.set_device("cpu");
  profile.set_device_name("AMD EPYC");
  profile.set_chip("AMD EPYC");
  profile.set_source("perf_event");
  profile.set_passes(1);
  profile.set_runs(16);
  AddMetric(profile, "cycles", 1600, "cycles");
  return profile;
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_CLIENT_SAMPLE_PROFILES_H_
