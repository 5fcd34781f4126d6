// A table of speeds of two made-up cases, 4096x4096 at 2 and 3 bits, each to be measured twice.
#ifndef QTIPD_TESTS_CLIENT_SAMPLE_SUITES_H_
#define QTIPD_TESTS_CLIENT_SAMPLE_SUITES_H_

#include <string>
#include <vector>

#include "client/speed_record.h"
#include "client/suite_cases.h"
#include "tests/client/sample_runs.h"

namespace qtipd {

inline Suite SampleSuite(SpeedReport report = SpeedReport::kSpeeds) {
  Suite suite;
  suite.name = "sample";
  suite.format = "qtip";
  suite.seed = 7;
  suite.repeats = 2;
  suite.report = report;
  suite.benchmark.add_paths("dense");
  suite.benchmark.add_paths("fused");
  suite.benchmark.mutable_stopping()->set_samples(30);
  SpeedGroup& group = suite.groups.emplace_back();
  group.format = "qtip";
  group.shapes.emplace_back().set_out_features(4096);
  group.shapes.back().set_in_features(4096);
  for (const int bits : {2, 3}) group.options["bits"].emplace_back().set_integer(bits);
  group.batches = {1};
  return suite;
}

inline SpeedRecord SampleRecord(const Suite& suite = SampleSuite()) {
  v1::Device device;
  device.set_id("cuda:0");
  device.set_name("Some GPU");
  return NewSpeedRecord(suite, ExpandCases(suite), device, "1a2b3c4d5e6f");
}

// As often as the suite says, or only begun.
inline void MeasureSample(SpeedResult& result, int runs = 2) {
  result.artifact.set_name("suite/sample");
  result.artifact.set_bits_per_weight(2.01);
  for (int i = 0; i < runs; ++i) {
    result.runs.push_back(SampleRun("suite/sample", 2));
    result.runs.back().set_id("run-" + std::to_string(i));
  }
  result.is_finished = runs == 2;
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_CLIENT_SAMPLE_SUITES_H_
