#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/add_product.cc"
#include "kernels/cpu/add_product.h"

#include <algorithm>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, 16>;
constexpr Tag kTag;
constexpr int64_t kLanes = hn::MaxLanes(Tag());

// Rows and vectors of c that stay in registers along the depth; rows of b whose part for these
// columns stays in the second-level cache meanwhile.
constexpr int kRows = 4;
constexpr int kVectors = kLanes == 16 ? 4 : 2;
constexpr int64_t kDepth = 512;

// c[kRowCount, kVectorCount vectors] += a[kRowCount, depth] b[depth, ...].
template <int kRowCount, int kVectorCount>
HWY_INLINE void AddBlock(const MatrixProduct& p, int64_t depth, const float* a, const float* b,
                         float* c) {
  hn::Vec<Tag> sums[kRowCount][kVectorCount];
  HWY_UNROLL(4)
  for (int r = 0; r < kRowCount; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectorCount; ++v) {
      sums[r][v] = hn::LoadU(kTag, c + r * p.c_stride + v * kLanes);
    }
  }
  for (int64_t k = 0; k < depth; ++k, b += p.b_stride) {
    hn::Vec<Tag> row[kVectorCount];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectorCount; ++v) row[v] = hn::LoadU(kTag, b + v * kLanes);
    HWY_UNROLL(4)
    for (int r = 0; r < kRowCount; ++r) {
      const auto factor = hn::Set(kTag, a[r * p.a_stride + k]);
      HWY_UNROLL(4)
      for (int v = 0; v < kVectorCount; ++v) sums[r][v] = hn::MulAdd(factor, row[v], sums[r][v]);
    }
  }
  HWY_UNROLL(4)
  for (int r = 0; r < kRowCount; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectorCount; ++v) {
      hn::StoreU(sums[r][v], kTag, c + r * p.c_stride + v * kLanes);
    }
  }
}

template <int kVectorCount>
HWY_INLINE void AddColumns(const MatrixProduct& p, int64_t first_depth, int64_t col) {
  const int64_t depth = std::min(kDepth, p.depth - first_depth);
  const float* b = p.b + first_depth * p.b_stride + col;
  int64_t row = 0;
  for (; row + kRows <= p.rows; row += kRows) {
    AddBlock<kRows, kVectorCount>(p, depth, p.a + row * p.a_stride + first_depth, b,
                                  p.c + row * p.c_stride + col);
  }
  for (; row < p.rows; ++row) {
    AddBlock<1, kVectorCount>(p, depth, p.a + row * p.a_stride + first_depth, b,
                              p.c + row * p.c_stride + col);
  }
}

void Add(const MatrixProduct& p) {
  for (int64_t depth = 0; depth < p.depth; depth += kDepth) {
    int64_t col = 0;
    for (; col + kVectors * kLanes <= p.cols; col += kVectors * kLanes) {
      AddColumns<kVectors>(p, depth, col);
    }
    for (; col < p.cols; col += kLanes) AddColumns<1>(p, depth, col);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(Add);

void AddProduct(const MatrixProduct& product) { HWY_DYNAMIC_DISPATCH(Add)(product); }

}  // namespace qtipd
#endif  // HWY_ONCE
