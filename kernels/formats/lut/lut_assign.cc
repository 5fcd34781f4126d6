#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/lut/lut_assign.cc"
#include "kernels/formats/lut/lut_assign.h"

#include <algorithm>
#include <limits>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using IntTag = hn::RebindToSigned<FloatTag>;

// Up to so many entries all thresholds are compared with; beyond, they are searched by halves.
constexpr int kComparedEntries = 16;

template <class V>
HWY_INLINE auto SearchIndices(const LutTable& table, V scaled) {
  const FloatTag d;
  const IntTag di;
  auto index = hn::Zero(di);
  if (table.entries <= kComparedEntries) {
    for (int i = 0; i + 1 < table.entries; ++i) {
      const auto above = hn::Gt(scaled, hn::Set(d, table.thresholds[i]));
      index = hn::IfThenElse(hn::RebindMask(di, above), hn::Set(di, i + 1), index);
    }
    return index;
  }
  for (int step = table.entries / 2; step > 0; step /= 2) {
    const auto next = hn::Add(index, hn::Set(di, step));
    const auto threshold = hn::GatherIndex(d, table.thresholds - 1, next);
    index = hn::IfThenElse(hn::RebindMask(di, hn::Gt(scaled, threshold)), next, index);
  }
  return index;
}

template <class V>
HWY_INLINE V SearchValues(const LutTable& table, V scaled) {
  const FloatTag d;
  if (table.entries > kComparedEntries) {
    return hn::GatherIndex(d, table.values, SearchIndices(table, scaled));
  }
  V value = hn::Set(d, table.values[0]);
  for (int i = 0; i + 1 < table.entries; ++i) {
    const auto above = hn::Gt(scaled, hn::Set(d, table.thresholds[i]));
    value = hn::IfThenElse(above, hn::Set(d, table.values[i + 1]), value);
  }
  return value;
}

// Calls use(i, lanes, weights) for vectors of all weights; the last may be filled up with zeros.
template <class Use>
HWY_INLINE void ForVectors(const float* weights, size_t count, const Use& use) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) use(i, lanes, hn::LoadU(d, weights + i));
  if (i == count) return;
  HWY_ALIGN float rest[hn::MaxLanes(d)] = {};
  std::copy(weights + i, weights + count, rest);
  use(i, count - i, hn::Load(d, rest));
}

void FindIndices(const LutTable& table, const float* weights, size_t count, float factor,
                 uint8_t* indices) {
  const FloatTag d;
  ForVectors(weights, count, [&](size_t i, size_t lanes, auto w) HWY_ATTR {
    HWY_ALIGN int32_t found[hn::MaxLanes(FloatTag())];
    hn::Store(SearchIndices(table, hn::Mul(w, hn::Set(d, factor))), IntTag(), found);
    for (size_t lane = 0; lane < lanes; ++lane)
      indices[i + lane] = static_cast<uint8_t>(found[lane]);
  });
}

void FindValues(const LutTable& table, const float* weights, size_t count, float factor,
                float* values) {
  const FloatTag d;
  ForVectors(weights, count, [&](size_t i, size_t lanes, auto w) HWY_ATTR {
    HWY_ALIGN float found[hn::MaxLanes(FloatTag())];
    const auto value = SearchValues(table, hn::Mul(w, hn::Set(d, factor)));
    if (lanes == hn::Lanes(d)) return hn::StoreU(value, d, values + i);
    hn::Store(value, d, found);
    std::copy_n(found, lanes, values + i);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(FindIndices);
HWY_EXPORT(FindValues);

LutTable::LutTable(std::span<const float> codebook) : entries(static_cast<int>(codebook.size())) {
  std::ranges::copy(codebook, values);
  std::ranges::fill(thresholds, std::numeric_limits<float>::infinity());
  for (int i = 0; i + 1 < entries; ++i) {
    thresholds[i] = static_cast<float>((double{values[i]} + values[i + 1]) / 2);
  }
}

void FindLutIndices(const LutTable& table, std::span<const float> weights, float factor,
                    uint8_t* indices) {
  HWY_DYNAMIC_DISPATCH(FindIndices)(table, weights.data(), weights.size(), factor, indices);
}

void FindLutValues(const LutTable& table, std::span<const float> weights, float factor,
                   float* values) {
  HWY_DYNAMIC_DISPATCH(FindValues)(table, weights.data(), weights.size(), factor, values);
}

}  // namespace qtipd
#endif  // HWY_ONCE
