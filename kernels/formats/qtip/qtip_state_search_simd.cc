#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_state_search_simd.cc"
#include "kernels/formats/qtip/qtip_state_search_simd.h"

#include <algorithm>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/cpu/simd/trellis_ops-inl.h"
#include "kernels/formats/qtip/qtip_search.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kMaxVectorBytes = 64;

// Saturating 16-bit costs in vectors of at most kLanes lanes.
template <int kMaxLanes>
struct Narrow {
  using Costs = QtipNarrowCosts;
  using Tag = hn::CappedTag<uint16_t, kMaxLanes>;
  using V = hn::Vec<Tag>;
  using Samples = hn::Vec<hn::Rebind<int16_t, Tag>>;

  static V Max(Tag d) { return hn::Set(d, uint16_t{0xFFFF}); }
  static V Add(V a, V b) { return hn::SaturatedAdd(a, b); }
  static V Sub(V a, V b) { return hn::SaturatedSub(a, b); }
  static Samples Set(Tag d, int16_t sample) { return hn::Set(hn::Rebind<int16_t, Tag>(), sample); }
  template <bool kDoubles>
  static V Metric(Tag d, const int16_t* weights, Samples x) {
    Samples difference = hn::SaturatedSub(hn::Load(hn::Rebind<int16_t, Tag>(), weights), x);
    if constexpr (kDoubles) difference = hn::SaturatedAdd(difference, difference);
    return SquareOfFractions(hn::Rebind<int16_t, Tag>(), difference);
  }
};

template <int kMaxLanes>
struct Wide {
  using Costs = QtipWideCosts;
  using Tag = hn::CappedTag<float, kMaxLanes>;
  using V = hn::Vec<Tag>;
  using Samples = V;

  static V Max(Tag d) { return hn::Inf(d); }
  static V Add(V a, V b) { return hn::Add(a, b); }
  static V Sub(V a, V b) { return hn::Sub(a, b); }
  static Samples Set(Tag d, float sample) { return hn::Set(d, sample); }
  template <bool kDoubles>
  static V Metric(Tag d, const float* weights, Samples x) {
    const V difference = hn::Sub(hn::Load(d, weights), x);
    return hn::Mul(difference, difference);
  }
};

using NarrowFull = Narrow<32>;
using NarrowOne = Narrow<1>;
using WideFull = Wide<16>;
using WideOne = Wide<1>;

template <class A, bool kDoubles, int kDim>
HWY_INLINE typename A::V StateMetric(typename A::Tag d, const typename A::Costs::Weight* weights,
                                     const typename A::Samples (&x)[kDim]) {
  auto metric = A::template Metric<kDoubles>(d, weights, x[0]);
  if constexpr (kDim == 2) {
    metric = A::Add(metric, A::template Metric<kDoubles>(d, weights + hn::Lanes(d), x[1]));
  }
  return metric;
}

// Stores vectors r = 0 .. 2^kStepBits - 1 so that element (lane, r) lies at (lane << kStepBits) |
// r.
template <int kStepBits, class Tag>
HWY_INLINE void StoreInterleaved(Tag d, const hn::Vec<Tag>* v, hn::TFromD<Tag>* to) {
  const size_t lanes = hn::Lanes(d);
  if constexpr (kStepBits == 1) {
    hn::StoreInterleaved2(v[0], v[1], d, to);
  } else if constexpr (kStepBits == 2) {
    hn::StoreInterleaved4(v[0], v[1], v[2], v[3], d, to);
  } else {
    // r = 4 high + low: first by `high` for every `low`, then by `low`.
    constexpr int kHigh = 1 << (kStepBits - 2);
    alignas(kMaxVectorBytes) hn::TFromD<Tag> parts[4][kHigh * hn::MaxLanes(Tag())];
    for (int low = 0; low < 4; ++low) {
      if constexpr (kHigh == 2) {
        hn::StoreInterleaved2(v[low], v[low + 4], d, parts[low]);
      } else {
        hn::StoreInterleaved4(v[low], v[low + 4], v[low + 8], v[low + 12], d, parts[low]);
      }
    }
    for (size_t i = 0; i < kHigh * lanes; i += lanes) {
      hn::StoreInterleaved4(hn::Load(d, parts[0] + i), hn::Load(d, parts[1] + i),
                            hn::Load(d, parts[2] + i), hn::Load(d, parts[3] + i), d, to + 4 * i);
    }
  }
}

// One step for every class; returns the smallest new costs. Lanes are neighbouring classes q.
template <class A, bool kDoubles, int kDim, int kStepBits>
HWY_INLINE typename A::V StepOverClasses(const QtipStatePass<typename A::Costs>& pass,
                                         const typename A::Costs::Cost* HWY_RESTRICT in,
                                         typename A::Costs::Cost* HWY_RESTRICT out,
                                         const typename A::Samples (&x)[kDim], typename A::V base) {
  using V = typename A::V;
  constexpr int kBranches = 1 << kStepBits;
  const typename A::Tag d;
  const size_t lanes = hn::Lanes(d);
  const size_t sources = size_t{1} << (pass.spec.state_bits - 2 * kStepBits);
  const typename A::Costs::Weight* HWY_RESTRICT weights = pass.weights;
  V smallest = A::Max(d);
  for (size_t q = 0; q < sources; q += lanes) {
    V best[kBranches];
    HWY_UNROLL(16)
    for (int r = 0; r < kBranches; ++r) best[r] = A::Max(d);
    for (int j = 0; j < kBranches; ++j) {
      const V from = hn::Load(d, in + j * sources + q);
      HWY_UNROLL(16)
      for (int r = 0; r < kBranches; ++r) {
        best[r] =
            hn::Min(best[r],
                    A::Add(from, StateMetric<A, kDoubles, kDim>(d, weights + r * kDim * lanes, x)));
      }
      weights += kBranches * kDim * lanes;
    }
    HWY_UNROLL(16)
    for (int r = 0; r < kBranches; ++r) {
      best[r] = A::Sub(best[r], base);
      smallest = hn::Min(smallest, best[r]);
    }
    StoreInterleaved<kStepBits>(d, best, out + (q << kStepBits));
  }
  return smallest;
}

// The same where lanes are classes that all follow from one class q.
template <class A, bool kDoubles, int kDim>
HWY_INLINE typename A::V StepOverSuccessors(const QtipStatePass<typename A::Costs>& pass,
                                            const typename A::Costs::Cost* HWY_RESTRICT in,
                                            typename A::Costs::Cost* HWY_RESTRICT out,
                                            const typename A::Samples (&x)[kDim],
                                            typename A::V base) {
  using V = typename A::V;
  const typename A::Tag d;
  const size_t lanes = hn::Lanes(d);
  const int step_bits = pass.spec.step_bits();
  const int class_bits = pass.spec.state_bits - step_bits;
  const typename A::Costs::Weight* HWY_RESTRICT weights = pass.weights;
  V smallest = A::Max(d);
  for (size_t p = 0; p < size_t{1} << class_bits; p += lanes) {
    V best = A::Max(d);
    for (size_t j = 0; j < size_t{1} << step_bits; ++j) {
      const V from = hn::Set(d, in[((j << class_bits) | p) >> step_bits]);
      best = hn::Min(best, A::Add(from, StateMetric<A, kDoubles, kDim>(d, weights, x)));
      weights += kDim * lanes;
    }
    best = A::Sub(best, base);
    smallest = hn::Min(smallest, best);
    hn::Store(best, d, out + p);
  }
  return smallest;
}

template <class Tag>
HWY_INLINE hn::TFromD<Tag> Smallest(Tag d, hn::Vec<Tag> v) {
  alignas(kMaxVectorBytes) hn::TFromD<Tag> lanes[hn::MaxLanes(Tag())];
  hn::Store(v, d, lanes);
  return *std::min_element(lanes, lanes + hn::Lanes(d));
}

// kStepBits 0: over successors.
template <class A, int kDim, int kStepBits, bool kDoubles>
void Forward(const QtipStatePass<typename A::Costs>& pass) {
  const typename A::Tag d;
  const size_t classes = size_t{1} << (pass.spec.state_bits - pass.spec.step_bits());
  typename A::Costs::Cost smallest = 0;
  for (int t = 0; t < pass.spec.steps(); ++t) {
    typename A::Samples x[kDim];
    for (int f = 0; f < kDim; ++f) x[f] = A::Set(d, pass.samples[t * kDim + f]);
    const auto* in = pass.history + QtipHistorySlot(t, pass.first_kept) * classes;
    auto* out = pass.history + QtipHistorySlot(t + 1, pass.first_kept) * classes;
    pass.bases[t] = t < pass.unnormalised_steps ? typename A::Costs::Cost{0} : smallest;
    const auto base = hn::Set(d, pass.bases[t]);
    if constexpr (kStepBits == 0) {
      smallest = Smallest(d, StepOverSuccessors<A, kDoubles, kDim>(pass, in, out, x, base));
    } else {
      smallest = Smallest(d, StepOverClasses<A, kDoubles, kDim, kStepBits>(pass, in, out, x, base));
    }
  }
}

// How a trellis is walked with vectors of `lanes` lanes.
enum class Walk { kOverClasses, kOverSuccessors, kOneByOne };

Walk WalkOf(const QtipCodeSpec& spec, size_t lanes) {
  const int step_bits = spec.step_bits();
  const int class_bits = spec.state_bits - step_bits;
  const int source_bits = class_bits - step_bits;
  if (step_bits <= 4 && source_bits >= 0 && (size_t{1} << source_bits) >= lanes) {
    return Walk::kOverClasses;
  }
  if ((size_t{1} << std::min(step_bits, class_bits)) >= lanes) return Walk::kOverSuccessors;
  return Walk::kOneByOne;
}

template <class Full, class One>
void Run(const QtipStatePass<typename Full::Costs>& pass) {
  const QtipCodeSpec& spec = pass.spec;
  const Walk walk = WalkOf(spec, hn::Lanes(typename Full::Tag()));
  const bool is_pair = spec.vector_dim == 2;
  if (walk == Walk::kOverClasses) {
    if (is_pair && spec.bits == 1) return Forward<Full, 2, 2, false>(pass);
    if (is_pair) return Forward<Full, 2, 4, false>(pass);
    if (spec.bits == 1) return Forward<Full, 1, 1, false>(pass);
    if (spec.bits == 2) return Forward<Full, 1, 2, false>(pass);
    if (spec.bits == 3) return Forward<Full, 1, 3, true>(pass);
    return Forward<Full, 1, 4, true>(pass);
  }
  const bool doubles = QtipDoublesDifferences(spec.bits);
  if (walk == Walk::kOverSuccessors) {
    if (is_pair)
      return doubles ? Forward<Full, 2, 0, true>(pass) : Forward<Full, 2, 0, false>(pass);
    return doubles ? Forward<Full, 1, 0, true>(pass) : Forward<Full, 1, 0, false>(pass);
  }
  if (is_pair) return doubles ? Forward<One, 2, 0, true>(pass) : Forward<One, 2, 0, false>(pass);
  return doubles ? Forward<One, 1, 0, true>(pass) : Forward<One, 1, 0, false>(pass);
}

template <class Full>
QtipStateOrder<typename Full::Costs> Order(const QtipCodeSpec& spec) {
  const size_t full = hn::Lanes(typename Full::Tag());
  const Walk walk = WalkOf(spec, full);
  const size_t lanes = walk == Walk::kOneByOne ? 1 : full;
  const int step_bits = spec.step_bits();
  const int class_bits = spec.state_bits - step_bits;
  const size_t branches = size_t{1} << step_bits;
  QtipStateOrder<typename Full::Costs> order{static_cast<int>(lanes), {}};
  const auto add = [&](size_t state) { order.states.push_back(static_cast<uint16_t>(state)); };
  const size_t first_step = walk == Walk::kOverClasses ? lanes << step_bits : lanes;
  for (size_t p = 0; p < size_t{1} << class_bits; p += first_step) {
    for (size_t j = 0; j < branches; ++j) {
      for (size_t r = 0; r < first_step / lanes; ++r) {
        for (size_t lane = 0; lane < lanes; ++lane) {
          const size_t within = walk == Walk::kOverClasses ? (lane << step_bits) + r : lane;
          add((j << class_bits) + p + within);
        }
      }
    }
  }
  return order;
}

void RunNarrow(const QtipStatePass<QtipNarrowCosts>& pass) { Run<NarrowFull, NarrowOne>(pass); }
void RunWide(const QtipStatePass<QtipWideCosts>& pass) { Run<WideFull, WideOne>(pass); }
QtipStateOrder<QtipNarrowCosts> OrderNarrow(const QtipCodeSpec& spec) {
  return Order<NarrowFull>(spec);
}
QtipStateOrder<QtipWideCosts> OrderWide(const QtipCodeSpec& spec) { return Order<WideFull>(spec); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(RunNarrow);
HWY_EXPORT(RunWide);
HWY_EXPORT(OrderNarrow);
HWY_EXPORT(OrderWide);

template <>
QtipStateOrder<QtipNarrowCosts> MakeQtipStateOrder(const QtipCodeSpec& spec) {
  return HWY_DYNAMIC_DISPATCH(OrderNarrow)(spec);
}
template <>
QtipStateOrder<QtipWideCosts> MakeQtipStateOrder(const QtipCodeSpec& spec) {
  return HWY_DYNAMIC_DISPATCH(OrderWide)(spec);
}
template <>
void QtipRunStatePass(const QtipStatePass<QtipNarrowCosts>& pass) {
  HWY_DYNAMIC_DISPATCH(RunNarrow)(pass);
}
template <>
void QtipRunStatePass(const QtipStatePass<QtipWideCosts>& pass) {
  HWY_DYNAMIC_DISPATCH(RunWide)(pass);
}

}  // namespace qtipd
#endif  // HWY_ONCE
