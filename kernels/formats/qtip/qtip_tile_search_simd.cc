#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_tile_search_simd.cc"
#include "kernels/formats/qtip/qtip_tile_search_simd.h"
#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/formats/qtip/qtip_search.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Saturating 16-bit costs.
struct Costs16 {
  using Type = uint16_t;
  using Tag = hn::CappedTag<uint16_t, 32>;
  using V = hn::Vec<Tag>;
#if HWY_TARGET == HWY_SCALAR
  using Floats = hn::Rebind<float, Tag>;
#else
  using Floats = hn::Repartition<float, Tag>;  // half as many lanes
#endif
  static V Max(Tag d) { return hn::Set(d, uint16_t{0xFFFF}); }
  static V Add(V a, V b) { return hn::SaturatedAdd(a, b); }
  static V Sub(V a, V b) { return hn::SaturatedSub(a, b); }
};

struct Costs32 {
  using Type = float;
  using Tag = hn::CappedTag<float, 16>;
  using V = hn::Vec<Tag>;
  using Floats = Tag;
  static V Max(Tag d) { return hn::Inf(d); }
  static V Add(V a, V b) { return hn::Add(a, b); }
  static V Sub(V a, V b) { return hn::Sub(a, b); }
};

// (x0 -+ w0)^2 + (x1 - w1)^2, scaled. No fused multiply-add: the same bits on every target.
template <class DF>
HWY_INLINE void PairMetric(DF df, hn::Vec<DF> x0, hn::Vec<DF> x1, const float* weights,
                           hn::Vec<DF> scale, hn::Vec<DF>& plus, hn::Vec<DF>& minus) {
  const auto w0 = hn::Set(df, weights[0]);
  const auto d1 = hn::Sub(x1, hn::Set(df, weights[1]));
  const auto dp = hn::Sub(x0, w0);
  const auto dm = hn::Add(x0, w0);
  const auto dd = hn::Mul(d1, d1);
  plus = hn::Mul(hn::Add(hn::Mul(dp, dp), dd), scale);
  minus = hn::Mul(hn::Add(hn::Mul(dm, dm), dd), scale);
}

template <class DF>
HWY_INLINE void StoreMetric(DF df, hn::Vec<DF> value, float* to) {
  hn::Store(value, df, to);
}

template <class DF>
HWY_INLINE void StoreMetric(DF df, hn::Vec<DF> value, uint16_t* to) {
  const hn::Rebind<uint16_t, DF> d16;
  const auto clipped = hn::Min(value, hn::Set(df, 65535.0f));
  hn::Store(hn::DemoteTo(d16, hn::NearestInt(clipped)), d16, to);
}

template <class C>
void Metrics(const QtipForwardPass<typename C::Type>& pass, int step) {
  const typename C::Floats df;
  const size_t lanes = hn::Lanes(typename C::Tag());
  const float* first = pass.samples + 2 * step * lanes;
  const auto scale = hn::Set(df, pass.scale);
  typename C::Type* minus_rows = pass.metrics + kQtipLutEntries * lanes;
  for (size_t lane = 0; lane < lanes; lane += hn::Lanes(df)) {
    const auto x0 = hn::Load(df, first + lane);
    const auto x1 = hn::Load(df, first + lanes + lane);
    for (int i = 0; i < kQtipLutEntries; ++i) {
      hn::Vec<decltype(df)> plus, minus;
      PairMetric(df, x0, x1, pass.lut + 2 * i, scale, plus, minus);
      StoreMetric(df, plus, pass.metrics + i * lanes + lane);
      StoreMetric(df, minus, minus_rows + i * lanes + lane);
    }
  }
}

// One step for every class; returns the smallest new cost of each lane. A state s = (j, p) and its
// complement (J-1-j, P-1-p) have the same metric, so one load serves class p and class P-1-p.
template <class C, int kStepBits>
HWY_INLINE typename C::V Step(const QtipForwardPass<typename C::Type>& pass,
                              const typename C::Type* HWY_RESTRICT in,
                              typename C::Type* HWY_RESTRICT out, typename C::V base) {
  using V = typename C::V;
  constexpr int kClasses = 1 << (kQtipStateBits - kStepBits);
  constexpr int kBranches = 1 << kStepBits;
  constexpr int kBranchShift = kQtipStateBits - 2 * kStepBits;
  constexpr int kBlock = hn::MaxLanes(typename C::Tag()) * sizeof(typename C::Type) >= 64 ? 8 : 4;
  static_assert(kQtipClassBlock % kBlock == 0);
  const typename C::Tag d;
  const size_t lanes = hn::Lanes(d);
  const typename C::Type* HWY_RESTRICT metrics = pass.metrics;
  V smallest = C::Max(d);
  for (int first = 0; first < kClasses / 2; first += kBlock) {
    const int q = first >> kStepBits;
    const uint16_t* HWY_RESTRICT offset = pass.offsets +
                                          (first / kQtipClassBlock) * kBranches * kQtipClassBlock +
                                          first % kQtipClassBlock;
    V low[kBlock], high[kBlock];
    for (int r = 0; r < kBlock; ++r) low[r] = high[r] = C::Max(d);
    for (int j = 0; j < kBranches; ++j, offset += kQtipClassBlock) {
      const int from = (j << kBranchShift) | q;
      const V from_low = hn::Load(d, in + from * lanes);
      const V from_high = hn::Load(d, in + (kClasses - 1 - from) * lanes);
      HWY_UNROLL(8)
      for (int r = 0; r < kBlock; ++r) {
        const V metric = hn::Load(d, metrics + offset[r]);
        low[r] = hn::Min(low[r], C::Add(from_low, metric));
        high[r] = hn::Min(high[r], C::Add(from_high, metric));
      }
    }
    HWY_UNROLL(8)
    for (int r = 0; r < kBlock; ++r) {
      low[r] = C::Sub(low[r], base);
      high[r] = C::Sub(high[r], base);
      smallest = hn::Min(smallest, hn::Min(low[r], high[r]));
      hn::Store(low[r], d, out + (first + r) * lanes);
      hn::Store(high[r], d, out + (kClasses - 1 - first - r) * lanes);
    }
  }
  return smallest;
}

template <class C, int kStepBits>
void Forward(const QtipForwardPass<typename C::Type>& pass) {
  const typename C::Tag d;
  const size_t lanes = hn::Lanes(d);
  const size_t slot_size = lanes << (kQtipStateBits - kStepBits);
  auto smallest = hn::Zero(d);
  for (int t = 0; t < kQtipSteps; ++t) {
    Metrics<C>(pass, t);
    const auto* in = pass.history + QtipHistorySlot(t, pass.first_kept) * slot_size;
    auto* out = pass.history + QtipHistorySlot(t + 1, pass.first_kept) * slot_size;
    const auto base = t < pass.unnormalised_steps ? hn::Zero(d) : smallest;
    hn::Store(base, d, pass.bases + t * lanes);
    smallest = Step<C, kStepBits>(pass, in, out, base);
  }
}

template <class C>
void ForwardAny(const QtipForwardPass<typename C::Type>& pass) {
  if (pass.step_bits == 4) return Forward<C, 4>(pass);
  if (pass.step_bits == 6) return Forward<C, 6>(pass);
  Forward<C, 8>(pass);
}

void Forward16(const QtipForwardPass<uint16_t>& pass) { ForwardAny<Costs16>(pass); }
void Forward32(const QtipForwardPass<float>& pass) { ForwardAny<Costs32>(pass); }
void Metrics16(const QtipForwardPass<uint16_t>& pass, int step) { Metrics<Costs16>(pass, step); }
void Metrics32(const QtipForwardPass<float>& pass, int step) { Metrics<Costs32>(pass, step); }
int Lanes16() { return static_cast<int>(hn::Lanes(Costs16::Tag())); }
int Lanes32() { return static_cast<int>(hn::Lanes(Costs32::Tag())); }
const char* Target() { return hwy::TargetName(HWY_TARGET); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(Forward16);
HWY_EXPORT(Forward32);
HWY_EXPORT(Metrics16);
HWY_EXPORT(Metrics32);
HWY_EXPORT(Lanes16);
HWY_EXPORT(Lanes32);
HWY_EXPORT(Target);

template <>
int QtipViterbiLanes<uint16_t>() {
  return HWY_DYNAMIC_DISPATCH(Lanes16)();
}
template <>
int QtipViterbiLanes<float>() {
  return HWY_DYNAMIC_DISPATCH(Lanes32)();
}
template <>
void QtipRunForwardPass(const QtipForwardPass<uint16_t>& pass) {
  HWY_DYNAMIC_DISPATCH(Forward16)(pass);
}
template <>
void QtipRunForwardPass(const QtipForwardPass<float>& pass) {
  HWY_DYNAMIC_DISPATCH(Forward32)(pass);
}
template <>
void QtipBranchMetrics(const QtipForwardPass<uint16_t>& pass, int step) {
  HWY_DYNAMIC_DISPATCH(Metrics16)(pass, step);
}
template <>
void QtipBranchMetrics(const QtipForwardPass<float>& pass, int step) {
  HWY_DYNAMIC_DISPATCH(Metrics32)(pass, step);
}
const char* QtipViterbiTarget() { return HWY_DYNAMIC_DISPATCH(Target)(); }

}  // namespace qtipd
#endif  // HWY_ONCE
