// What the GPU tests share: a device or a reason to skip, memory with guards, random layers.
#ifndef QTIPD_TESTS_KERNELS_CUDA_CUDA_TEST_H_
#define QTIPD_TESTS_KERNELS_CUDA_CUDA_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/random.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_default_codebook.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_packing.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {

#define ASSERT_OK(expression)                  \
  do {                                         \
    const absl::Status status_ = (expression); \
    ASSERT_TRUE(status_.ok()) << status_;      \
  } while (false)

// Opens the first GPU, or skips with the backend's own reason.
class CudaTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto backend = MakeCudaBackend([](Registry&) {});
    if (const auto count = backend->DeviceCount(); !count.ok()) {
      GTEST_SKIP() << "no GPU: " << count.status().message();
    }
    auto device = CudaDevice::Open(0);
    ASSERT_TRUE(device.ok()) << device.status();
    device_ = std::move(*device);
  }

  CudaDevice& device() { return *device_; }

  template <typename T>
  Buffer Upload(const std::vector<T>& values) {
    auto buffer = device().Allocate(values.size() * sizeof(T));
    EXPECT_TRUE(buffer.ok()) << buffer.status();
    const absl::Status copied =
        device().CopyToDevice(buffer->data(), values.data(), values.size() * sizeof(T));
    EXPECT_TRUE(copied.ok()) << copied;
    return std::move(*buffer);
  }

  template <typename T>
  std::vector<T> Download(const void* data, size_t count) {
    std::vector<T> values(count);
    const absl::Status copied = device().CopyToHost(values.data(), data, count * sizeof(T));
    EXPECT_TRUE(copied.ok()) << copied;
    return values;
  }

  std::unique_ptr<CudaDevice> device_;
};

// Output memory full of NaN (bytes 0xFF) between two guards that a kernel must leave alone.
template <typename T>
class GuardedOutput {
 public:
  GuardedOutput(CudaDevice& device, size_t count) : device_(device), count_(count) {
    auto buffer = device.Allocate(2 * kGuardBytes + count * sizeof(T));
    EXPECT_TRUE(buffer.ok()) << buffer.status();
    buffer_ = std::move(*buffer);
    EXPECT_TRUE(device.Fill(buffer_.data(), 0xFF, buffer_.bytes()).ok());
  }

  T* data() const { return reinterpret_cast<T*>(buffer_.as<char>() + kGuardBytes); }

  // The values, after checking both guards.
  std::vector<T> Take() {
    std::vector<unsigned char> bytes(buffer_.bytes());
    const absl::Status copied = device_.CopyToHost(bytes.data(), buffer_.data(), bytes.size());
    EXPECT_TRUE(copied.ok()) << copied;
    const auto is_guard = [](unsigned char byte) { return byte == 0xFF; };
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.begin() + kGuardBytes, is_guard)) << "before";
    EXPECT_TRUE(std::all_of(bytes.end() - kGuardBytes, bytes.end(), is_guard)) << "behind";
    std::vector<T> values(count_);
    std::memcpy(values.data(), bytes.data() + kGuardBytes, count_ * sizeof(T));
    return values;
  }

 private:
  static constexpr size_t kGuardBytes = 4096;
  CudaDevice& device_;
  size_t count_;
  Buffer buffer_;
};

inline std::vector<float> NormalValues(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  FillNormal(seed, RandomStream::kTest, 0, values);
  return values;
}

// As F16 or BF16.
inline std::vector<uint16_t> ToHalf(const std::vector<float>& values, DType dtype = DType::kF16) {
  std::vector<uint16_t> halves(values.size());
  ConvertFloats(halves.data(), dtype, values.data(), DType::kF32,
                static_cast<int64_t>(values.size()));
  return halves;
}

inline std::vector<float> ToFloat(const std::vector<uint16_t>& halves, DType dtype = DType::kF16) {
  std::vector<float> values(halves.size());
  ConvertFloats(values.data(), DType::kF32, halves.data(), dtype,
                static_cast<int64_t>(values.size()));
  return values;
}

// The states [tiles][spec.steps()] of a trellis in checkpoint order.
inline std::vector<uint16_t> StatesOf(const std::vector<uint16_t>& trellis,
                                      const QtipCodeSpec& spec, Shape shape) {
  const int64_t tile_cols = shape.in_features / kQtipTileCols;
  const int64_t tiles = shape.out_features / kQtipTileRows * tile_cols;
  std::vector<uint16_t> states(tiles * spec.steps());
  for (int64_t tile = 0; tile < tiles; ++tile) {
    QtipUnpackTile(trellis, spec, shape, tile / tile_cols, tile % tile_cols,
                   std::span(states).subspan(tile * spec.steps(), spec.steps()));
  }
  return states;
}

// |a - b| / |b| in the Euclidean norm; NaN where `a` holds one.
template <typename A, typename B>
double RelativeError(const std::vector<A>& a, const std::vector<B>& b) {
  EXPECT_EQ(a.size(), b.size());
  double error = 0;
  double norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    error += std::pow(double{a[i]} - double{b[i]}, 2);
    norm += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(error / norm);
}

// Random bits are a legal trellis; SU and SV are reals, as in a fine-tuned checkpoint.
inline QtipLayer RandomLayer(Shape shape, const QtipCodeSpec& spec, uint64_t seed) {
  QtipLayer layer;
  layer.shape = shape;
  layer.spec = spec;
  layer.trellis.resize(QtipTrellisWords(shape.out_features, shape.in_features, spec.bits));
  for (size_t i = 0; i < layer.trellis.size(); ++i) {
    layer.trellis[i] = static_cast<uint16_t>(RandomBits(seed, RandomStream::kTest, i));
  }
  layer.su = NormalValues(shape.in_features, seed + 1);
  layer.sv = NormalValues(shape.out_features, seed + 2);
  layer.tlut = QtipDefaultTable(spec);
  return layer;
}
inline QtipLayer RandomLayer(Shape shape, int bits, uint64_t seed) {
  return RandomLayer(shape, QtipCodeSpec{.bits = bits}, seed);
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_KERNELS_CUDA_CUDA_TEST_H_
