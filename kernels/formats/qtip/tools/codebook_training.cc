#include "kernels/formats/qtip/tools/codebook_training.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "kernels/api/dtype.h"
#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_codebook.h"
#include "kernels/formats/qtip/qtip_default_codebook.h"
#include "kernels/formats/qtip/qtip_viterbi.h"

namespace qtipd {
namespace {

constexpr uint64_t kSeed = 20240617;
constexpr int64_t kPairs = int64_t{1} << 16;  // for k-means
constexpr int kLloydIterations = 25;
constexpr int64_t kTiles = 512;  // per iteration and rate
constexpr int kTrellisIterations = 6;
constexpr double kStep = 0.7;  // of the way to the mean
// Inverse relative distortions at 2, 3 and 4 bits.
constexpr std::array<double, 3> kRateWeights = {14, 52, 180};

using Table = std::array<double, kQtipLutValues>;

// Sums of the samples of each row.
struct Cells {
  Table sum{};
  std::array<double, kQtipLutEntries> count{};

  void Add(uint32_t row, double x, double y) {
    sum[2 * row] += x;
    sum[2 * row + 1] += y;
    count[row] += 1;
  }
};

std::vector<float> Normals(ThreadPool& pool, uint64_t seed, int64_t count) {
  std::vector<float> values(count);
  pool.ParallelFor(count, [&](int, int64_t begin, int64_t end) {
    FillNormal(seed, RandomStream::kTest, begin, std::span(values).subspan(begin, end - begin));
  });
  return values;
}

uint16_t NearestRow(const std::array<float, kQtipLutValues>& rows, float x, float y) {
  std::array<float, kQtipLutEntries> distance;
  for (int k = 0; k < kQtipLutEntries; ++k) {
    const float dx = x - rows[2 * k];
    const float dy = y - rows[2 * k + 1];
    distance[k] = dx * dx + dy * dy;
  }
  return static_cast<uint16_t>(std::ranges::min_element(distance) - distance.begin());
}

Table ClusterHalfPlane(ThreadPool& pool) {
  std::vector<float> pairs = Normals(pool, kSeed, 2 * kPairs);
  std::vector<float> start = Normals(pool, kSeed + 1, kQtipLutValues);
  for (int64_t i = 0; i < kPairs; ++i) pairs[2 * i] = std::abs(pairs[2 * i]);
  Table rows;
  for (int i = 0; i < kQtipLutValues; ++i) rows[i] = i % 2 == 0 ? std::abs(start[i]) : start[i];
  std::vector<uint16_t> nearest(kPairs);
  for (int iteration = 0; iteration < kLloydIterations; ++iteration) {
    std::array<float, kQtipLutValues> rounded;
    std::ranges::transform(rows, rounded.begin(), [](double v) { return static_cast<float>(v); });
    pool.ParallelFor(kPairs, [&](int, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        nearest[i] = NearestRow(rounded, pairs[2 * i], pairs[2 * i + 1]);
      }
    });
    Cells cells;
    for (int64_t i = 0; i < kPairs; ++i) cells.Add(nearest[i], pairs[2 * i], pairs[2 * i + 1]);
    for (int i = 0; i < kQtipLutValues; ++i) {
      if (cells.count[i / 2] > 0) rows[i] = cells.sum[i] / cells.count[i / 2];
    }
  }
  return rows;
}

std::vector<uint16_t> Normalised(const Table& rows) {
  double sum = 0;
  for (double value : rows) sum += value * value;
  const double factor = std::sqrt(15.0 / 16.0 / (sum / kQtipLutValues));
  std::vector<uint16_t> tlut(kQtipLutValues);
  for (int i = 0; i < kQtipLutValues; ++i) {
    tlut[i] = FloatToHalf(static_cast<float>(rows[i] * factor));
  }
  return tlut;
}

// Which samples chose which row when fresh Gaussian tiles of `rms` are encoded.
Cells EncodeOnce(ThreadPool& pool, const std::vector<uint16_t>& tlut, int bits, double rms,
                 uint64_t seed) {
  std::vector<float> samples = Normals(pool, seed, kTiles * kQtipTileWeights);
  for (float& sample : samples) sample *= static_cast<float>(rms);
  std::vector<uint16_t> states(kTiles * kQtipSteps);
  QtipEncoder({.bits = bits}, tlut).Encode(pool, samples, states, [](int64_t) { return true; });
  Cells cells;
  for (size_t i = 0; i < states.size(); ++i) {
    const uint32_t hash = QtipHybHash(states[i]);
    const double sign = QtipHybSign(hash) != 0 ? -1 : 1;
    cells.Add(QtipHybIndex(hash), sign * samples[2 * i], samples[2 * i + 1]);
  }
  return cells;
}

std::vector<uint16_t> Refine(ThreadPool& pool, const std::vector<uint16_t>& tlut, int iteration) {
  // Layers come at 0.9 or 1 times the rms of the table.
  const double rms = QtipCodebookRms(tlut) * (iteration % 2 == 0 ? 0.9 : 1.0);
  Table sum{};
  std::array<double, kQtipLutEntries> weight{};
  for (int bits = 2; bits <= kQtipMaxBits; ++bits) {
    const Cells cells = EncodeOnce(pool, tlut, bits, rms, kSeed + 100 + 4 * iteration + bits);
    const double rate_weight = kRateWeights[bits - 2];
    for (int k = 0; k < kQtipLutEntries; ++k) {
      sum[2 * k] += rate_weight * cells.sum[2 * k];
      sum[2 * k + 1] += rate_weight * cells.sum[2 * k + 1];
      weight[k] += rate_weight * cells.count[k];
    }
  }
  Table rows;
  for (int i = 0; i < kQtipLutValues; ++i) {
    const double old = HalfToFloat(tlut[i]);
    rows[i] = weight[i / 2] > 0 ? old + kStep * (sum[i] / weight[i / 2] - old) : old;
  }
  return Normalised(rows);
}

}  // namespace

std::vector<uint16_t> TrainHybCodebook(ThreadPool& pool) {
  std::vector<uint16_t> tlut = Normalised(ClusterHalfPlane(pool));
  for (int i = 0; i < kTrellisIterations; ++i) tlut = Refine(pool, tlut, i);
  return tlut;
}

}  // namespace qtipd
