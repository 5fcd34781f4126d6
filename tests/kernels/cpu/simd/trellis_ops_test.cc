// The operations of trellis_ops-inl.h against plain arithmetic, under every instruction set.
#define HWY_WANT_AVX3_DL 1
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/kernels/cpu/simd/trellis_ops_test.cc"
#include <cstdint>
#include <vector>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/cpu/simd/trellis_ops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// to[i] = op(a[i], b[i]) in vectors of at most 64 bytes; `count` is a multiple of all of them.
template <class T, class To, class Op>
HWY_INLINE void ForVectors(const T* a, const T* b, size_t count, To* to, const Op& op) {
  const hn::CappedTag<T, 64 / sizeof(T)> d;
  const hn::Rebind<To, decltype(d)> d_to;
  for (size_t i = 0; i < count; i += hn::Lanes(d)) {
    hn::StoreU(op(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d_to, to + i);
  }
}

void Funnel(const uint16_t* high, const uint16_t* low, size_t count, uint16_t* shifted) {
  ForVectors(high, low, count, shifted,
             [](auto d, auto a, auto b) HWY_ATTR { return FunnelShiftLeft<6>(d, a, b); });
}

void Bytes(const uint32_t* x, const uint32_t* addends, size_t count, int32_t* sums) {
  ForVectors(x, addends, count, sums, [](auto d, auto a, auto b) HWY_ATTR {
    const hn::RebindToSigned<decltype(d)> di;
    return SumOfBytes(di, a, hn::BitCast(di, b));
  });
}

void Squares(const int16_t* x, size_t count, uint16_t* squares) {
  ForVectors(x, x, count, squares,
             [](auto d, auto a, auto) HWY_ATTR { return SquareOfFractions(d, a); });
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
namespace {

HWY_EXPORT(Funnel);
HWY_EXPORT(Bytes);
HWY_EXPORT(Squares);

constexpr size_t kCount = 65536;

template <typename T>
std::vector<T> RandomWords(uint64_t seed) {
  std::vector<T> words(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    words[i] = static_cast<T>(RandomBits(seed, RandomStream::kTest, i));
  }
  return words;
}

TEST(TrellisOps, FunnelShiftTakesItsLowBitsFromTheSecondWord) {
  const auto high = RandomWords<uint16_t>(1), low = RandomWords<uint16_t>(2);
  ForEachTarget([&] {
    std::vector<uint16_t> shifted(kCount);
    HWY_DYNAMIC_DISPATCH(Funnel)(high.data(), low.data(), kCount, shifted.data());
    for (size_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(shifted[i], static_cast<uint16_t>(high[i] << 6 | low[i] >> 10)) << i;
    }
  });
}

TEST(TrellisOps, SumOfBytesAddsFourBytesAndAnAddendOfEitherSign) {
  auto x = RandomWords<uint32_t>(3), addends = RandomWords<uint32_t>(4);
  x[0] = 0xFFFFFFFF, addends[0] = static_cast<uint32_t>(-510);
  for (size_t i = 0; i < kCount; ++i) addends[i] = static_cast<int32_t>(addends[i]) >> 8;
  ForEachTarget([&] {
    std::vector<int32_t> sums(kCount);
    HWY_DYNAMIC_DISPATCH(Bytes)(x.data(), addends.data(), kCount, sums.data());
    for (size_t i = 0; i < kCount; ++i) {
      const uint32_t bytes =
          (x[i] & 0xFF) + (x[i] >> 8 & 0xFF) + (x[i] >> 16 & 0xFF) + (x[i] >> 24);
      ASSERT_EQ(sums[i], static_cast<int32_t>(bytes + addends[i])) << i;
    }
  });
}

TEST(TrellisOps, SquareOfEveryFractionIsRoundedAndThatOfMinusOneIsWhole) {
  std::vector<int16_t> x(kCount);
  for (size_t i = 0; i < kCount; ++i) x[i] = static_cast<int16_t>(i);
  ForEachTarget([&] {
    std::vector<uint16_t> squares(kCount);
    HWY_DYNAMIC_DISPATCH(Squares)(x.data(), kCount, squares.data());
    for (size_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(squares[i], (int64_t{x[i]} * x[i] + 0x4000) >> 15) << x[i];
    }
  });
}

}  // namespace
}  // namespace qtipd
#endif  // HWY_ONCE
