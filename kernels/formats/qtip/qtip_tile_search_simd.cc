#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_tile_search_simd.cc"
#include "kernels/formats/qtip/qtip_tile_search_simd.h"

#include <algorithm>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<uint16_t, kQtipRowCosts>;
using V = hn::Vec<Tag>;
constexpr int kLanes = hn::MaxLanes(Tag());
constexpr int kParts = kQtipRowCosts / kLanes;  // vectors of a row
constexpr Tag kTag;

// Rows whose running minima stay in registers together.
constexpr int kBlock = kParts == 1 ? 16 : kQtipPointerRows;
static_assert(kQtipRowBlock % kBlock == 0 && kBlock % kQtipPointerRows == 0);

// The bits of a cost that are a pointer, where it has one.
constexpr uint16_t kPointerMask = 0x000F;

struct Row {
  HWY_INLINE Row() {}  // the compiler's own would not be of this instruction set
  V part[kParts];
};

template <class F>
HWY_INLINE Row MakeRow(F&& part) {
  Row row;
  HWY_UNROLL(kParts)
  for (int i = 0; i < kParts; ++i) row.part[i] = part(i);
  return row;
}

HWY_INLINE Row Splat(uint16_t value) {
  return MakeRow([=](int) { return hn::Set(kTag, value); });
}

HWY_INLINE Row LoadRow(const uint16_t* from) {
  return MakeRow([=](int i) { return hn::Load(kTag, from + i * kLanes); });
}

HWY_INLINE void StoreRow(const Row& row, uint16_t* to) {
  HWY_UNROLL(kParts)
  for (int i = 0; i < kParts; ++i) hn::Store(row.part[i], kTag, to + i * kLanes);
}

HWY_INLINE Row Min(const Row& a, const Row& b) {
  return MakeRow([&](int i) { return hn::Min(a.part[i], b.part[i]); });
}

#if HWY_TARGET <= HWY_AVX3
static_assert(kParts == 1);

// The row with its halves exchanged.
HWY_INLINE Row Mirrored(const Row& row) {
  return MakeRow([&](int i) { return hn::ConcatLowerUpper(kTag, row.part[i], row.part[i]); });
}

// Metrics of 16 tiles, for both halves of a row: a load that repeats 32 bytes, which Highway does
// not have.
HWY_INLINE Row LoadMetrics(const uint16_t* from) {
  const __m256i metrics = _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
  return MakeRow([=](int) { return V{_mm512_broadcast_i64x4(metrics)}; });
}
#else
HWY_INLINE Row Mirrored(const Row& row) {
  return MakeRow([&](int i) { return row.part[(i + kParts / 2) % kParts]; });
}

HWY_INLINE Row LoadMetrics(const uint16_t* from) {
  return MakeRow([=](int i) { return hn::Load(kTag, from + i % (kParts / 2) * kLanes); });
}
#endif

using FloatTag = hn::CappedTag<float, kQtipSearchTiles>;
using Floats = hn::Vec<FloatTag>;
constexpr FloatTag kFloats;

// Squared error to metric. No fused multiply-add anywhere: the same bits on every target.
template <int kShift>
HWY_INLINE void StoreMetric(Floats error, Floats scale, uint16_t* to) {
  const hn::Rebind<uint16_t, FloatTag> d16;
  const auto clipped =
      hn::Min(hn::Mul(error, scale), hn::Set(kFloats, static_cast<float>(0xFFFF >> kShift)));
  hn::Store(hn::ShiftLeft<kShift>(hn::DemoteTo(d16, hn::NearestInt(clipped))), d16, to);
}

HWY_INLINE Floats Square(Floats x) { return hn::Mul(x, x); }

// (x0 - w0)^2 + (x1 - w1)^2 and (x0 + w0)^2 + (x1 - w1)^2 of all table rows.
template <int kShift>
void Metrics(const QtipForwardPass& pass, int step) {
  const float* samples = pass.samples + 2 * step * kQtipSearchTiles;
  uint16_t* plain = pass.metrics;
  uint16_t* negated = plain + QtipMetricRow(0, true) * kQtipSearchTiles;
  const auto scale = hn::Set(kFloats, pass.scale);
  for (size_t lane = 0; lane < kQtipSearchTiles; lane += hn::Lanes(kFloats)) {
    const auto x0 = hn::Load(kFloats, samples + lane);
    const auto x1 = hn::Load(kFloats, samples + kQtipSearchTiles + lane);
    for (int i = 0; i < kQtipLutEntries; ++i) {
      const auto w0 = hn::Set(kFloats, pass.lut[2 * i]);
      const auto second = Square(hn::Sub(x1, hn::Set(kFloats, pass.lut[2 * i + 1])));
      const size_t at = QtipMetricRow(i, false) * kQtipSearchTiles + lane;
      StoreMetric<kShift>(hn::Add(Square(hn::Sub(x0, w0)), second), scale, plain + at);
      StoreMetric<kShift>(hn::Add(Square(hn::Add(x0, w0)), second), scale, negated + at);
    }
  }
}

template <int kShift>
void OneMetricEach(const QtipForwardPass& pass, int step, const float* weights, uint16_t* metrics) {
  const float* samples = pass.samples + 2 * step * kQtipSearchTiles;
  const auto scale = hn::Set(kFloats, pass.scale);
  const auto error = [&](size_t at) {
    return Square(hn::Sub(hn::Load(kFloats, samples + at), hn::Load(kFloats, weights + at)));
  };
  for (size_t lane = 0; lane < kQtipSearchTiles; lane += hn::Lanes(kFloats)) {
    StoreMetric<kShift>(hn::Add(error(lane), error(kQtipSearchTiles + lane)), scale,
                        metrics + lane);
  }
}

// The branches into kBlock rows that come from one row of the boundary before.
HWY_INLINE void Relax(const Row& from, const uint16_t* HWY_RESTRICT metrics,
                      const uint16_t* HWY_RESTRICT offset, Row* HWY_RESTRICT best) {
  HWY_UNROLL(kBlock)
  for (int r = 0; r < kBlock; ++r) {
    const Row metric = LoadMetrics(metrics + offset[r]);
    best[r] = MakeRow([&](int i) {
      return hn::Min(best[r].part[i], hn::SaturatedAdd(from.part[i], metric.part[i]));
    });
  }
}

// `a` where the mask has ones, else `b`.
HWY_INLINE Row Select(uint16_t mask, const Row& a, const Row& b) {
  const V ones = hn::Set(kTag, mask);
  return MakeRow(
      [&](int i) { return hn::Or(hn::And(ones, a.part[i]), hn::AndNot(ones, b.part[i])); });
}

template <int kShift>
HWY_INLINE Row ShiftLeft(const Row& row) {
  return MakeRow([&](int i) { return hn::ShiftLeft<kShift>(row.part[i]); });
}

// Four rows' lowest four bits, the first row's lowest.
HWY_INLINE Row Pointers(const Row* rows) {
  const Row first = Select(kPointerMask, rows[0], ShiftLeft<4>(rows[1]));
  const Row last = Select(kPointerMask, rows[2], ShiftLeft<4>(rows[3]));
  return Select(0x00FF, first, ShiftLeft<8>(last));
}

// One step for every class; returns the smallest new cost of each lane.
template <int kStepBits>
HWY_INLINE Row Step(const QtipForwardPass& pass, const uint16_t* marks,
                    const uint16_t* HWY_RESTRICT in, uint16_t* HWY_RESTRICT out,
                    uint16_t* HWY_RESTRICT pointers, const Row& base) {
  constexpr int kClasses = 1 << (kQtipStateBits - kStepBits);
  constexpr int kBranches = 1 << kStepBits;
  constexpr int kBranchShift = kQtipStateBits - 2 * kStepBits;
  constexpr bool kPoints = QtipPointerBits(kStepBits) > 0;
  Row smallest = Splat(0xFFFF);
  for (int first = 0; first < kClasses / 2; first += kBlock) {
    const uint16_t* HWY_RESTRICT offset =
        pass.offsets + (first / kQtipRowBlock) * kBranches * kQtipRowBlock + first % kQtipRowBlock;
    Row best[kBlock];
    for (int r = 0; r < kBlock; ++r) best[r] = Splat(0xFFFF);
    for (int j = 0; j < kBranches / 2; ++j, offset += kQtipRowBlock) {
      const int from = (j << kBranchShift) | (first >> kStepBits);
      Relax(LoadRow(in + from * kQtipRowCosts), pass.metrics, offset, best);
    }
    for (int j = kBranches / 2; j < kBranches; ++j, offset += kQtipRowBlock) {
      const int mirror = kClasses - 1 - ((j << kBranchShift) | (first >> kStepBits));
      Relax(Mirrored(LoadRow(in + mirror * kQtipRowCosts)), pass.metrics, offset, best);
    }
    if constexpr (kPoints) {
      for (int r = 0; r < kBlock; r += kQtipPointerRows) {
        StoreRow(Pointers(best + r), pointers + (first + r) / kQtipPointerRows * kQtipRowCosts);
      }
    }
    const Row mark = LoadRow(marks + (first >> kBranchShift) * kQtipRowCosts);
    HWY_UNROLL(kBlock)
    for (int r = 0; r < kBlock; ++r) {
      Row cost = MakeRow([&](int i) { return hn::SaturatedSub(best[r].part[i], base.part[i]); });
      if constexpr (kPoints) cost = Select(kPointerMask, mark, cost);
      smallest = Min(smallest, cost);
      StoreRow(cost, out + (first + r) * kQtipRowCosts);
    }
  }
  return smallest;
}

// For each j: the branch that costs of class (j, ...) are in the next step, and that of its mirror
// image.
template <int kStepBits>
void FillMarks(uint16_t* marks) {
  constexpr int kBranches = 1 << kStepBits;
  for (int j = 0; j < kBranches / 2; ++j, marks += kQtipRowCosts) {
    std::fill_n(marks, kQtipSearchTiles, static_cast<uint16_t>(j));
    std::fill_n(marks + kQtipSearchTiles, kQtipSearchTiles,
                static_cast<uint16_t>(kBranches - 1 - j));
  }
}

template <int kStepBits>
void Forward(const QtipForwardPass& pass) {
  constexpr int kShift = QtipPointerBits(kStepBits);
  alignas(64) uint16_t marks[kQtipRowCosts << (kStepBits - 1)];
  FillMarks<kStepBits>(marks);
  Row smallest = Splat(0);
  for (int t = 0; t < kQtipSteps; ++t) {
    Metrics<kShift>(pass, t);
    const Row base = t < pass.unnormalised_steps ? Splat(0) : smallest;
    HWY_UNROLL(kParts)
    for (int i = 0; i < (kParts + 1) / 2; ++i) {
      alignas(64) uint16_t both[kLanes];
      hn::Store(base.part[i], kTag, both);
      std::copy_n(both, std::min(kLanes, kQtipSearchTiles),
                  pass.bases + t * kQtipSearchTiles + i * kLanes);
    }
    uint16_t* pointers = pass.Pointers(std::max(t, pass.first_kept));
    const Row least =
        Step<kStepBits>(pass, marks, pass.Costs(t), pass.Costs(t + 1), pointers, base);
    smallest = Min(least, Mirrored(least));
    if constexpr (kShift > 0) smallest = Select(kPointerMask, Splat(0), smallest);
  }
}

void Run(const QtipForwardPass& pass) {
  if (pass.step_bits == 4) return Forward<4>(pass);
  if (pass.step_bits == 6) return Forward<6>(pass);
  Forward<8>(pass);
}

void AllMetrics(const QtipForwardPass& pass, int step) {
  pass.pointer_bits() > 0 ? Metrics<QtipPointerBits(4)>(pass, step) : Metrics<0>(pass, step);
}

void PathMetrics(const QtipForwardPass& pass, int step, const float* weights, uint16_t* metrics) {
  pass.pointer_bits() > 0 ? OneMetricEach<QtipPointerBits(4)>(pass, step, weights, metrics)
                          : OneMetricEach<0>(pass, step, weights, metrics);
}

const char* Target() { return hwy::TargetName(HWY_TARGET); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(Run);
HWY_EXPORT(AllMetrics);
HWY_EXPORT(PathMetrics);
HWY_EXPORT(Target);

void QtipRunForwardPass(const QtipForwardPass& pass) { HWY_DYNAMIC_DISPATCH(Run)(pass); }
void QtipBranchMetrics(const QtipForwardPass& pass, int step) {
  HWY_DYNAMIC_DISPATCH(AllMetrics)(pass, step);
}
void QtipPathMetrics(const QtipForwardPass& pass, int step, const float* weights,
                     uint16_t* metrics) {
  HWY_DYNAMIC_DISPATCH(PathMetrics)(pass, step, weights, metrics);
}
const char* QtipViterbiTarget() { return HWY_DYNAMIC_DISPATCH(Target)(); }

}  // namespace qtipd
#endif  // HWY_ONCE
