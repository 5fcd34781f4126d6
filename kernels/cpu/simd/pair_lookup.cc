#include "kernels/cpu/simd/pair_lookup.h"

#include <cstring>

#include "kernels/api/dtype.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define QTIPD_HAVE_VBMI 1
#endif

namespace qtipd {
namespace {

constexpr int kLanes = 32;
constexpr int kTileCols = 16;
constexpr size_t kPairBytes = 2 * sizeof(float);

}  // namespace

void FillPairTable(std::span<const uint16_t> entries, PairTable& table) {
  for (int index = 0; index < kPairEntries; ++index) {
    for (int f = 0; f < 2; ++f) {
      const uint16_t half = entries[2 * index + f];
      const float weight = HalfToFloat(half);
      table.pairs[index][f] = weight;
      table.pairs[index + kPairEntries][f] = f == 0 ? -weight : weight;
      table.planes[2 * f][index] = static_cast<uint8_t>(half);
      table.planes[2 * f + 1][index] = static_cast<uint8_t>(half >> 8);
    }
  }
}

void LookupPairsPortable(const PairTable& table, const uint16_t* hashes, int64_t tiles,
                         float* block, int64_t stride) {
  for (int64_t tile = 0; tile < tiles; ++tile, block += kTileCols) {
    for (int j = 0; j < 4; ++j, hashes += kLanes) {
      float* corner = block + 8 * (j & 1) * stride + 8 * (j >> 1);
      for (int row = 0; row < 8; ++row) {
        uint64_t four;  // the hashes of the four lanes that share a row, in one load
        std::memcpy(&four, hashes + 4 * row, sizeof four);
        float* weights = corner + row * stride;
        std::memcpy(weights, table.pairs[four >> 6 & 0x3FF], kPairBytes);
        std::memcpy(weights + 2, table.pairs[four >> 22 & 0x3FF], kPairBytes);
        std::memcpy(weights + 4, table.pairs[four >> 38 & 0x3FF], kPairBytes);
        std::memcpy(weights + 6, table.pairs[four >> 54], kPairBytes);
      }
    }
  }
}

#if QTIPD_HAVE_VBMI

// All of this is compiled for AVX-512 VBMI and called only after asking the processor.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")

namespace {

// Bits 12..6 of 64 hashes as bytes, and masks of their bits 13, 14 and 15.
struct Index {
  __m512i low7;
  __mmask64 bit13;
  __mmask64 bit14;
  __m512i high;  // bits 15..8, the sign on top
};

// Bytes of each 128-bit block: eight of `a`, then eight of `b`.
inline Index MakeIndex(__m512i a, __m512i b) {
  const __m512i low_byte = _mm512_set1_epi16(0xFF);
  Index index;
  index.low7 = _mm512_packus_epi16(_mm512_and_si512(_mm512_srli_epi16(a, 6), low_byte),
                                   _mm512_and_si512(_mm512_srli_epi16(b, 6), low_byte));
  index.high = _mm512_packus_epi16(_mm512_srli_epi16(a, 8), _mm512_srli_epi16(b, 8));
  index.bit13 = _mm512_movepi8_mask(index.low7);
  index.bit14 = _mm512_test_epi8_mask(index.high, _mm512_set1_epi8(0x40));
  return index;
}

// 64 look-ups in one byte plane of 512.
inline __m512i LookupPlane(const uint8_t* plane, const Index& index) {
  const auto quarter = [&](int first) {
    return _mm512_permutex2var_epi8(_mm512_load_si512(plane + first), index.low7,
                                    _mm512_load_si512(plane + first + 64));
  };
  const __m512i below = _mm512_mask_blend_epi8(index.bit13, quarter(0), quarter(128));
  const __m512i above = _mm512_mask_blend_epi8(index.bit13, quarter(256), quarter(384));
  return _mm512_mask_blend_epi8(index.bit14, below, above);
}

// Stores rows `first` and `first` + 2 of blocks (0, 1) or (2, 3): columns 0..7 come from `left`,
// 8..15 from `right`, in fp16.
inline void StoreRows(__m512i left, __m512i right, float* rows, int64_t stride) {
  const __m512i low =
      _mm512_permutex2var_epi64(left, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), right);
  const __m512i high =
      _mm512_permutex2var_epi64(left, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), right);
  _mm512_store_ps(rows, _mm512_cvtph_ps(_mm512_castsi512_si256(low)));
  _mm512_store_ps(rows + 2 * stride, _mm512_cvtph_ps(_mm512_extracti64x4_epi64(low, 1)));
  _mm512_store_ps(rows + 4 * stride, _mm512_cvtph_ps(_mm512_castsi512_si256(high)));
  _mm512_store_ps(rows + 6 * stride, _mm512_cvtph_ps(_mm512_extracti64x4_epi64(high, 1)));
}

// Eight rows of a tile: `left` are the hashes of columns 0..7, `right` those of 8..15.
inline void DecodeRows(const PairTable& table, __m512i left, __m512i right, float* rows,
                       int64_t stride) {
  const Index index = MakeIndex(left, right);
  const __m512i first_low = LookupPlane(table.planes[0], index);
  const __m512i first_high =  // flips the sign bit where the hash says so
      _mm512_ternarylogic_epi32(LookupPlane(table.planes[1], index), index.high,
                                _mm512_set1_epi8(static_cast<char>(0x80)), 0x78);
  const __m512i second_low = LookupPlane(table.planes[2], index);
  const __m512i second_high = LookupPlane(table.planes[3], index);
  const __m512i first_left = _mm512_unpacklo_epi8(first_low, first_high);
  const __m512i first_right = _mm512_unpackhi_epi8(first_low, first_high);
  const __m512i second_left = _mm512_unpacklo_epi8(second_low, second_high);
  const __m512i second_right = _mm512_unpackhi_epi8(second_low, second_high);
  // A 128-bit block now holds eight lanes, that is two rows; interleaving splits them.
  StoreRows(_mm512_unpacklo_epi16(first_left, second_left),
            _mm512_unpacklo_epi16(first_right, second_right), rows, stride);
  StoreRows(_mm512_unpackhi_epi16(first_left, second_left),
            _mm512_unpackhi_epi16(first_right, second_right), rows + stride, stride);
}

void LookupPairsVbmi(const PairTable& table, const uint16_t* hashes, int64_t tiles, float* block,
                     int64_t stride) {
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const uint16_t* of_tile = hashes + tile * kPairTileHashes;
    const auto step = [&](int j) { return _mm512_load_si512(of_tile + j * kLanes); };
    float* corner = block + tile * kTileCols;
    DecodeRows(table, step(0), step(2), corner, stride);
    DecodeRows(table, step(1), step(3), corner + 8 * stride, stride);
  }
}

}  // namespace

#pragma GCC pop_options

PairLookup VectorPairLookup() {
  const bool is_supported =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vbmi");
  return is_supported ? LookupPairsVbmi : nullptr;
}

#else

PairLookup VectorPairLookup() { return nullptr; }

#endif  // QTIPD_HAVE_VBMI

}  // namespace qtipd
