// Every registered format x path x device against the format's double-precision reference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <tuple>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "tests/conformance/cases.h"
#include "tests/conformance/guarded_device.h"

namespace qtipd {
namespace {

// Relative L2 error of what is computed in a device's compute dtype: docs/architecture.md, "What
// the errors mean".
double PathBound(DType compute) { return compute == DType::kF32 ? 1e-5 : 1e-3; }
// The same of a path's output, which rounding to BF16 may change by 2^-8.
double PathBound(DType compute, DType output) {
  return PathBound(compute) + (output == DType::kBF16 ? 0x1p-8 : 0);
}
// Of the bare fused kernel, its activations being exact in the type that it reads.
constexpr double kFusedBound = 2e-6;

// The backend's name in front of every test: the same tests run on each.
#define INSTANTIATE_FOR_BACKEND(backend, ...) INSTANTIATE_TEST_SUITE_P(backend, __VA_ARGS__)

#define ASSERT_OK(expression)                  \
  do {                                         \
    const absl::Status ok_status = expression; \
    ASSERT_TRUE(ok_status.ok()) << ok_status;  \
  } while (false)

std::vector<float> Decode(const std::vector<std::byte>& bytes, DType dtype) {
  return HostTensor::Copy(dtype, {}, bytes).ToFloat();
}

// Normal numbers that `dtype` holds exactly.
std::vector<float> Activations(uint64_t seed, size_t count, DType dtype) {
  std::vector<float> values(count);
  FillNormal(seed, RandomStream::kActivations, 0, values);
  return Decode(EncodeFloats(values, dtype), dtype);
}

template <typename Exact>
double RelativeError(const std::vector<float>& got, const std::vector<Exact>& exact) {
  double error = 0;
  double norm = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error += std::pow(double{got[i]} - exact[i], 2);
    norm += std::pow(exact[i], 2);
  }
  return std::sqrt(error / norm);  // NaN where an element was never written
}

// Guarded memory on the device under test.
class ConformanceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (TheBench().device == nullptr) GTEST_SKIP() << TheBench().no_device_reason;
    device_ = std::make_unique<GuardedDevice>(*TheBench().device);
  }

  Device& device() { return *TheBench().device; }
  DType dtype() { return device().info().compute_dtype; }

  std::unique_ptr<ResidentWeights> Load(const PackedLayer& layer) {
    const auto backend = TheBench().registry.FindBackend(layer.format, device().info().backend);
    EXPECT_TRUE(backend.ok()) << backend.status();
    auto weights = (*backend)->Load(device(), layer);
    EXPECT_TRUE(weights.ok()) << weights.status();
    return std::move(weights).value();
  }

  Buffer Upload(const std::vector<std::byte>& bytes) {
    Buffer buffer = device_->Allocate(bytes.size()).value();
    EXPECT_TRUE(device_->CopyToDevice(buffer.data(), bytes.data(), bytes.size()).ok());
    return buffer;
  }

  std::vector<std::byte> Download(const Buffer& buffer) {
    std::vector<std::byte> bytes(buffer.bytes());
    EXPECT_TRUE(device_->Synchronize().ok());
    EXPECT_TRUE(device_->CopyToHost(bytes.data(), buffer.data(), bytes.size()).ok());
    return bytes;
  }

  // y of one run over a fresh, poisoned output.
  std::vector<std::byte> RunPath(PreparedPath& path, int copy, const Buffer& x, size_t y_bytes) {
    Buffer y = device_->Allocate(y_bytes).value();
    const int steps = static_cast<int>(path.steps().size());
    const absl::Status status = path.Run(copy, x.data(), y.data(), 0, steps);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<std::byte> bytes = Download(y);
    EXPECT_TRUE(device_->GuardsAreIntact().value());
    return bytes;
  }

  std::unique_ptr<GuardedDevice> device_;
};

class PathConformance : public ConformanceTest,
                        public testing::WithParamInterface<std::tuple<FormatCase, std::string>> {
 protected:
  const FormatCase& format_case() { return std::get<0>(GetParam()); }
  const InferencePath& path() {
    return *TheBench().registry.FindPath(std::get<1>(GetParam())).value();
  }

  double BoundOf(DType activations) {
    // Matrices as small as these do not average what rounding does to their weights.
    const bool rounds_weights = std::get<1>(GetParam()) == "dense" && activations == DType::kBF16 &&
                                device().info().multiplies_bf16;
    return PathBound(dtype(), activations) + path().designed_error() +
           (rounds_weights ? 0x1p-8 : 0);
  }

  void CheckBatch(const PackedLayer& layer, ResidentWeights& weights, int64_t batch) {
    CheckBatch(layer, weights, batch, dtype());
  }

  // x and y are of `activations`.
  void CheckBatch(const PackedLayer& layer, ResidentWeights& weights, int64_t batch,
                  DType activations) {
    SCOPED_TRACE(testing::Message() << layer.shape.out_features << "x" << layer.shape.in_features
                                    << " batch " << batch << " " << DTypeName(activations));
    auto prepared = path().Prepare(*device_, weights,
                                   {.batch = batch, .copies = 2, .activations = activations});
    if (!prepared.ok()) {
      EXPECT_EQ(GetErrorInfo(prepared.status()).reason, "BATCH_UNSUPPORTED") << prepared.status();
      EXPECT_GT(path().designed_error(), 0) << "every other path takes every batch";
      EXPECT_GT(batch, weights.max_rounded_batch());
      return;
    }
    const std::vector<float> x = Activations(batch, batch * layer.shape.in_features, activations);
    const Buffer x_buffer = Upload(EncodeFloats(x, activations));
    const size_t y_bytes = batch * layer.shape.out_features * DTypeSize(activations);
    const std::vector<std::byte> y = RunPath(**prepared, 0, x_buffer, y_bytes);
    const WeightFormat* format = TheBench().registry.FindFormat(layer.format).value();
    const auto exact = format->ReferenceMultiply(layer, x, batch);
    ASSERT_OK(exact.status());
    EXPECT_LE(RelativeError(Decode(y, activations), *exact), BoundOf(activations));
    EXPECT_EQ(RunPath(**prepared, 0, x_buffer, y_bytes), y) << "the same run twice";
    EXPECT_EQ(RunPath(**prepared, 1, x_buffer, y_bytes), y) << "the other copy";
    EXPECT_EQ(Download(x_buffer), EncodeFloats(x, activations)) << "x was written to";
    const uint64_t moved = batch * layer.shape.in_features * DTypeSize(activations) + y_bytes;
    EXPECT_EQ((*prepared)->bytes_per_run(), (*prepared)->weight_bytes() + moved);
    const uint64_t rotated = path().WeightBytesPerCopy(weights, device());
    const bool is_transformed = std::get<1>(GetParam()) != "dense" && weights.transform_bytes() > 0;
    EXPECT_EQ((*prepared)->weight_bytes(),
              rotated + (is_transformed ? weights.transform_bytes() : 0));
  }
};

TEST_P(PathConformance, AgreesWithTheReference) {
  const std::vector<Shape> shapes = ShapesOf(format_case());
  ASSERT_FALSE(shapes.empty());
  for (const Shape shape : shapes) {
    const auto layer = QuantizedLayer(format_case(), shape);
    ASSERT_OK(layer.status());
    const auto weights = Load(*layer);
    for (const int64_t batch : {1, 2, 3, 16}) CheckBatch(*layer, *weights, batch);
  }
}

TEST_P(PathConformance, AgreesWithTheReferenceInBf16) {
  for (const Shape shape : ShapesOf(format_case())) {
    const auto layer = QuantizedLayer(format_case(), shape);
    ASSERT_OK(layer.status());
    const auto weights = Load(*layer);
    for (const int64_t batch : {1, 3, 16}) CheckBatch(*layer, *weights, batch, DType::kBF16);
  }
}

// Formats whose checkpoints can be split for tensor parallelism (tensor rcp: 1 the inputs, 2 the
// outputs): the same bits, rotated in shards of 32.
TEST_P(PathConformance, LayersInShardsAgreeWithTheReference) {
  for (const Shape shape : ShapesOf(format_case())) {
    const auto whole = QuantizedLayer(format_case(), shape);
    ASSERT_OK(whole.status());
    if (!whole->tensors.contains("rcp")) GTEST_SKIP() << "the format knows no shards";
    for (const int64_t rcp : {1, 2}) {
      SCOPED_TRACE(testing::Message() << "rcp " << rcp);
      const int64_t side = rcp == 1 ? shape.in_features : shape.out_features;
      PackedLayer layer = *whole;
      layer.tensors["rcp"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{rcp});
      layer.tensors["tp_rank"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{side / 32});
      const auto weights = Load(layer);
      for (const int64_t batch : {1, 3}) CheckBatch(layer, *weights, batch);
    }
  }
}

TEST_P(PathConformance, StepsInTurnGiveTheWholeRun) {
  const Shape shape = ShapesOf(format_case()).back();
  const auto layer = QuantizedLayer(format_case(), shape);
  ASSERT_OK(layer.status());
  const auto weights = Load(*layer);
  for (const DType activations : {dtype(), DType::kBF16}) {
    SCOPED_TRACE(DTypeName(activations));
    auto prepared = path().Prepare(*device_, *weights, {.activations = activations});
    if (!prepared.ok() && weights->max_rounded_batch() == 0 && path().designed_error() > 0) {
      GTEST_SKIP() << prepared.status();
    }
    ASSERT_OK(prepared.status());
    const std::vector<float> values = Activations(1, shape.in_features, activations);
    const Buffer x = Upload(EncodeFloats(values, activations));
    const size_t y_bytes = shape.out_features * DTypeSize(activations);
    const std::vector<std::byte> whole = RunPath(**prepared, 0, x, y_bytes);
    const int steps = static_cast<int>((*prepared)->steps().size());
    for (int split = 0; split <= steps; ++split) {
      Buffer y = device_->Allocate(y_bytes).value();
      ASSERT_OK((*prepared)->Run(0, x.data(), y.data(), 0, split));
      ASSERT_OK((*prepared)->Run(0, x.data(), y.data(), 0, steps));
      EXPECT_EQ(Download(y), whole) << "after the first " << split << " steps alone";
    }
  }
}

INSTANTIATE_FOR_BACKEND(QTIPD_CONFORMANCE_BACKEND, PathConformance,
                        testing::Combine(testing::ValuesIn(AllFormatCases()),
                                         testing::ValuesIn(AllPaths())),
                        [](const auto& info) {
                          return CaseName(std::get<0>(info.param)) + "_" + std::get<1>(info.param);
                        });

class FormatConformance : public ConformanceTest, public testing::WithParamInterface<FormatCase> {
 protected:
  const WeightFormat& format() {
    return *TheBench().registry.FindFormat(GetParam().format).value();
  }

  // One run of the kernel over a fresh, poisoned output.
  std::vector<std::byte> RunKernel(ResidentWeights& weights, int64_t batch, const Buffer& u) {
    const size_t z_size = DTypeSize(weights.inner_dtype());
    const Buffer z = device_->Allocate(batch * weights.shape().out_features * z_size).value();
    const absl::Status status = weights.Multiply(0, batch, u.data(), z.data());
    EXPECT_TRUE(status.ok()) << status;
    std::vector<std::byte> bytes = Download(z);
    EXPECT_TRUE(device_->GuardsAreIntact().value());
    return bytes;
  }

  void CheckKernel(ResidentWeights& weights, const std::vector<float>& decoded, int64_t batch) {
    const Shape shape = weights.shape();
    SCOPED_TRACE(testing::Message()
                 << shape.out_features << "x" << shape.in_features << " batch " << batch);
    const std::vector<float> u = Activations(3, batch * shape.in_features, dtype());
    const Buffer u_buffer = Upload(EncodeFloats(u, dtype()));
    const std::vector<std::byte> z = RunKernel(weights, batch, u_buffer);
    std::vector<double> exact(batch * shape.out_features, 0);
    for (int64_t i = 0; i < batch * shape.out_features; ++i) {
      const float* row = decoded.data() + i % shape.out_features * shape.in_features;
      const float* vector = u.data() + i / shape.out_features * shape.in_features;
      for (int64_t col = 0; col < shape.in_features; ++col) {
        exact[i] += double{row[col]} * double{vector[col]};
      }
    }
    const DType inner = weights.inner_dtype();
    const bool is_exact = inner == DType::kF32 && weights.decodes_exactly();
    EXPECT_LE(RelativeError(Decode(z, inner), exact), is_exact ? kFusedBound : PathBound(dtype()));
    EXPECT_EQ(RunKernel(weights, batch, u_buffer), z) << "the same run twice";
  }
};

// By itself, since path `fused` may hand a batch over.
TEST_P(FormatConformance, FusedKernelAgreesWithItsOwnDecode) {
  for (const Shape shape : ShapesOf(GetParam())) {
    const auto layer = QuantizedLayer(GetParam(), shape);
    ASSERT_OK(layer.status());
    const auto weights = Load(*layer);
    const Buffer w =
        device_->Allocate(shape.out_features * shape.in_features * DTypeSize(dtype())).value();
    ASSERT_OK(weights->Decode(0, w.data()));
    const std::vector<float> decoded = Decode(Download(w), dtype());
    for (const int64_t batch : {1, 2, 3, 7, 16}) {
      if (batch <= weights->max_fused_batch()) CheckKernel(*weights, decoded, batch);
    }
  }
}

TEST_P(FormatConformance, DecodesTheReferenceWeights) {
  for (const Shape shape : ShapesOf(GetParam())) {
    const auto layer = QuantizedLayer(GetParam(), shape);
    ASSERT_OK(layer.status());
    const auto exact = format().ReferenceWeights(*layer);
    ASSERT_OK(exact.status());
    const auto weights = Load(*layer);
    const Buffer w = device_->Allocate(exact->size() * sizeof(float)).value();
    ASSERT_OK(weights->DecodeOriginal(w.data(), DType::kF32, NoProgress()));
    EXPECT_LE(RelativeError(Decode(Download(w), DType::kF32), *exact), PathBound(dtype()));
    EXPECT_TRUE(device_->GuardsAreIntact().value());
  }
}

TEST_P(FormatConformance, QuantizesTheSameBytesTwice) {
  const Shape shape = ShapesOf(GetParam()).front();
  const auto first = Quantize(GetParam(), shape, device());
  const auto second = Quantize(GetParam(), shape, device());
  ASSERT_OK(first.status());
  ASSERT_OK(second.status());
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : first->tensors) {
    EXPECT_TRUE(std::ranges::equal(tensor.bytes(), second->tensors.at(name).bytes())) << name;
    bytes += tensor.bytes().size();
  }
  EXPECT_EQ(bytes, format().PackedBytes(first->options, shape));
  EXPECT_TRUE(format().Validate(*first).ok());
}

// Between Shannon's bound for a Gaussian source, 2^(-2 bits), and the best scalar quantizer of the
// same rate (Max, "Quantizing for minimum distortion", 1960: 2, 4, 8 and 16 levels).
TEST_P(FormatConformance, DistortionIsThatOfItsRate) {
  const auto bits = GetParam().given.find("bits");
  if (bits == GetParam().given.end()) GTEST_SKIP() << "the format states no rate";
  const int64_t rate = std::get<int64_t>(bits->second);
  const std::map<int64_t, double> scalar = {{1, 0.3634}, {2, 0.1175}, {3, 0.03454}, {4, 0.009497}};
  if (!scalar.contains(rate)) GTEST_SKIP() << "no bound is stated for this rate";
  std::vector<float> weights;
  const auto layer = Quantize(GetParam(), {128, 256}, device(), &weights);
  ASSERT_OK(layer.status());
  const auto decoded = format().ReferenceWeights(*layer);
  ASSERT_OK(decoded.status());
  const double mse = std::pow(RelativeError(*decoded, weights), 2);
  EXPECT_GT(mse, std::pow(2.0, -2.0 * static_cast<double>(rate)));
  EXPECT_LT(mse, scalar.at(rate));
}

TEST_P(FormatConformance, AnExportedLayerIsImportedAsItWas) {
  const auto layer = QuantizedLayer(GetParam(), ShapesOf(GetParam()).front());
  ASSERT_OK(layer.status());
  const auto exported = format().Export(*layer);
  ASSERT_OK(exported.status());
  EXPECT_TRUE(format().Recognises(*exported));
  const auto imported = format().Import(*exported, GetParam().given);
  ASSERT_OK(imported.status());
  EXPECT_EQ(imported->shape, layer->shape);
  EXPECT_EQ(format().ReferenceWeights(*imported).value(),
            format().ReferenceWeights(*layer).value());
}

INSTANTIATE_FOR_BACKEND(QTIPD_CONFORMANCE_BACKEND, FormatConformance,
                        testing::ValuesIn(AllFormatCases()),
                        [](const auto& info) { return CaseName(info.param); });

}  // namespace
}  // namespace qtipd
