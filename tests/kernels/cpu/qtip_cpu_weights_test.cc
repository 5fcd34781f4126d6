// A resident layer on the CPU, sizes and shards of every kind, against double precision.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/api/random.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/formats/qtip/qtip_cpu.h"
#include "kernels/formats/qtip/qtip_default_codebook.h"
#include "kernels/formats/qtip/qtip_format.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_reference.h"
#include "tests/fakes/cancelled_at.h"

namespace qtipd {
namespace {

struct LinearCase {
  Shape shape;
  int rcp;
  int tp_rank;
};

void PrintTo(const LinearCase& linear, std::ostream* stream) {
  *stream << linear.shape.out_features << "x" << linear.shape.in_features << "_rcp" << linear.rcp
          << "_of" << linear.tp_rank;
}

std::vector<float> Normal(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  FillNormal(seed, RandomStream::kTest, 0, values);
  return values;
}

// Random bits are a legal trellis; SU and SV are reals, as scales of shards make them.
QtipLayer RandomLayer(const LinearCase& linear, int bits) {
  QtipLayer layer;
  layer.shape = linear.shape;
  layer.spec.bits = bits;
  layer.rcp = linear.rcp;
  layer.tp_rank = linear.tp_rank;
  const auto [out, in] = linear.shape;
  layer.trellis.resize(QtipTrellisWords(out, in, bits));
  for (size_t i = 0; i < layer.trellis.size(); ++i) {
    layer.trellis[i] = static_cast<uint16_t>(RandomBits(3, RandomStream::kTest, i));
  }
  layer.su = Normal(in, 4);
  layer.sv = Normal(out, 5);
  layer.tlut.assign(QtipDefaultTlut().begin(), QtipDefaultTlut().end());
  return layer;
}

template <typename Exact>
double RelativeError(const std::vector<float>& got, const std::vector<Exact>& exact) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error += std::pow(double{got[i]} - exact[i], 2);
    norm += std::pow(double{exact[i]}, 2);
  }
  return std::sqrt(error / norm);
}

class QtipCpuWeights : public testing::TestWithParam<LinearCase> {
 protected:
  void SetUp() override {
    const PackedLayer packed = MakePackedQtipLayer(
        layer_, *CheckOptions(MakeQtipFormat()->schema(), {{"bits", int64_t{layer_.spec.bits}}}));
    auto weights = MakeQtipCpuBackend()->Load(*device_, packed);
    ASSERT_TRUE(weights.ok()) << weights.status();
    weights_ = std::move(*weights);
  }

  const QtipLayer layer_ = RandomLayer(GetParam(), 3);
  const std::unique_ptr<Backend> backend_ = MakeCpuBackend();
  const std::unique_ptr<Device> device_ = backend_->OpenDevice(0).value();
  std::unique_ptr<ResidentWeights> weights_;
};

TEST_P(QtipCpuWeights, TheWholeLinearAgreesWithDoublePrecision) {
  const auto [out, in] = layer_.shape;
  constexpr int64_t kBatch = 3;
  const std::vector<float> x = Normal(kBatch * in, 6);
  std::vector<float> u(kBatch * in), z(kBatch * out), y(kBatch * out);
  const auto replica = *weights_->Replicate(2);
  ASSERT_TRUE(replica->InputTransform(kBatch, x.data(), u.data(), 1).ok());
  ASSERT_TRUE(replica->Multiply(1, kBatch, u.data(), z.data()).ok());
  ASSERT_TRUE(replica->OutputTransform(kBatch, z.data(), y.data(), 2).ok());
  EXPECT_LT(RelativeError(y, QtipReferenceMultiply(layer_, x, kBatch)), 2e-6);
}

TEST_P(QtipCpuWeights, DecodesTheOriginalBasis) {
  std::vector<float> w(layer_.shape.out_features * layer_.shape.in_features);
  ASSERT_TRUE(weights_->DecodeOriginal(w.data(), DType::kF32, NoProgress()).ok());
  EXPECT_LT(RelativeError(w, QtipReferenceWeights(layer_)), 2e-6);
}

TEST_P(QtipCpuWeights, DecodingStopsWhereverItIsCancelled) {
  std::vector<float> w(layer_.shape.out_features * layer_.shape.in_features);
  const CancelledAt never = CancelledAt::Never();
  ASSERT_TRUE(weights_->DecodeOriginal(w.data(), DType::kF32, never).ok());
  ASSERT_GE(never.looks(), 3) << "rows, columns and scale";
  for (const int64_t at : {int64_t{1}, never.looks() / 2, never.looks()}) {
    EXPECT_TRUE(absl::IsCancelled(weights_->DecodeOriginal(w.data(), DType::kF32, CancelledAt(at))))
        << at;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Linears, QtipCpuWeights,
    testing::Values(LinearCase{{32, 96}, 0, 8}, LinearCase{{160, 64}, 0, 8},
                    LinearCase{{1376, 864}, 0, 8}, LinearCase{{64, 11008}, 0, 8},
                    LinearCase{{14336, 32}, 0, 8}, LinearCase{{96, 256}, 1, 8},
                    LinearCase{{64, 1376 * 2}, 1, 2}, LinearCase{{256, 96}, 2, 8},
                    LinearCase{{224 * 4, 160}, 2, 4},
                    LinearCase{{96, 96 * 5}, 1, 5}));  // the side as a whole has no transform

}  // namespace
}  // namespace qtipd
