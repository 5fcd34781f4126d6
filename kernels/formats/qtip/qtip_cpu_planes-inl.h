// Look-ups of the pairs of `hyb` in byte planes that lie in registers. 64 at a time: of a tile's
// 128 pairs those of rows 0 to 7 (part 0) or of rows 8 to 15. Bytes are then in the order of
//   byte 2 l      row l / 4, columns 2 (l mod 4) and the next        steps 0 and 1 of lane l
//   byte 2 l + 1  the same row, 8 columns on                         steps 2 and 3
// so that eight neighbours share a row. Included by sources that are compiled once per instruction
// set; what is here exists where bytes can be looked up so.
#if defined(QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_PLANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_PLANES_INL_H_
#undef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_PLANES_INL_H_
#else
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_PLANES_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/cpu/simd/trellis_ops-inl.h"
#include "kernels/formats/qtip/qtip_cpu_hash-inl.h"
#include "kernels/formats/qtip/qtip_layout.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {

#if QTIPD_HAVE_BYTE_LOOKUP

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kParts = 2;

using ByteTag = hn::Full512<uint8_t>;
using ByteMask = hn::Mask<ByteTag>;

// 64 hashes: bits 12..6 in the low bits of bytes, masks of their bits 13 and 14.
struct Index {
  ByteVec low;
  ByteMask bit13;
  ByteMask bit14;
};

// Bytes alternate between hashes `a` and `b`; `signs` has their bits 15..8.
HWY_INLINE Index MakeIndex(WordVec a, WordVec b, ByteVec& signs) {
  const hn::Full512<uint16_t> d16;
  const ByteTag d;
  const hn::Full512<int8_t> di;
  const WordVec low_byte = hn::Set(d16, uint16_t{0xFF});
  Index index;
  index.low =
      hn::BitCast(d, hn::IfVecThenElse(low_byte, hn::ShiftRight<6>(a), hn::ShiftLeft<2>(b)));
  signs = hn::BitCast(d, hn::IfVecThenElse(low_byte, hn::ShiftRight<8>(a), b));
  index.bit13 = hn::RebindMask(d, hn::MaskFromVec(hn::BitCast(di, index.low)));
  index.bit14 = hn::TestBit(signs, hn::Set(d, uint8_t{0x40}));
  return index;
}

// A byte plane of 512 entries in registers.
struct Plane {
  explicit HWY_INLINE Plane(const uint8_t* bytes) {
    for (int i = 0; i < 8; ++i) eighths[i] = hn::Load(ByteTag(), bytes + 64 * i);
  }
  HWY_INLINE ByteVec operator[](const Index& i) const {
    const auto quarter = [&](int at)
                             HWY_ATTR { return LookUp128(eighths[at], eighths[at + 1], i.low); };
    const ByteVec below = hn::IfThenElse(i.bit13, quarter(2), quarter(0));
    const ByteVec above = hn::IfThenElse(i.bit13, quarter(6), quarter(4));
    return hn::IfThenElse(i.bit14, above, below);
  }
  ByteVec eighths[8];
};

// Columns of the first and of the second weights of eight neighbours, over 16 columns.
constexpr int kPairColumns[kQtipTileCols] = {0, 8, 2, 10, 4, 12, 6, 14, 1, 9, 3, 11, 5, 13, 7, 15};

#endif  // QTIPD_HAVE_BYTE_LOOKUP

}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_PLANES_INL_H_
