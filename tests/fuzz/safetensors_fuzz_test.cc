// Mutates valid safetensors files and checks what the reader promises: an error with a reason, or
// tensors that lie inside the file. The entry point is libFuzzer's, so that the same source can be
// linked with a fuzzing engine; here a deterministic loop drives it, under sanitizers in CI.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "kernels/api/error.h"
#include "kernels/io/safetensors.h"

namespace qtipd {
namespace {

constexpr int kMutations = 20000;

// Aborts, as a fuzz target does, where a promise is broken.
void Require(bool is_kept, const char* promise) {
  if (is_kept) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

void CheckTensor(const HostTensor& tensor, std::span<const std::byte> file) {
  const std::span<const std::byte> bytes = tensor.bytes();
  Require(bytes.data() >= file.data() && bytes.data() + bytes.size() <= file.data() + file.size(),
          "tensors lie inside the file");
  uint64_t expected = DTypeSize(tensor.dtype());
  for (const int64_t extent : tensor.shape()) expected *= static_cast<uint64_t>(extent);
  Require(expected == bytes.size(), "a tensor has the bytes of its shape");
  volatile uint8_t sum = 0;  // reads every byte, for the address sanitizer
  for (const std::byte byte : bytes) sum = sum + static_cast<uint8_t>(byte);
}

}  // namespace
}  // namespace qtipd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qtipd;
  // A block of its own size: a read past its end is an error that the sanitizer sees.
  const std::vector<std::byte> file(reinterpret_cast<const std::byte*>(data),
                                    reinterpret_cast<const std::byte*>(data) + size);
  const auto parsed = ParseSafetensors(file, nullptr, "fuzzed");
  if (!parsed.ok()) {
    Require(GetErrorInfo(parsed.status()).reason == "SAFETENSORS_INVALID", "errors have a reason");
    return 0;
  }
  for (const auto& [name, tensor] : parsed->tensors) CheckTensor(tensor, file);
  const auto rebuilt = BuildSafetensors(parsed->tensors, parsed->metadata);
  Require(rebuilt.ok(), "what was read can be written");
  const auto again = ParseSafetensors(*rebuilt, nullptr, "rebuilt");
  Require(again.ok() && again->tensors.size() == parsed->tensors.size() &&
              again->metadata == parsed->metadata,
          "what was written can be read");
  return 0;
}

namespace qtipd {
namespace {

std::vector<std::vector<std::byte>> Seeds() {
  const TensorMap tensors = {
      {"SU", HostTensor::Take<float>(DType::kF32, {3}, {1, -1, 1})},
      {"empty", HostTensor::Take<uint16_t>(DType::kBF16, {0}, {})},
      {"rcp", HostTensor::Take<int64_t>(DType::kI64, {}, {0})},
      {"trellis", HostTensor::Take<uint16_t>(DType::kI16, {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})}};
  return {BuildSafetensors({}).value(), BuildSafetensors(tensors).value(),
          BuildSafetensors(tensors, {{"format", "qtip"}, {"seed", "42"}}).value()};
}

// Text that lying headers are made of.
constexpr const char* kTokens[] = {"18446744073709551615",
                                   "-1",
                                   "0",
                                   "1e400",
                                   "[",
                                   "]",
                                   "{",
                                   "}",
                                   "\"",
                                   ",",
                                   ":",
                                   "null",
                                   "\"F64\"",
                                   "\"shape\"",
                                   "9223372036854775807",
                                   "__metadata__",
                                   "\\u0000",
                                   "data_offsets",
                                   "\xff"};

void Mutate(std::vector<std::byte>& file, std::mt19937_64& random) {
  const auto below = [&](size_t bound) { return bound == 0 ? 0 : random() % bound; };
  const size_t at = below(file.size());
  switch (random() % 6) {
    case 0:  // one bit
      if (!file.empty()) file[at] ^= static_cast<std::byte>(1 << (random() % 8));
      break;
    case 1:  // one byte
      if (!file.empty()) file[at] = static_cast<std::byte>(random());
      break;
    case 2:  // the header's length
      if (file.size() >= 8)
        file[random() % 8] = static_cast<std::byte>(random() % 4 ? 0 : random());
      break;
    case 3:  // cut
      file.resize(at);
      break;
    case 4: {  // repeat a piece
      const std::vector<std::byte> piece(file.begin() + at,
                                         file.begin() + at + below(file.size() - at));
      file.insert(file.begin() + at, piece.begin(), piece.end());
      break;
    }
    default: {  // overwrite with a token
      const char* token = kTokens[random() % std::size(kTokens)];
      const size_t length = std::min(std::strlen(token), file.size() - at);
      if (length > 0) std::memcpy(file.data() + at, token, length);
    }
  }
}

TEST(SafetensorsFuzz, KeepsItsPromisesOnMutatedFiles) {
  const auto seeds = Seeds();
  std::mt19937_64 random(1);
  for (int i = 0; i < kMutations; ++i) {
    std::vector<std::byte> file = seeds[random() % seeds.size()];
    for (uint64_t round = random() % 4 + 1; round > 0; --round) Mutate(file, random);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(file.data()), file.size());
  }
}

TEST(SafetensorsFuzz, SeedsThemselvesAreValid) {
  for (const auto& seed : Seeds()) EXPECT_TRUE(ParseSafetensors(seed, nullptr, "seed").ok());
}

}  // namespace
}  // namespace qtipd
