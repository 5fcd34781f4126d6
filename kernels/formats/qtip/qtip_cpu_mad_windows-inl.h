// `1mad` where bytes are looked up in registers (AVX-512 VBMI): 64-bit lanes take the words of a
// row each, eight rows to a vector, and one instruction cuts two states out of every lane: columns
// 2 k and 2 k + 1 of eight rows. Included by qtip_cpu_mad.cc alone.
#if defined(QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_WINDOWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_WINDOWS_INL_H_
#undef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_WINDOWS_INL_H_
#else
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_WINDOWS_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/formats/qtip/qtip_cpu_kernel.h"
#include "kernels/formats/qtip/qtip_cpu_mad_hash-inl.h"

#if QTIPD_HAVE_BYTE_LOOKUP

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {

namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kBatchAtOnce = 4;
bool HasKernel(int64_t) { return true; }

constexpr int kParts = 2;  // rows 0 to 7, rows 8 to 15
constexpr int kPartRows = 8;
using FloatTag = hn::Full512<float>;
using WordTag = hn::Full512<uint16_t>;

// How the states of a tile at `kBits` are cut out of its words.
template <int kBits>
struct Cut {
  // Columns whose states end within 64 bits of the first one's beginning.
  static constexpr int kColumns = kBits <= 3 ? 16 : 8;
  static constexpr int kGroups = kQtipTileCols / kColumns;
  static constexpr int kPairs = kColumns / 2;

  HWY_INLINE Cut() {
    const hn::Full512<uint8_t> d8;
    for (int part = 0; part < kParts; ++part) {
      for (int group = 0; group < kGroups; ++group) {
        HWY_ALIGN uint16_t index[32];
        for (int i = 0; i < 32; ++i) {
          // Row, then the four words of its 64 bits, the last one lowest.
          const int row = part * kPartRows + i / 4;
          const int first = row * kBits + group * kColumns * kBits / 16;
          index[i] = static_cast<uint16_t>((first + 3 - i % 4) % (16 * kBits));
        }
        words[part][group] = hn::Load(WordTag(), index);
      }
    }
    for (int pair = 0; pair < kPairs; ++pair) {
      HWY_ALIGN uint8_t shift[64];
      for (int i = 0; i < 64; ++i) {
        const int column = 2 * pair + i / 4 % 2;
        shift[i] = static_cast<uint8_t>((48 - column * kBits + 8 * (i % 2)) % 64);
      }
      shifts[pair] = hn::Load(d8, shift);
    }
  }

  // The 64 bits from which group `group` of columns of rows `part` is cut.
  HWY_INLINE WordVec Lanes(const uint16_t* tile, int part, int group) const {
    const WordVec low = hn::LoadU(WordTag(), tile);
    if constexpr (kBits <= 2) return WordsOf(low, words[part][group]);
    return WordsOf(low, hn::LoadU(WordTag(), tile + 32), words[part][group]);
  }

  WordVec words[kParts][kGroups];
  ByteVec shifts[kPairs];
};

// z of kBatch vectors of activations and one tile row. Two chains of sums where there is but one
// vector, so that additions do not wait for each other.
template <int kBits, int kBatch>
HWY_INLINE void MultiplyTileRow(const Cut<kBits>& cut, const uint16_t* words, int64_t tiles,
                                const float* u, int64_t stride, int64_t out_features, float* z) {
  using C = Cut<kBits>;
  constexpr int kChains = kBatch == 1 ? 2 : 1;
  const FloatTag d;
  FloatVec sums[kParts][kBatch][kChains];
  for (auto& part : sums) {
    for (auto& of_vector : part) {
      for (auto& sum : of_vector) sum = hn::Zero(d);
    }
  }
  for (int64_t tile = 0; tile < tiles; ++tile, words += QtipTileWords(kBits), u += kQtipTileCols) {
    PrefetchStream(words);
    HWY_UNROLL(2)
    for (int group = 0; group < C::kGroups; ++group) {
      const WordVec lanes[kParts] = {cut.Lanes(words, 0, group), cut.Lanes(words, 1, group)};
      HWY_UNROLL(8)
      for (int pair = 0; pair < C::kPairs; ++pair) {
        HWY_UNROLL(2)
        for (int part = 0; part < kParts; ++part) {
          const FloatVec w = Sums(d, Windows64(lanes[part], cut.shifts[pair]), -kQtipMadMean);
          HWY_UNROLL(4)
          for (int b = 0; b < kBatch; ++b) {
            FloatVec& sum = sums[part][b][pair % kChains];
            sum =
                hn::MulAdd(w, BroadcastPair(u + b * stride + group * C::kColumns + 2 * pair), sum);
          }
        }
      }
    }
  }
  for (int part = 0; part < kParts; ++part) {
    for (int b = 0; b < kBatch; ++b) {
      const FloatVec sum = hn::Add(sums[part][b][0], sums[part][b][kChains - 1]);
      HWY_ALIGN float both[16];
      hn::Store(kChains == 1 ? sums[part][b][0] : sum, d, both);
      for (int row = 0; row < kPartRows; ++row) {
        z[b * out_features + part * kPartRows + row] =
            (both[2 * row] + both[2 * row + 1]) / kQtipMadDivisor;
      }
    }
  }
}

template <int kBits>
void MultiplyTileRows(const QtipCpuRows& rows, const float* u, int64_t batch, int64_t out_features,
                      float* z) {
  const Cut<kBits> cut;
  const int64_t tiles = rows.in_features / kQtipTileCols;
  const int64_t in = rows.in_features;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const auto* words =
        reinterpret_cast<const uint16_t*>(rows.packed) + row * tiles * QtipTileWords(kBits);
    float* out = z + row * kQtipTileRows;
    int64_t b = 0;
    for (; b + kBatchAtOnce <= batch; b += kBatchAtOnce) {
      MultiplyTileRow<kBits, kBatchAtOnce>(cut, words, tiles, u + b * in, in, out_features,
                                           out + b * out_features);
    }
    for (; b < batch; ++b) {
      MultiplyTileRow<kBits, 1>(cut, words, tiles, u + b * in, in, out_features,
                                out + b * out_features);
    }
  }
}

}  // namespace

}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#endif  // QTIPD_HAVE_BYTE_LOOKUP

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_WINDOWS_INL_H_
