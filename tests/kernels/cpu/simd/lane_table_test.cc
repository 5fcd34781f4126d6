#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/kernels/cpu/simd/lane_table_test.cc"
#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/cpu/simd/lane_table-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

// Looks all of `index` [16] up in `table` [16]; false where there is no such operation.
bool LookUp(const float* table, const uint32_t* index, float* found) {
#if QTIPD_HAVE_LANE_TABLE
  const hwy::HWY_NAMESPACE::Full512<float> d;
  const hwy::HWY_NAMESPACE::Full512<uint32_t> du;
  const auto lanes =
      LaneOfTable(hwy::HWY_NAMESPACE::LoadU(d, table), hwy::HWY_NAMESPACE::LoadU(du, index));
  hwy::HWY_NAMESPACE::StoreU(lanes, d, found);
  return true;
#else
  (void)table, (void)index, (void)found;
  return false;
#endif
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <gtest/gtest.h>

#include "kernels/api/random.h"
#include "tests/kernels/cpu/each_target.h"

namespace qtipd {

HWY_EXPORT(LookUp);

namespace {

TEST(LaneTable, LooksUpByTheLowFourBitsAlone) {
  float table[16];
  for (int i = 0; i < 16; ++i) table[i] = 1.5F * static_cast<float>(i) - 4;
  bool was_tried = false;
  ForEachTarget([&] {
    for (uint64_t round = 0; round < 64; ++round) {
      uint32_t index[16];
      for (uint64_t i = 0; i < 16; ++i) {
        index[i] = static_cast<uint32_t>(RandomBits(1, RandomStream::kTest, 16 * round + i));
      }
      float found[16];
      if (!HWY_DYNAMIC_DISPATCH(LookUp)(table, index, found)) return;
      was_tried = true;
      for (int i = 0; i < 16; ++i) EXPECT_EQ(found[i], table[index[i] % 16]);
    }
  });
  if (!was_tried) GTEST_SKIP() << "no instruction set of this processor has the operation";
}

}  // namespace
}  // namespace qtipd
#endif  // HWY_ONCE
