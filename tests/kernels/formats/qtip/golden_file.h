// Reads the golden vectors of tests/golden; see README.md there.
#ifndef QTIPD_TESTS_KERNELS_FORMATS_QTIP_GOLDEN_FILE_H_
#define QTIPD_TESTS_KERNELS_FORMATS_QTIP_GOLDEN_FILE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/host_tensor.h"
#include "kernels/formats/qtip/qtip_layout.h"
#include "kernels/io/safetensors.h"

namespace qtipd {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& stem) {
    auto file = ReadSafetensors(QTIPD_GOLDEN_DIR "/" + stem + ".safetensors");
    EXPECT_TRUE(file.ok()) << file.status();
    if (file.ok()) tensors_ = std::move(file->tensors);
  }

  const HostTensor& Tensor(const std::string& name) const {
    static const HostTensor* const kMissing = new HostTensor();
    const auto found = tensors_.find(name);
    EXPECT_NE(found, tensors_.end()) << name;
    return found == tensors_.end() ? *kMissing : found->second;
  }

  std::vector<float> Floats(const std::string& name) const { return Tensor(name).ToFloat(); }
  std::vector<uint16_t> Words(const std::string& name) const { return Elements<uint16_t>(name); }
  std::vector<double> Doubles(const std::string& name) const { return Elements<double>(name); }

 private:
  template <typename T>
  std::vector<T> Elements(const std::string& name) const {
    const HostTensor& tensor = Tensor(name);
    std::vector<T> values(tensor.bytes().size() / sizeof(T));
    std::memcpy(values.data(), tensor.bytes().data(), tensor.bytes().size());
    return values;
  }

  TensorMap tensors_;
};

// Largest |a - b| over the root mean square of b: an error in units of the data.
template <typename A, typename B>
double MaxErrorOverRms(const std::vector<A>& a, const std::vector<B>& b) {
  EXPECT_EQ(a.size(), b.size());
  if (a.size() != b.size()) return 1e30;
  double worst = 0;
  double sum = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    worst = std::max(worst, std::abs(double{a[i]} - double{b[i]}));
    sum += double{b[i]} * double{b[i]};
  }
  return worst / std::sqrt(sum / static_cast<double>(b.size()));
}

// Trellis input of a [rows, cols] matrix: tiles row-major, each in sequence order.
inline std::vector<float> TileSamples(const std::vector<float>& matrix, int64_t cols) {
  std::vector<float> samples(matrix.size());
  const int64_t tile_cols = cols / kQtipTileCols;
  for (size_t i = 0; i < samples.size(); ++i) {
    const int64_t tile = static_cast<int64_t>(i) / kQtipTileWeights;
    const QtipElement at = QtipElementOf(static_cast<int>(i % kQtipTileWeights));
    samples[i] = matrix[(tile / tile_cols * kQtipTileRows + at.row) * cols +
                        tile % tile_cols * kQtipTileCols + at.col];
  }
  return samples;
}

inline std::string GoldenKey(int bits, const std::string& name) {
  return "K" + std::to_string(bits) + "/" + name;
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_KERNELS_FORMATS_QTIP_GOLDEN_FILE_H_
