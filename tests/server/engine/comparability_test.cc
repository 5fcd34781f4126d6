#include "server/engine/harness/comparability.h"

#include <gtest/gtest.h>

#include "server/base/comparability_key.h"

namespace qtipd {
namespace {

using Strings = std::vector<std::string>;

RunRecord ARun() {
  RunRecord run;
  run.device_name = "NVIDIA H200";
  run.environment = {{"compute_units", "132"}, {"driver_version", "580.95.05"}};
  run.format = "qtip";
  run.options = Options({{"bits", int64_t{2}}, {"code", std::string("hyb")}});
  run.shape = {4096, 1024};
  return run;
}

BenchmarkResult AResult() {
  BenchmarkResult result;
  result.path = "fused";
  return result;
}

TEST(ComparabilityKey, IsReadable) {
  EXPECT_EQ(ComparabilityKey(ARun(), AResult()),
            "device=NVIDIA H200; units=132; driver=580; clocks=default; cache=rotate; protocol=2; "
            "format=qtip; options=bits=2,code=hyb; shape=4096x1024; path=fused; batch=1");
}

TEST(ComparabilityKey, ADriverCountsByItsMajorVersion) {
  RunRecord run = ARun();
  run.environment["driver_version"] = "580.105.08";
  EXPECT_EQ(ComparabilityKey(run, AResult()), ComparabilityKey(ARun(), AResult()));
  run.environment.erase("driver_version");
  EXPECT_NE(ComparabilityKey(run, AResult()).find("driver=none"), std::string::npos);
  run.environment["cuda_driver"] = "13.0";
  EXPECT_NE(ComparabilityKey(run, AResult()).find("driver=13;"), std::string::npos);
}

TEST(ComparabilityKey, EveryPartCounts) {
  const std::string key = ComparabilityKey(ARun(), AResult());
  const auto differing = [&](auto change) {
    RunRecord run = ARun();
    BenchmarkResult result = AResult();
    change(run, result);
    return DifferingParts(key, ComparabilityKey(run, result));
  };
  EXPECT_EQ(differing([](auto& run, auto&) { run.device_name = "NVIDIA H100"; }),
            Strings{"device"});
  EXPECT_EQ(differing([](auto& run, auto&) { run.environment["compute_units"] = "16"; }),
            Strings{"units"});
  EXPECT_EQ(differing([](auto& run, auto&) { run.environment["driver_version"] = "590.1"; }),
            Strings{"driver"});
  EXPECT_EQ(differing([](auto&, auto& r) { r.conditions.clock_policy = "locked"; }),
            Strings{"clocks"});
  EXPECT_EQ(differing([](auto&, auto& r) { r.cache_mode = CacheMode::kCold; }), Strings{"cache"});
  EXPECT_EQ(differing([](auto& run, auto&) { run.format = "int4"; }), Strings{"format"});
  EXPECT_EQ(differing([](auto& run, auto&) { run.options = {}; }), Strings{"options"});
  EXPECT_EQ(differing([](auto& run, auto&) { run.shape = {1024, 4096}; }), Strings{"shape"});
  EXPECT_EQ(differing([](auto&, auto& r) { r.path = "dense"; }), Strings{"path"});
  EXPECT_EQ(differing([](auto&, auto& r) { r.batch = 2; }), Strings{"batch"});
}

TEST(ComparabilityKey, NamesActivationsOnlyWhereTheyAreNotOfTheComputeDType) {
  RunRecord run = ARun();
  BenchmarkResult result = AResult();
  const std::string key = ComparabilityKey(run, result);
  run.environment["compute_dtype"] = "F16";
  result.activation_dtype = "F16";
  EXPECT_EQ(ComparabilityKey(run, result), key) << "as of records that did not keep it";
  result.activation_dtype = "BF16";
  EXPECT_EQ(ComparabilityKey(run, result), key + "; activations=BF16");
  EXPECT_EQ(DifferingParts(key, ComparabilityKey(run, result)), Strings{"activations"});
}

TEST(DifferingParts, ComparesKeysOfOtherVersionsToo) {
  EXPECT_EQ(DifferingParts("", ""), Strings{});
  EXPECT_EQ(DifferingParts("a=1; b=2", "b=2; c=3"), (Strings{"a", "c"}));
  EXPECT_EQ(DifferingParts("a=1; b=2", ""), (Strings{"a", "b"}));
}

TEST(DifferingParts, AValueMayHoldASeparator) {
  RunRecord run = ARun();
  run.device_name = "A; path=dense 100%";
  const std::string key = ComparabilityKey(run, AResult());
  EXPECT_NE(key.find("device=A%3B path=dense 100%25; units"), std::string::npos) << key;
  EXPECT_EQ(DifferingParts(key, ComparabilityKey(ARun(), AResult())), Strings{"device"});
}

}  // namespace
}  // namespace qtipd
