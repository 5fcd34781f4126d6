#include "kernels/cuda/cuda_device.h"

#include "kernels/api/error.h"
#include "kernels/cuda/device_code.h"
#include "tests/kernels/cuda/cuda_test.h"

namespace qtipd {
namespace {

// Runs everywhere: a host without a GPU is a state to report, not a failure.
TEST(CudaBackend, CountsDevicesOrSaysWhyThereAreNone) {
  const auto count = MakeCudaBackend([](Registry&) {})->DeviceCount();
  if (count.ok()) {
    EXPECT_GE(*count, 1);
    return;
  }
  const std::string reason = GetErrorInfo(count.status()).reason;
  EXPECT_THAT(reason, testing::AnyOf("DRIVER_MISSING", "DRIVER_TOO_OLD", "NO_DEVICE",
                                     "DEVICE_UNSUPPORTED", "DEVICE_CODE_MISSING"));
}

TEST(CudaStatus, TellsStickyErrorsFromOthers) {
  EXPECT_TRUE(QTIPD_CUDA_STATUS(cudaSuccess).ok());
  const absl::Status lost = QTIPD_CUDA_STATUS(cudaErrorIllegalAddress);
  EXPECT_EQ(GetErrorInfo(lost).reason, "DEVICE_LOST");
  EXPECT_EQ(lost.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(GetErrorInfo(QTIPD_CUDA_STATUS(cudaErrorInvalidValue)).reason, "CUDA_ERROR");
  EXPECT_EQ(QTIPD_CUDA_STATUS(cudaErrorMemoryAllocation).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(CudaStatus, SaysWhatThereIsCodeForWhereTheDriverFindsNone) {
  const absl::Status status = QTIPD_CUDA_STATUS(cudaErrorNoKernelImageForDevice);
  EXPECT_EQ(GetErrorInfo(status).reason, "DEVICE_CODE_MISSING");
  EXPECT_THAT(std::string(status.message()),
              testing::HasSubstr("code for " + DeviceCodeText(BuiltDeviceCode())));
}

TEST(CudaStatus, NamesTheCallAndItsPlace) {
  const absl::Status status = QTIPD_CUDA_STATUS(cudaErrorInvalidValue);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("cudaErrorInvalidValue at"));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("cuda_device_test.cc:"));
}

TEST_F(CudaTest, ReportsWhatTheDeviceIs) {
  const DeviceInfo& info = device().info();
  EXPECT_EQ(info.id, "cuda:0");
  EXPECT_EQ(info.compute_dtype, DType::kF16);
  EXPECT_TRUE(info.multiplies_bf16);
  EXPECT_EQ(info.uuid.size(), std::string("GPU-00000000-0000-0000-0000-000000000000").size());
  EXPECT_GT(info.memory_bytes, uint64_t{1} << 30);
  EXPECT_GT(info.last_level_cache_bytes, uint64_t{1} << 20);
  for (const char* key : {"cuda_driver", "cuda_runtime", "compute_capability", "cublas",
                          "pci_bus_id", "sm_clock_max_mhz", "device_code", "module_code"}) {
    EXPECT_TRUE(info.properties.contains(key)) << key;
    std::cout << key << " " << info.properties.at(key) << "\n";
  }
}

TEST_F(CudaTest, CopiesThereAndBack) {
  const std::vector<float> values = NormalValues(1000, 1);
  const Buffer source = Upload(values);
  GuardedOutput<float> copy(device(), values.size());
  ASSERT_OK(device().Copy(copy.data(), source.data(), source.bytes()));
  EXPECT_EQ(copy.Take(), values);
}

TEST_F(CudaTest, RefusesMoreMemoryThanThereIs) {
  const auto buffer = device().Allocate(size_t{1} << 50);
  ASSERT_FALSE(buffer.ok());
  EXPECT_EQ(GetErrorInfo(buffer.status()).reason, "DEVICE_MEMORY_EXHAUSTED");
  EXPECT_TRUE(device().Health().ok());
}

TEST_F(CudaTest, ReplaysARecordingAndTimesIt) {
  const size_t bytes = size_t{256} << 20;
  auto from = device().Allocate(bytes);
  auto to = device().Allocate(bytes);
  ASSERT_TRUE(from.ok() && to.ok());
  ASSERT_OK(device().Fill(from->data(), 7, bytes));
  auto recording = device().Record([&] { return device().Copy(to->data(), from->data(), bytes); });
  ASSERT_TRUE(recording.ok()) << recording.status();
  const auto timing = (*recording)->Replay();
  ASSERT_TRUE(timing.ok()) << timing.status();
  EXPECT_GT(timing->seconds, 2 * bytes / 20e12);  // faster than any memory there is
  EXPECT_LT(timing->seconds, 1.0);
  EXPECT_EQ(Download<uint8_t>(to->as<char>() + bytes - 1, 1)[0], 7);
}

TEST_F(CudaTest, EnqueuesARecordingAsOftenAsItIsAsked) {
  constexpr int kTimes = 3;
  auto buffer = device().Allocate(kTimes + 2);
  ASSERT_TRUE(buffer.ok());
  char* data = buffer->as<char>();
  ASSERT_OK(device().Fill(data, 0, kTimes + 2));
  ASSERT_OK(device().Fill(data, 1, 1));
  // Backwards, so that each time the ones reach one byte further.
  auto recording = device().Record([&]() -> absl::Status {
    for (int i = kTimes; i >= 0; --i)
      QTIPD_RETURN_IF_ERROR(device().Copy(data + i + 1, data + i, 1));
    return absl::OkStatus();
  });
  ASSERT_TRUE(recording.ok()) << recording.status();
  for (int i = 0; i < kTimes; ++i) ASSERT_OK((*recording)->Enqueue());
  ASSERT_OK(device().Synchronize());
  EXPECT_EQ(Download<uint8_t>(data, kTimes + 2), (std::vector<uint8_t>{1, 1, 1, 1, 0}));
}

TEST_F(CudaTest, ABrokenRecordingLeavesTheDeviceUsable) {
  const auto failed = device().Record([] { return absl::InternalError("enqueue failed"); });
  EXPECT_EQ(failed.status().message(), "enqueue failed");
  const auto blocked = device().Record([&] { return device().Synchronize(); });
  EXPECT_FALSE(blocked.ok());
  EXPECT_TRUE(device().Health().ok());
  EXPECT_TRUE(device().Synchronize().ok());
}

// Every bit pattern of a 16-bit type once, shuffled by an odd step so that neighbours differ.
std::vector<uint16_t> AllPatterns() {
  std::vector<uint16_t> patterns(1 << 16);
  for (size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<uint16_t>(40503 * i);
  return patterns;
}

// NaNs are equal whatever their bits.
void ExpectSame(const std::vector<std::byte>& got, const std::vector<std::byte>& expected,
                DType dtype) {
  ASSERT_EQ(got.size(), expected.size());
  const auto count = static_cast<int64_t>(got.size() / DTypeSize(dtype));
  std::vector<float> a(count);
  std::vector<float> b(count);
  ConvertFloats(a.data(), DType::kF32, got.data(), dtype, count);
  ConvertFloats(b.data(), DType::kF32, expected.data(), dtype, count);
  for (int64_t i = 0; i < count; ++i) {
    const bool is_same = std::isnan(b[i])
                             ? std::isnan(a[i])
                             : a[i] == b[i] && std::signbit(a[i]) == std::signbit(b[i]);
    ASSERT_TRUE(is_same) << "element " << i << ": " << a[i] << " instead of " << b[i];
  }
}

struct ConvertCase {
  DType from;
  DType to;
};

class CudaConvert : public CudaTest, public testing::WithParamInterface<ConvertCase> {
 protected:
  // Every pattern of a 16-bit source; of fp32 numbers of all sizes, ties of both types among them.
  std::vector<std::byte> Source(DType dtype) {
    const std::vector<uint16_t> patterns = AllPatterns();
    std::vector<std::byte> bytes(patterns.size() * DTypeSize(dtype));
    if (dtype != DType::kF32) {
      std::memcpy(bytes.data(), patterns.data(), bytes.size());
      return bytes;
    }
    constexpr uint32_t kLow[] = {0, 0x8000, 0x8001, 0x7FFF, 0x1000, 0x3000, 0x2FFF, 0xFFFF};
    for (size_t i = 0; i < patterns.size(); ++i) {
      const uint32_t word = uint32_t{patterns[i]} << 16 | kLow[i % std::size(kLow)];
      std::memcpy(bytes.data() + 4 * i, &word, 4);
    }
    return bytes;
  }

  // Elements [first, first + count) of `source`, by a kernel whose output starts as far into its
  // memory.
  void Check(const std::vector<std::byte>& source, const Buffer& on_device, int64_t first,
             int64_t count) {
    const auto [from, to] = GetParam();
    SCOPED_TRACE(testing::Message() << count << " elements from " << first << " on");
    const size_t size = DTypeSize(to);
    GuardedOutput<std::byte> output(device(), (first + count) * size);
    ASSERT_OK(device().Convert(output.data() + first * size, to,
                               on_device.as<std::byte>() + first * DTypeSize(from), from, count));
    const std::vector<std::byte> got = output.Take();
    std::vector<std::byte> expected(got.size(), std::byte{0xFF});
    ConvertFloats(expected.data() + first * size, to, source.data() + first * DTypeSize(from), from,
                  count);
    ExpectSame(got, expected, to);
  }
};

TEST_P(CudaConvert, RoundsAsTheHostDoes) {
  const std::vector<std::byte> source = Source(GetParam().from);
  const Buffer on_device = Upload(source);
  Check(source, on_device, 0, 1 << 16);
  for (const int64_t count : {1, 7, 8, 9, 1023, 1024, 1025, 4097})
    Check(source, on_device, 0, count);
  for (const int64_t first : {1, 3, 4, 8}) Check(source, on_device, first, 2051);
}

// Each conversion reads what the one before it wrote, so early starts may not read too early.
TEST_P(CudaConvert, ARowOfThemRunsInOrder) {
  const auto [from, to] = GetParam();
  constexpr int64_t kCount = 100000;
  std::vector<float> normal = NormalValues(kCount, 3);
  const std::vector<std::byte> source = EncodeFloats(normal, from);
  const Buffer first = Upload(source);
  const Buffer back = device().Allocate(source.size()).value();
  const Buffer between = device().Allocate(kCount * DTypeSize(to)).value();
  GuardedOutput<std::byte> last(device(), kCount * DTypeSize(to));
  ASSERT_OK(device().Convert(between.data(), to, first.data(), from, kCount));
  ASSERT_OK(device().Convert(back.data(), from, between.data(), to, kCount));
  ASSERT_OK(device().Convert(last.data(), to, back.data(), from, kCount));
  std::vector<std::byte> expected(kCount * DTypeSize(to));
  std::vector<std::byte> expected_back(source.size());
  ConvertFloats(expected.data(), to, source.data(), from, kCount);
  ConvertFloats(expected_back.data(), from, expected.data(), to, kCount);
  ConvertFloats(expected.data(), to, expected_back.data(), from, kCount);
  ExpectSame(last.Take(), expected, to);
}

INSTANTIATE_TEST_SUITE_P(
    Types, CudaConvert,
    testing::Values(ConvertCase{DType::kF16, DType::kBF16}, ConvertCase{DType::kBF16, DType::kF16},
                    ConvertCase{DType::kF32, DType::kF16}, ConvertCase{DType::kF32, DType::kBF16},
                    ConvertCase{DType::kF16, DType::kF32}, ConvertCase{DType::kBF16, DType::kF32},
                    ConvertCase{DType::kBF16, DType::kBF16}),
    [](const auto& info) {
      return std::string(DTypeName(info.param.from)) + "To" + std::string(DTypeName(info.param.to));
    });

TEST_F(CudaTest, ConvertsFloatTypesAlone) {
  const Buffer memory = device().Allocate(64).value();
  const absl::Status status =
      device().Convert(memory.data(), DType::kF64, memory.data(), DType::kF32, 4);
  EXPECT_EQ(GetErrorInfo(status).reason, "DTYPE_UNSUPPORTED");
}

struct DenseCase {
  int64_t out;
  int64_t in;
  int64_t batch;
  DType output;
  DType input = DType::kF16;
};

class CudaDense : public CudaTest, public testing::WithParamInterface<DenseCase> {};

TEST_P(CudaDense, AgreesWithDoublePrecision) {
  const DenseCase& c = GetParam();
  const std::vector<uint16_t> w = ToHalf(NormalValues(c.out * c.in, 1), c.input);
  const std::vector<uint16_t> x = ToHalf(NormalValues(c.batch * c.in, 2), c.input);
  const std::vector<float> wf = ToFloat(w, c.input);
  const std::vector<float> xf = ToFloat(x, c.input);
  std::vector<double> expected(c.batch * c.out);
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t r = 0; r < c.out; ++r) {
      for (int64_t i = 0; i < c.in; ++i) {
        expected[b * c.out + r] += double{wf[r * c.in + i]} * xf[b * c.in + i];
      }
    }
  }
  auto dense = device().PrepareDense({.out_features = c.out,
                                      .in_features = c.in,
                                      .batch = c.batch,
                                      .input_dtype = c.input,
                                      .output_dtype = c.output});
  ASSERT_TRUE(dense.ok()) << dense.status();
  EXPECT_GE((*dense)->candidate_seconds().size(), 1u);
  const Buffer weights = Upload(w);
  const Buffer activations = Upload(x);
  if (c.output != DType::kF32) {
    GuardedOutput<uint16_t> y(device(), expected.size());
    ASSERT_OK((*dense)->Run(weights.data(), activations.data(), y.data()));
    const double half_ulp = c.output == DType::kF16 ? 5e-4 : 4e-3;
    EXPECT_LT(RelativeError(ToFloat(y.Take(), c.output), expected), half_ulp);
  } else {
    GuardedOutput<float> y(device(), expected.size());
    ASSERT_OK((*dense)->Run(weights.data(), activations.data(), y.data()));
    EXPECT_LT(RelativeError(y.Take(), expected), 5e-6);  // the library's own order of summation
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CudaDense,
                         testing::Values(DenseCase{32, 32, 1, DType::kF32},
                                         DenseCase{512, 1024, 1, DType::kF16},
                                         DenseCase{1024, 512, 1, DType::kF32},
                                         DenseCase{256, 2048, 4, DType::kF32},
                                         DenseCase{2048, 256, 16, DType::kF16},
                                         DenseCase{512, 1024, 1, DType::kBF16, DType::kBF16},
                                         DenseCase{256, 2048, 4, DType::kF32, DType::kBF16},
                                         DenseCase{2048, 256, 16, DType::kBF16, DType::kBF16}));

TEST_F(CudaTest, RefusesADenseOutputItCannotWrite) {
  const auto dense = device().PrepareDense(
      {.out_features = 32, .in_features = 32, .batch = 1, .output_dtype = DType::kF64});
  EXPECT_EQ(GetErrorInfo(dense.status()).reason, "DENSE_PROBLEM_INVALID");
  const auto mixed = device().PrepareDense({.out_features = 32,
                                            .in_features = 32,
                                            .input_dtype = DType::kBF16,
                                            .output_dtype = DType::kF16});
  EXPECT_EQ(GetErrorInfo(mixed.status()).metadata.at("allowed"), "BF16, F32");
}

}  // namespace
}  // namespace qtipd
