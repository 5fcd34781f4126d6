#include "kernels/cpu/simd/pair_lookup.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/api/dtype.h"
#include "kernels/api/random.h"

namespace qtipd {
namespace {

constexpr int64_t kStride = 48 + 16;

class PairLookupTest : public testing::Test {
 protected:
  PairLookupTest() {
    // Every fp16 bit pattern that is a number may stand in a codebook, zeros and subnormals too.
    for (int i = 0; i < 2 * kPairEntries; ++i) {
      const auto bits = static_cast<uint16_t>(RandomBits(3, RandomStream::kTest, i));
      entries_[i] = std::isfinite(HalfToFloat(bits)) ? bits : 0x8000;
    }
    FillPairTable(entries_, *table_);
  }

  // All 65,536 hashes in three tiles at a time.
  template <typename Check>
  void ForAllHashes(const Check& check) {
    for (int first = 0; first < 65536; first += 3 * kPairTileHashes) {
      for (int i = 0; i < 3 * kPairTileHashes; ++i) hashes_[i] = static_cast<uint16_t>(first + i);
      check();
    }
  }

  std::vector<float> Lookup(PairLookup lookup) {
    std::fill(std::begin(block_), std::end(block_), -7.0f);
    lookup(*table_, hashes_, 3, block_, kStride);
    return std::vector<float>(std::begin(block_), std::end(block_));
  }

  std::vector<uint16_t> entries_ = std::vector<uint16_t>(2 * kPairEntries);
  std::unique_ptr<PairTable> table_ = std::make_unique<PairTable>();
  alignas(64) uint16_t hashes_[3 * kPairTileHashes];
  alignas(64) float block_[16 * kStride];
};

TEST_F(PairLookupTest, PortableFollowsItsDefinition) {
  ForAllHashes([&] {
    const std::vector<float> block = Lookup(LookupPairsPortable);
    for (int i = 0; i < 3 * kPairTileHashes; ++i) {
      const int tile = i / 128, j = i / 32 % 4, lane = i % 32;
      const int row = lane / 4 + 8 * (j % 2);
      const int col = 16 * tile + 2 * (lane % 4) + 8 * (j / 2);
      const int entry = (hashes_[i] >> 6) & 511;
      const float first = HalfToFloat(entries_[2 * entry]);
      ASSERT_EQ(block[row * kStride + col], hashes_[i] >= 0x8000 ? -first : first);
      ASSERT_EQ(block[row * kStride + col + 1], HalfToFloat(entries_[2 * entry + 1]));
    }
  });
}

TEST_F(PairLookupTest, VectorAgreesWithPortableBitForBit) {
  if (VectorPairLookup() == nullptr) GTEST_SKIP() << "this processor has no AVX-512 VBMI";
  ForAllHashes([&] {
    const std::vector<float> portable = Lookup(LookupPairsPortable);
    const std::vector<float> vector = Lookup(VectorPairLookup());
    ASSERT_EQ(std::memcmp(portable.data(), vector.data(), portable.size() * sizeof(float)), 0);
  });
}

TEST_F(PairLookupTest, WritesNothingOutsideItsTiles) {
  for (const PairLookup lookup : {PairLookup{LookupPairsPortable}, BestPairLookup()}) {
    const std::vector<float> block = Lookup(lookup);
    for (int row = 0; row < 16; ++row) {
      for (int col = 48; col < kStride; ++col) ASSERT_EQ(block[row * kStride + col], -7.0f);
    }
  }
}

}  // namespace
}  // namespace qtipd
