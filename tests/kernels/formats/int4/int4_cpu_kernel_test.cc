// Kernels of the CPU against the layer's own numbers, under every instruction set.
#include "kernels/formats/int4/int4_cpu_kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/api/random.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/formats/int4/int4_cpu.h"
#include "kernels/formats/int4/int4_reference.h"
#include "tests/kernels/cpu/each_target.h"

namespace qtipd {
namespace {

struct KernelCase {
  Shape shape;
  int64_t group_size;
  bool is_symmetric;
  DType scale_dtype;
};

void PrintTo(const KernelCase& test, std::ostream* stream) {
  *stream << test.shape.out_features << "x" << test.shape.in_features << "_g" << test.group_size
          << (test.is_symmetric ? "_symmetric_" : "_asymmetric_") << DTypeName(test.scale_dtype);
}

template <typename T>
std::vector<T> Bits(size_t count, uint64_t seed) {
  std::vector<T> bits(count);
  for (size_t i = 0; i < count; ++i) {
    bits[i] = static_cast<T>(RandomBits(seed, RandomStream::kTest, i));
  }
  return bits;
}

std::vector<float> Normal(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  FillNormal(seed, RandomStream::kTest, 0, values);
  return values;
}

// Random codes and zero points, normal scales; all zero points occur, 16 too.
Int4Layer RandomLayer(const KernelCase& test) {
  const auto [out, in] = test.shape;
  const Int4Spec spec = {.group_size = test.group_size,
                         .is_symmetric = test.is_symmetric,
                         .scale_dtype = test.scale_dtype,
                         .zero_offset = 1};
  const int64_t groups = spec.groups(in);
  const std::vector<float> values = Normal(groups * out, 3);
  std::vector<uint16_t> scales(values.size());
  std::ranges::transform(values, scales.begin(),
                         test.scale_dtype == DType::kF16 ? FloatToHalf : FloatToBfloat16);
  HostTensor qzeros;
  if (!test.is_symmetric) {
    qzeros =
        HostTensor::Take(DType::kI32, {groups, out / 8}, Bits<uint32_t>(groups * (out / 8), 2));
  }
  return Int4Layer(test.shape, spec,
                   HostTensor::Take(DType::kI32, {in / 8, out}, Bits<uint32_t>(in / 8 * out, 1)),
                   HostTensor::Take(test.scale_dtype, {groups, out}, scales), qzeros);
}

class Int4Kernel : public testing::TestWithParam<KernelCase> {
 protected:
  Int4Kernel()
      : layer_(RandomLayer(GetParam())),
        layout_(layer_.shape(), layer_.spec()),
        memory_(device_.Allocate(Blocks() * layout_.row_block_bytes).value()) {
    Int4CpuRepack(device_.pool(), layer_, layout_, memory_.as<uint8_t>());
  }

  int64_t Blocks() const { return GetParam().shape.out_features / kInt4BlockRows; }
  Int4CpuRows Rows(int64_t begin, int64_t end) const {
    return {.packed = memory_.as<uint8_t>(), .layout = &layout_, .begin = begin, .end = end};
  }

  CpuDevice device_{{.threads = 2, .read_memory = {}}};
  const Int4Layer layer_;
  const Int4CpuLayout layout_;
  const Buffer memory_;
};

constexpr float kPoison = -77777;

TEST_P(Int4Kernel, DecodesEveryWeightExactly) {
  const std::vector<float> exact = Int4ReferenceWeights(layer_);
  ForEachTarget([&] {
    std::vector<float> weights(exact.size() + 64, kPoison);
    Int4CpuDecodeRows(Rows(0, Blocks()), weights.data());
    EXPECT_TRUE(std::equal(exact.begin(), exact.end(), weights.begin()));
    EXPECT_EQ(std::count(weights.end() - 64, weights.end(), kPoison), 64);
  });
}

TEST_P(Int4Kernel, MultipliesAsTheReference) {
  const auto [out, in] = GetParam().shape;
  const int64_t stride = (in + kInt4CpuColsAtOnce - 1) / kInt4CpuColsAtOnce * kInt4CpuColsAtOnce;
  for (const int64_t batch : {1, 2, 3, 4, 7, 16}) {
    const std::vector<float> x = Normal(batch * in, 5);
    std::vector<float> wide(batch * stride, 0.0F);
    for (int64_t b = 0; b < batch; ++b) std::copy_n(&x[b * in], in, &wide[b * stride]);
    const std::vector<double> exact = Int4ReferenceMultiply(layer_, x, batch);
    double norm = 0;
    for (const double y : exact) norm += y * y;
    ForEachTarget([&] {
      SCOPED_TRACE(testing::Message() << "batch " << batch);
      std::vector<float> z(batch * out + 16, kPoison);
      Int4CpuMultiplyRows(Rows(0, Blocks()), wide.data(), stride, batch, out, z.data());
      double error = 0;
      for (int64_t i = 0; i < batch * out; ++i) error += std::pow(z[i] - exact[i], 2);
      EXPECT_LT(std::sqrt(error / norm), 1e-6);
      EXPECT_EQ(std::count(z.end() - 16, z.end(), kPoison), 16);
    });
  }
}

TEST_P(Int4Kernel, WritesNoOtherRows) {
  const auto [out, in] = GetParam().shape;
  const int64_t last = Blocks() - 1;
  const std::vector<float> x(in + kInt4CpuColsAtOnce, 1.0F);
  ForEachTarget([&] {
    std::vector<float> z(3 * out, kPoison);
    Int4CpuMultiplyRows(Rows(last, last + 1), x.data(), 0, 3, out, z.data());
    for (int64_t i = 0; i < 3 * out; ++i) {
      EXPECT_EQ(z[i] == kPoison, i % out < last * kInt4BlockRows) << i;
    }
  });
}

std::vector<KernelCase> KernelCases() {
  std::vector<KernelCase> cases;
  for (const bool is_symmetric : {true, false}) {
    for (const DType dtype : {DType::kF16, DType::kBF16}) {
      for (const int64_t group_size : {32, 64, 128}) {
        for (const int64_t groups : {1, 3, 8}) {
          cases.push_back({{24, groups * group_size}, group_size, is_symmetric, dtype});
        }
      }
      for (const int64_t in : {8, 40, 136, 248, 1024}) {
        cases.push_back({{8, in}, in, is_symmetric, dtype});
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Layers, Int4Kernel, testing::ValuesIn(KernelCases()),
                         testing::PrintToStringParamName());

class Int4Resident : public testing::Test {
 protected:
  static constexpr Shape kShape = {264, 520};
  static PackedLayer Layer() {
    std::vector<float> weights = Normal(kShape.out_features * kShape.in_features, 8);
    const auto backend = MakeInt4CpuBackend();
    CpuDevice device({.threads = 1, .read_memory = {}});
    NoProgress progress;
    QuantizeReport report;
    const QuantizeProblem problem = {.shape = kShape,
                                     .weights = weights,
                                     .hessian = {},
                                     .options = Options({{"group_size", int64_t{-1}},
                                                         {"symmetric", false},
                                                         {"scale_dtype", std::string("fp16")},
                                                         {"encoder", std::string("rtn")},
                                                         {"clip", std::string("mse")},
                                                         {"checkpoint_format", std::string("gptq")},
                                                         {"damping", 0.01}})};
    return *backend->Quantize(device, problem, progress, report);
  }
};

TEST_F(Int4Resident, GivesTheSameBitsForEveryNumberOfThreads) {
  const PackedLayer layer = Layer();
  const std::vector<float> x = Normal(5 * kShape.in_features, 2);
  std::vector<float> first;
  for (const int threads : {1, 2, 3, 7}) {
    CpuDevice device({.threads = threads, .read_memory = {}});
    const auto weights = MakeInt4CpuBackend()->Load(device, layer).value();
    for (int run = 0; run < 3; ++run) {
      std::vector<float> z(5 * kShape.out_features, kPoison);
      ASSERT_TRUE(weights->Multiply(0, 5, x.data(), z.data()).ok());
      if (first.empty()) first = z;
      EXPECT_EQ(z, first) << threads;
    }
  }
}

TEST_F(Int4Resident, StopsDecodingWhenCancelled) {
  class Cancelled final : public Progress {
   public:
    void Report(double, std::string_view) override {}
    bool IsCancelled() const override { return true; }
  };
  CpuDevice device({.threads = 2, .read_memory = {}});
  const auto weights = MakeInt4CpuBackend()->Load(device, Layer()).value();
  std::vector<float> w(kShape.out_features * kShape.in_features);
  EXPECT_EQ(weights->DecodeOriginal(w.data(), DType::kF32, Cancelled()).code(),
            absl::StatusCode::kCancelled);
  EXPECT_TRUE(weights->DecodeOriginal(w.data(), DType::kF32, NoProgress()).ok());
  EXPECT_FALSE(weights->DecodeOriginal(w.data(), DType::kF16, NoProgress()).ok());
}

TEST_F(Int4Resident, HoldsWhatItSaysAndRefusesOtherBatches) {
  const PackedLayer layer = Layer();
  CpuDevice device({.threads = 2, .read_memory = {}});
  const auto backend = MakeInt4CpuBackend();
  const auto weights = backend->Load(device, layer).value();
  EXPECT_LE(weights->device_bytes(), backend->LoadBytes(layer));
  const auto three = weights->Replicate(3).value();
  EXPECT_EQ(three->copies(), 3);
  EXPECT_LE(three->device_bytes(), 3 * backend->LoadBytes(layer));
  EXPECT_GE(weights->device_bytes(), weights->multiply_bytes());
  std::vector<float> x(65 * kShape.in_features), z(65 * kShape.out_features);
  EXPECT_EQ(weights->Multiply(0, 65, x.data(), z.data()).code(), absl::StatusCode::kUnimplemented);
  EXPECT_TRUE(weights->Multiply(0, 64, x.data(), z.data()).ok());
}

}  // namespace
}  // namespace qtipd
