// Read and copy take 16 bytes a thread and step, several steps in flight, each grid after the one
// before it. The loops of the rates are long enough that their own counting is below 2 % of the
// instructions.
#include "kernels/cuda/cuda_ceiling_kernels.h"

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/cuda/ptx/memory.h"

namespace qtipd {
namespace {

constexpr int kThreads = 512;
constexpr int kBlocksPerMultiprocessor = 4;  // 2048 threads: all that fit
constexpr int kStepsInFlight = 4;

constexpr int kRateThreads = 1024;  // 8 warps a scheduler hide the latency of every chain
constexpr int kChains = 4;
constexpr int kIssueSteps = 32;  // of kChains LOP3 and as many IMAD
constexpr int kIssueRounds = 256;
constexpr int kLoads = 64;
constexpr int kLoadRounds = 256;

// Nothing that the host put there: no sum of real data is expected to hit it.
constexpr uint32_t kImprobable = 0x9E3779B9u;

__device__ __forceinline__ uint32_t Fold(uint4 v) { return v.x ^ v.y ^ v.z ^ v.w; }

__global__ void __launch_bounds__(kThreads)
    ReadAll(const uint4* data, int64_t count, uint32_t* sink) {
  ptx::LaunchDependents();
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  uint32_t sum = 0;
  for (; i + (kStepsInFlight - 1) * stride < count; i += kStepsInFlight * stride) {
    uint4 v[kStepsInFlight];
#pragma unroll
    for (int k = 0; k < kStepsInFlight; ++k) v[k] = ptx::LoadStreaming128(data + i + k * stride);
#pragma unroll
    for (int k = 0; k < kStepsInFlight; ++k) sum ^= Fold(v[k]);
  }
  for (; i < count; i += stride) sum ^= Fold(ptx::LoadStreaming128(data + i));
  if (sum == kImprobable) *sink = sum;
}

// One piece of kSteps * kThreads loads a block.
template <int kSteps>
__global__ void __launch_bounds__(kThreads)
    ReadPiece(const uint4* data, int64_t count, uint32_t* sink) {
  const int64_t first = int64_t{blockIdx.x} * (kSteps * kThreads) + threadIdx.x;
  uint4 v[kSteps] = {};
#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
    if (first + k * kThreads < count) v[k] = ptx::LoadStreaming128(data + first + k * kThreads);
  }
  uint32_t sum = 0;
#pragma unroll
  for (int k = 0; k < kSteps; ++k) sum ^= Fold(v[k]);
  if (sum == kImprobable) *sink = sum;
}

__global__ void __launch_bounds__(kThreads) CopyAll(uint4* dst, const uint4* src, int64_t count) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  for (; i + (kStepsInFlight - 1) * stride < count; i += kStepsInFlight * stride) {
    uint4 v[kStepsInFlight];
#pragma unroll
    for (int k = 0; k < kStepsInFlight; ++k) v[k] = ptx::LoadStreaming128(src + i + k * stride);
#pragma unroll
    for (int k = 0; k < kStepsInFlight; ++k) dst[i + k * stride] = v[k];
  }
  for (; i < count; i += stride) dst[i] = ptx::LoadStreaming128(src + i);
}

__global__ void Empty() {
  ptx::LaunchDependents();
  ptx::WaitForPreviousGrids();
}

// Volatile instructions stay as many as are written. LOP3 takes the product, which is another one
// at every step: the assembler would merge a row of them with the same operands into one. Two
// registers an instruction, as in the decode loop: three of them would wait for the register file.
__global__ void __launch_bounds__(kRateThreads) Issue(uint32_t* sink) {
  uint32_t logic[kChains], product[kChains];
#pragma unroll
  for (int c = 0; c < kChains; ++c) logic[c] = product[c] = threadIdx.x + c;
  const uint32_t factor = threadIdx.x | 3;
#pragma unroll 1
  for (int round = 0; round < kIssueRounds; ++round) {
#pragma unroll
    for (int step = 0; step < kIssueSteps; ++step) {
#pragma unroll
      for (int c = 0; c < kChains; ++c) {
        asm volatile("mad.lo.u32 %0, %0, %1, 0x9E3779B9;" : "+r"(product[c]) : "r"(factor));
        asm volatile("lop3.b32 %0, %0, %1, 0x5A3C96E1, 0xE8;" : "+r"(logic[c]) : "r"(product[c]));
      }
    }
  }
  uint32_t sum = 0;
#pragma unroll
  for (int c = 0; c < kChains; ++c) sum ^= logic[c] ^ product[c];
  if (sum == kImprobable) *sink = sum;
}

__global__ void __launch_bounds__(kRateThreads) SharedLoads(uint32_t* sink) {
  __shared__ uint32_t words[32 * kLoads];
  for (int i = threadIdx.x; i < 32 * kLoads; i += kRateThreads) words[i] = i;
  __syncthreads();
  const uint32_t address = ptx::SharedAddress(words + threadIdx.x % 32);
  uint32_t sum = 0;
#pragma unroll 1
  for (int round = 0; round < kLoadRounds; ++round) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      uint32_t v;
      asm volatile("ld.volatile.shared.u32 %0, [%1];" : "=r"(v) : "r"(address + i * 128));
      sum ^= v;
    }
  }
  if (sum == kImprobable) *sink = sum;
}

LaunchOptions Streaming(const CudaDevice& device, int64_t count) {
  const int64_t most = int64_t{device.multiprocessors()} * kBlocksPerMultiprocessor;
  const int64_t blocks = std::clamp<int64_t>((count + kThreads - 1) / kThreads, 1, most);
  return {.grid = static_cast<unsigned>(blocks), .block = kThreads};
}

LaunchOptions Pieces(int64_t count, int64_t steps) {
  const int64_t piece = steps * kThreads;
  return {.grid = static_cast<unsigned>((count + piece - 1) / piece), .block = kThreads};
}

// Two blocks fill a multiprocessor of 2048 threads; where only 1536 fit, they take turns.
LaunchOptions Rate(const CudaDevice& device) {
  return {.grid = static_cast<unsigned>(2 * device.multiprocessors()), .block = kRateThreads};
}

double Warps(const CudaDevice& device) {
  return 2.0 * device.multiprocessors() * kRateThreads / 32;
}

}  // namespace

absl::Status LaunchRead(const CudaDevice& device, int way, const void* data, uint64_t bytes,
                        void* sink) {
  const auto count = static_cast<int64_t>(bytes / sizeof(uint4));
  const auto* values = static_cast<const uint4*>(data);
  auto* word = static_cast<uint32_t*>(sink);
  if (way == 1) return LaunchKernel(device, Pieces(count, 4), ReadPiece<4>, values, count, word);
  if (way == 2) return LaunchKernel(device, Pieces(count, 8), ReadPiece<8>, values, count, word);
  return LaunchKernel(device, Streaming(device, count), ReadAll, values, count, word);
}

absl::Status LaunchCopy(const CudaDevice& device, void* dst, const void* src, uint64_t bytes) {
  const auto count = static_cast<int64_t>(bytes / sizeof(uint4));
  return LaunchKernel(device, Streaming(device, count), CopyAll, static_cast<uint4*>(dst),
                      static_cast<const uint4*>(src), count);
}

absl::Status LaunchEmpty(const CudaDevice& device, bool overlaps) {
  return LaunchKernel(device, {.overlaps_previous = overlaps}, Empty);
}

absl::Status LaunchIssue(const CudaDevice& device, void* sink) {
  return LaunchKernel(device, Rate(device), Issue, static_cast<uint32_t*>(sink));
}

double IssueInstructions(const CudaDevice& device) {
  return Warps(device) * kIssueRounds * kIssueSteps * kChains * 2;
}

absl::Status LaunchSharedLoads(const CudaDevice& device, void* sink) {
  return LaunchKernel(device, Rate(device), SharedLoads, static_cast<uint32_t*>(sink));
}

double SharedLoadWavefronts(const CudaDevice& device) {
  return Warps(device) * kLoadRounds * kLoads;
}

}  // namespace qtipd
