// States and hashes of `hyb` in kernel layout, from the order of qtip_cpu_layout.h. Included by
// sources that are compiled once per instruction set.
#if defined(QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HASH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HASH_INL_H_
#undef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HASH_INL_H_
#else
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HASH_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/cpu/simd/trellis_ops-inl.h"
#include "kernels/formats/qtip/qtip_cpu_layout.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {

// At most the 32 lanes of a tile.
using StateTag = hwy::HWY_NAMESPACE::CappedTag<uint16_t, kQtipTileLanes>;
using StateVec = hwy::HWY_NAMESPACE::Vec<StateTag>;

// The words of the lanes after those at `plane + first`, which are `own`: lane 31's next is lane 0.
HWY_INLINE StateVec NextLanes(StateTag d, StateVec own, const uint16_t* plane, size_t first) {
  namespace hn = hwy::HWY_NAMESPACE;
#if QTIPD_HAVE_BYTE_LOOKUP
  return WordsOf(own, hn::Iota(d, 1));
#else
  const size_t lanes = hn::Lanes(d);
  const StateVec next = hn::LoadU(d, plane + first + 1);
  if (first + lanes < kQtipTileLanes) return next;
  const auto is_last = hn::Not(hn::FirstN(d, lanes - 1));
  return hn::IfThenElse(is_last, hn::Set(d, plane[0]), next);
#endif
}

// The same, and of the words own and next together the middle ones.
HWY_INLINE StateVec MiddleWords(StateTag d, StateVec own, StateVec next) {
#if QTIPD_HAVE_BYTE_LOOKUP
  // Does not wait for `next`, and leaves the units that shift to others.
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::Full512<uint8_t> d8;
  HWY_ALIGN static constexpr uint8_t kBytes[64] = {
      3,  0,  5,  2,  7,  4,  9,  6,  11, 8,  13, 10, 15, 12, 17, 14, 19, 16, 21, 18, 23, 20,
      25, 22, 27, 24, 29, 26, 31, 28, 33, 30, 35, 32, 37, 34, 39, 36, 41, 38, 43, 40, 45, 42,
      47, 44, 49, 46, 51, 48, 53, 50, 55, 52, 57, 54, 59, 56, 61, 58, 63, 60, 1,  62};
  return hn::BitCast(d, BytesOf(hn::BitCast(d8, own), hn::Load(d8, kBytes)));
#else
  return FunnelShiftLeft<8>(d, own, next);
#endif
}

// The states of steps 0..3 of each lane: 16-bit windows of own and next chunk.
template <int kBits>
HWY_INLINE void StatesOf(StateTag d, const uint16_t* high, const uint8_t* low, size_t first,
                         StateVec (&states)[4]) {
  namespace hn = hwy::HWY_NAMESPACE;
  const StateVec own = hn::LoadU(d, high + first);
  const StateVec next = NextLanes(d, own, high, first);
  states[0] = own;
  if constexpr (kBits == 2) {
    states[1] = FunnelShiftLeft<4>(d, own, next);
    states[2] = MiddleWords(d, own, next);
    states[3] = FunnelShiftLeft<12>(d, own, next);
  } else if constexpr (kBits == 3) {
    const hn::Rebind<uint8_t, StateTag> d8;
    const StateVec low8 = hn::PromoteTo(d, hn::LoadU(d8, low + first));
    const StateVec second = hn::Or(hn::ShiftLeft<8>(low8), hn::ShiftRight<8>(next));
    states[1] = FunnelShiftLeft<6>(d, own, second);
    states[2] = FunnelShiftLeft<12>(d, own, second);
    states[3] = FunnelShiftLeft<2>(d, second, hn::ShiftLeft<8>(next));
  } else {
    const StateVec second = hn::LoadU(d, reinterpret_cast<const uint16_t*>(low) + first);
    states[1] = FunnelShiftLeft<8>(d, own, second);
    states[2] = second;
    states[3] = FunnelShiftLeft<8>(d, second, next);
  }
}

// The hashes of steps 0..3 of lanes `first` on of tile `slot` of a pair.
template <int kBits>
HWY_INLINE void HashesOf(const uint8_t* pair, int slot, size_t first, StateVec (&hashes)[4]) {
  namespace hn = hwy::HWY_NAMESPACE;
  const StateTag d;
  constexpr int kPlane = kQtipTileLanes * 2;
  const auto* high = reinterpret_cast<const uint16_t*>(pair + slot * kPlane);
  const uint8_t* low = pair + 2 * kPlane + slot * (kBits == 3 ? kQtipTileLanes : kPlane);
  const StateVec one = hn::Set(d, uint16_t{1});
  if (first == 0) PrefetchStream(high);
  if (first == 0 && kBits == 4) PrefetchStream(low);
  StatesOf<kBits>(d, high, low, first, hashes);
  for (auto& state : hashes) state = hn::Mul(state, hn::Add(state, one));
}

}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HASH_INL_H_
