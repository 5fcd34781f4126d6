#include "kernels/io/host_facts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace qtipd {
namespace {

// A file tree that stands for "/".
class HostFactsTest : public testing::Test {
 protected:
  HostFactsTest() {
    std::filesystem::remove_all(root_);
    Write("/proc/meminfo", "MemTotal:  1000 kB\nMemFree:  1 kB\nMemAvailable:  600 kB\n");
  }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  const std::string root_ = testing::TempDir() + "host_facts_" +
                            testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(HostFactsTest, ReadsMemoryOfAHostWithoutLimits) {
  const HostMemory memory = ReadHostMemory(root_);
  EXPECT_EQ(memory.total_bytes, 1000 * 1024);
  EXPECT_EQ(memory.available_bytes, 600 * 1024);
}

TEST_F(HostFactsTest, AppliesTheSmallestLimitOfAVersion2Group) {
  Write("/proc/self/cgroup", "0::/pod/daemon\n");
  Write("/sys/fs/cgroup/pod/daemon/memory.max", "max\n");
  Write("/sys/fs/cgroup/pod/daemon/memory.current", "100000\n");
  Write("/sys/fs/cgroup/pod/memory.max", "500000\n");
  Write("/sys/fs/cgroup/pod/memory.current", "300000\n");
  Write("/sys/fs/cgroup/pod/memory.stat", "anon 1\ninactive_file 50000\n");
  const HostMemory memory = ReadHostMemory(root_);
  EXPECT_EQ(memory.total_bytes, 500000);
  EXPECT_EQ(memory.available_bytes, 250000);  // page cache can be dropped
}

TEST_F(HostFactsTest, AppliesTheLimitOfAVersion1Group) {
  Write("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/job\n0::/\n");
  Write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "400000\n");
  Write("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "390000\n");
  EXPECT_EQ(ReadHostMemory(root_).available_bytes, 10000);
}

TEST_F(HostFactsTest, AGroupOverItsLimitHasNothingLeft) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/memory.max", "1000\n");
  Write("/sys/fs/cgroup/memory.current", "2000\n");
  EXPECT_EQ(ReadHostMemory(root_).available_bytes, 0);
}

TEST_F(HostFactsTest, ReadsNameAndLastLevelCache) {
  Write("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU 9000\n");
  Write("/sys/devices/system/cpu/cpu0/cache/index0/size", "48K\n");
  Write("/sys/devices/system/cpu/cpu0/cache/index1/size", "32M\n");
  const HostFacts facts = ReadHostFacts(root_);
  EXPECT_EQ(facts.cpu_name, "Some CPU 9000");
  EXPECT_EQ(facts.last_level_cache_bytes, 32 << 20);
}

TEST_F(HostFactsTest, ACpuQuotaLimitsTheThreads) {
  Write("/proc/self/cgroup", "0::/pod\n");
  Write("/sys/fs/cgroup/pod/cpu.max", "100000 100000\n");
  EXPECT_EQ(ReadHostFacts(root_).usable_threads, 1);
  Write("/sys/fs/cgroup/pod/cpu.max", "10000 100000\n");  // a tenth of a processor
  EXPECT_EQ(ReadHostFacts(root_).usable_threads, 1);
}

TEST_F(HostFactsTest, NothingReadableLeavesDefaults) {
  const HostFacts facts = ReadHostFacts(root_ + "/nowhere");
  EXPECT_EQ(facts.cpu_name, "");
  EXPECT_EQ(facts.last_level_cache_bytes, 0);
  EXPECT_GE(facts.usable_threads, 1);
  EXPECT_EQ(ReadHostMemory(root_ + "/nowhere").total_bytes, 0);
}

TEST(HostFacts, ThisHostHasMemoryAndThreads) {
  EXPECT_GT(ReadHostMemory().available_bytes, 0);
  EXPECT_GE(ReadHostFacts().usable_threads, 1);
}

}  // namespace
}  // namespace qtipd
