// The resident layer's kernels against double precision, on random bits.
#include "kernels/api/error.h"
#include "kernels/formats/int4/int4_cuda_fused.h"
#include "kernels/formats/int4/int4_cuda_warpgroup.h"
#include "kernels/formats/int4/int4_cuda_weights.h"
#include "kernels/formats/int4/int4_reference.h"
#include "tests/kernels/cuda/cuda_test.h"
#include "tests/kernels/formats/int4/int4_random_layer.h"
#include "tests/kernels/formats/qtip/cuda_gpus.h"

namespace qtipd {
namespace {

// Relative L2 error of the bare kernel, its activations being exact: sums in fp32.
constexpr double kBound = 2e-6;

std::vector<RandomInt4Case> Cases() {
  std::vector<RandomInt4Case> cases;
  // Smallest; sides that fill no unit; several row blocks and rounds; one row block, many columns.
  for (const Shape shape : {Shape{8, 8}, Shape{24, 40}, Shape{72, 1000}}) {
    for (const bool is_symmetric : {true, false}) cases.push_back({shape, -1, is_symmetric});
  }
  for (const int64_t group_size : {32, 64, 128}) {
    for (const bool is_symmetric : {true, false}) {
      for (const bool is_half : {true, false}) {
        cases.push_back({{136, 1152}, group_size, is_symmetric, is_half});
      }
    }
  }
  cases.push_back({{16, 32}, 32});
  cases.push_back({{16, 2496}, 64, false});
  cases.push_back({{4104, 2496}, 32, false, true, true});
  cases.push_back({{4096, 4096}});
  cases.push_back({{14336, 512}, 64});
  cases.push_back({{40, 28672}, 128, false, false});
  cases.push_back({{70000, 128}});
  // A row block for most warps of a warpgroup, or all; units that do not split evenly.
  cases.push_back({{6000, 1152}, 32, true});
  cases.push_back({{6000, 1152}, 64, false});
  cases.push_back({{8000, 640}, 32, false, true, true});
  cases.push_back({{8448, 2560}, 128, false});
  return cases;
}

// A layer in the order of the kernels, and one launch of the fused kernel.
class Int4CudaKernels : public CudaTest {
 protected:
  Buffer Packed(const Int4Layer& layer) {
    const Int4CudaLayout layout(layer.shape(), layer.spec());
    std::vector<uint8_t> units(layout.bytes());
    ThreadPool pool(4);
    Int4CudaRepack(pool, layer, layout, units.data());
    return Upload(units);
  }

  // z in fp32, before it is rounded to what a path wants.
  std::vector<float> Run(const Int4Layer& layer, const Buffer& packed, const CudaLimits& as,
                         const Int4FusedTuning& tuning, const Buffer& u, int64_t batch) {
    const Int4FusedProblem problem = {.shape = layer.shape(),
                                      .layout = Int4CudaLayout(layer.shape(), layer.spec()),
                                      .batch = batch};
    GuardedOutput<float> z(device(), batch * layer.shape().out_features);
    const Buffer arranged = device().Allocate(Int4ArrangedBytes(problem.layout.units)).value();
    const absl::Status status = LaunchInt4FusedAs(device(), as, tuning, problem, packed.data(),
                                                  u.data(), DType::kF32, z.data(), arranged.data());
    EXPECT_TRUE(status.ok()) << status;
    return z.Take();
  }
};

class Int4CudaTest : public Int4CudaKernels, public testing::WithParamInterface<RandomInt4Case> {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) return;
    auto weights = LoadInt4OnCuda(device(), layer_);
    ASSERT_TRUE(weights.ok()) << weights.status();
    weights_ = std::move(*weights);
  }

  const Int4Layer layer_ = RandomInt4Layer(GetParam(), 7);
  std::unique_ptr<ResidentWeights> weights_;
};

TEST_P(Int4CudaTest, FusedKernelAgreesWithDoublePrecision) {
  const auto [out, in] = layer_.shape();
  const int64_t most = 16;
  const std::vector<uint16_t> u = ToHalf(NormalValues(most * in, 5));
  const std::vector<double> expected = Int4ReferenceMultiply(layer_, ToFloat(u), most);
  const Buffer activations = Upload(u);
  const Buffer packed = Packed(layer_);
  for (const int64_t batch : {1, 2, 3, 4, 5, 8, 9, 13, 16}) {
    SCOPED_TRACE(testing::Message()
                 << weights_->multiply_configuration(batch) << " batch " << batch);
    const std::vector<double> exact(expected.begin(), expected.begin() + batch * out);
    const std::vector<float> wide = Run(layer_, packed, device().limits(), {}, activations, batch);
    EXPECT_LT(RelativeError(wide, exact), kBound);
    EXPECT_EQ(Run(layer_, packed, device().limits(), {}, activations, batch), wide)
        << "not deterministic";
    GuardedOutput<uint16_t> z(device(), exact.size());
    ASSERT_OK(weights_->Multiply(0, batch, activations.data(), z.data()));
    EXPECT_EQ(z.Take(), ToHalf(wide)) << "not the same, rounded once";
  }
}

TEST_P(Int4CudaTest, DecodesExactlyToFp32AndRoundsOnceToFp16) {
  const std::vector<float> exact = Int4ReferenceWeights(layer_);
  GuardedOutput<float> wide(device(), exact.size());
  ASSERT_OK(weights_->DecodeOriginal(wide.data(), DType::kF32, NoProgress()));
  EXPECT_TRUE(wide.Take() == exact);
  GuardedOutput<uint16_t> narrow(device(), exact.size());
  ASSERT_OK(weights_->Decode(0, narrow.data()));
  // As numbers: a difference of zero times a negative scale is minus zero.
  EXPECT_TRUE(ToFloat(narrow.Take()) == ToFloat(ToHalf(exact)));
}

INSTANTIATE_TEST_SUITE_P(Layers, Int4CudaTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return RandomInt4Name(info.param); });

class Int4CudaVariants : public Int4CudaKernels {
 protected:
  std::vector<float> Run(const Int4Layer& layer, const CudaLimits& as,
                         const Int4FusedTuning& tuning, int64_t batch) {
    const Buffer u = Upload(ToHalf(NormalValues(batch * layer.shape().in_features, 5)));
    return Int4CudaKernels::Run(layer, Packed(layer), as, tuning, u, batch);
  }

  std::vector<double> Exact(const Int4Layer& layer, int64_t batch) {
    return Int4ReferenceMultiply(
        layer, ToFloat(ToHalf(NormalValues(batch * layer.shape().in_features, 5))), batch);
  }
};

TEST_F(Int4CudaVariants, OfOtherGpusAgreeWithDoublePrecision) {
  for (const RandomInt4Case& c :
       {RandomInt4Case{{1000, 4104}, -1, false}, RandomInt4Case{{520, 1184}, 32, false, false},
        RandomInt4Case{{2048, 8192}}}) {
    const Int4Layer layer = RandomInt4Layer(c, 9);
    for (const int64_t batch : {1, 7, 16}) {
      const std::vector<double> exact = Exact(layer, batch);
      for (const char* gpu : {"A100", "A10", "H100 slice", "RTX 5090"}) {
        CudaLimits limits = LimitsOf(gpu);
        limits.has_warpgroup_mma &= device().limits().has_warpgroup_mma;
        SCOPED_TRACE(testing::Message() << RandomInt4Name(c) << " batch " << batch << " " << gpu);
        EXPECT_LT(RelativeError(Run(layer, limits, {}, batch), exact), kBound);
      }
    }
  }
}

TEST_F(Int4CudaVariants, OfWarpsByThemselvesAgreeWithDoublePrecision) {
  const Int4Layer layer = RandomInt4Layer({{6008, 1280}, 64, false}, 13);
  for (const int64_t batch : {9, 16}) {
    const Int4FusedTuning tuning = {.uses_warpgroups = false};
    EXPECT_LT(RelativeError(Run(layer, device().limits(), tuning, batch), Exact(layer, batch)),
              kBound);
  }
}

TEST_F(Int4CudaVariants, OfLoadingGiveTheSameBits) {
  const Int4Layer layer = RandomInt4Layer({{1032, 4160}, 64, false}, 10);
  for (const int64_t batch : {1, 16}) {
    const std::vector<float> bulk = Run(layer, device().limits(), {}, batch);
    EXPECT_EQ(Run(layer, device().limits(), {.uses_bulk = false}, batch), bulk);
    EXPECT_LT(RelativeError(bulk, Exact(layer, batch)), kBound);
  }
}

// Activations of some columns at a time, also for one vector; a ring of one record.
TEST_F(Int4CudaVariants, OfMemoryAgreeWithDoublePrecision) {
  const Int4Layer layer = RandomInt4Layer({{4120, 4224}, 128, false}, 11);
  const Int4FusedTuning tunings[] = {{.keeps_activations = false},
                                     {.keeps_activations = false, .chunked_warps = 7},
                                     {.most_slots = 1, .least_slots = 1},
                                     {.blocks_a_processor = 1, .resident_warps = 5},
                                     {.blocks_a_processor = 1, .resident_warps = 24}};
  for (const int64_t batch : {1, 6, 12}) {
    const std::vector<double> exact = Exact(layer, batch);
    for (const Int4FusedTuning& tuning : tunings) {
      SCOPED_TRACE(testing::Message() << "batch " << batch << " tuning " << &tuning - tunings);
      EXPECT_LT(RelativeError(Run(layer, device().limits(), tuning, batch), exact), kBound);
    }
  }
}

TEST_F(Int4CudaVariants, BatchesInSeveralLaunchesAgreeWithDoublePrecision) {
  const Int4Layer layer = RandomInt4Layer({{264, 384}, 128}, 12);
  for (const int64_t batch : {17, 33, 64}) {
    EXPECT_LT(RelativeError(Run(layer, device().limits(), {}, batch), Exact(layer, batch)), kBound);
  }
}

// Grids that overlap: each reads its weights while the ones before it run.
TEST_F(Int4CudaVariants, ManyInAGraphAgreeWithOneAlone) {
  constexpr int kRuns = 12;
  const Int4Layer layer = RandomInt4Layer({{2048, 2048}}, 13);
  const auto one = LoadInt4OnCuda(device(), layer);
  ASSERT_OK(one.status());
  const auto weights = (*one)->Replicate(3);
  ASSERT_OK(weights.status());
  const Buffer u = Upload(ToHalf(NormalValues(2048, 5)));
  GuardedOutput<uint16_t> alone(device(), 2048);
  GuardedOutput<uint16_t> many(device(), kRuns * 2048);
  ASSERT_OK((*one)->Multiply(0, 1, u.data(), alone.data()));
  const auto recording = device().Record([&]() -> absl::Status {
    for (int i = 0; i < kRuns; ++i) {
      QTIPD_RETURN_IF_ERROR((*weights)->Multiply(i % 3, 1, u.data(), many.data() + i * 2048));
    }
    return absl::OkStatus();
  });
  ASSERT_OK(recording.status());
  ASSERT_OK((*recording)->Replay().status());
  const std::vector<uint16_t> expected = alone.Take();
  const std::vector<uint16_t> got = many.Take();
  for (int i = 0; i < kRuns; ++i) {
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), got.begin() + i * 2048)) << i;
  }
}

TEST_F(Int4CudaVariants, LargerBatchesAreRefused) {
  const auto weights = LoadInt4OnCuda(device(), RandomInt4Layer({{16, 128}}, 14));
  ASSERT_OK(weights.status());
  const absl::Status status = (*weights)->Multiply(0, kInt4CudaMaxBatch + 1, nullptr, nullptr);
  EXPECT_EQ(GetErrorInfo(status).reason, "BATCH_UNSUPPORTED") << status;
}

}  // namespace
}  // namespace qtipd
