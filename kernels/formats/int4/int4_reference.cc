#include "kernels/formats/int4/int4_reference.h"

#include <algorithm>
#include <thread>

#include "kernels/cpu/thread_pool.h"

namespace qtipd {
namespace {

int HostThreads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

}  // namespace

std::vector<float> Int4ReferenceWeights(const Int4Layer& layer) {
  const auto [out, in] = layer.shape();
  std::vector<float> weights(out * in);
  ThreadPool pool(HostThreads());
  pool.ParallelFor(out, [&, in = in](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t col = 0; col < in; ++col) weights[row * in + col] = layer.Weight(row, col);
    }
  });
  return weights;
}

std::vector<double> Int4ReferenceMultiply(const Int4Layer& layer, std::span<const float> x,
                                          int64_t batch) {
  const auto [out, in] = layer.shape();
  std::vector<double> y(batch * out);
  ThreadPool pool(HostThreads());
  pool.ParallelFor(out, [&, out = out, in = in](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t col = 0; col < in; ++col) {
        const double weight = layer.Weight(row, col);
        for (int64_t b = 0; b < batch; ++b) y[b * out + row] += weight * x[b * in + col];
      }
    }
  });
  return y;
}

}  // namespace qtipd
