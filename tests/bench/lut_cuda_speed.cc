// Prints the speed of the fused kernels of format "lut" on a GPU with several configurations, on
// random records.
//
//   lut_cuda_speed BITS SHAPES BATCHES [BLOCK]
//   lut_cuda_speed 2 4096x4096,28672x8192 1,16 64
//
// A configuration is WARPSxPER_MULTIPROCESSOR, with s sums of activations, with w warpgroups; the
// first is what the product chooses. Copies rotate, see cuda_rotation.h. A line is
//   BITS SHAPE bB  MB  then for each configuration  median us
#include "kernels/api/random.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/lut/lut_cuda_fused.h"
#include "kernels/formats/lut/lut_cuda_matrix.h"
#include "kernels/formats/lut/lut_cuda_warpgroup.h"
#include "kernels/formats/lut/lut_cuda_weights.h"
#include "tests/bench/cuda_rotation.h"

namespace qtipd {
namespace {

// Device memory of random halves of magnitudes 0.125 to 2.
Buffer RandomHalves(CudaDevice& device, uint64_t bytes) {
  std::vector<uint16_t> halves(bytes / 2);
  for (size_t i = 0; i < halves.size(); ++i) {
    const uint64_t bits = RandomBits(1, RandomStream::kWeights, i / 4) >> (i % 4 * 16);
    halves[i] = static_cast<uint16_t>((bits & 0x8000) | (0x3000 + (bits & 0x0FFF)));
  }
  Buffer buffer = Checked(device.Allocate(bytes));
  Check(device.CopyToDevice(buffer.data(), halves.data(), bytes));
  return buffer;
}

// One copy of a layer after the other.
struct Copies {
  Buffer packed;
  Buffer table;
  int count;
};

void Measure(CudaDevice& device, const LutFusedProblem& problem, const Copies& copies) {
  const LutCudaLayout& layout = problem.layout;
  const Buffer u = RandomHalves(device, 2 * problem.batch * layout.in_features);
  const Buffer z = Checked(device.Allocate(4 * problem.batch * layout.out_features));
  const Buffer arranged = Checked(device.Allocate(LutArrangedBytes(layout.in_features)));
  const LutFusedConfig chosen = ChooseLutFusedConfig(problem, device.limits());
  std::vector<LutFusedConfig> configs = {chosen};
  for (const bool uses_sums : {false, true}) {
    if (uses_sums && (layout.bits > 2 || problem.batch > 1)) continue;
    for (const auto& [warps, count] :
         {std::pair(LutMostWarps(chosen.columns), 1), std::pair(8, 1), std::pair(8, 2)}) {
      LutFusedConfig config = chosen;
      config.uses_sums = uses_sums;
      configs.push_back(WithLutBlocks(problem, device.limits(), config, warps, count));
    }
  }
  if (!chosen.uses_warpgroups && TakesLutWarpgroups(layout, device.limits())) {
    configs.push_back(LutWarpgroupConfig(layout, device.limits()));
  }
  std::printf("%d %lldx%lld b%lld %.1f MB:", layout.bits,
              static_cast<long long>(layout.out_features),
              static_cast<long long>(layout.in_features), static_cast<long long>(problem.batch),
              static_cast<double>(layout.packed_bytes()) * 1e-6);
  for (const LutFusedConfig& config : configs) {
    const RotationTiming timing = TimeRotation(device, copies.count, [&](int copy) {
      return LaunchLutFusedAs(device, config, problem,
                              copies.packed.as<char>() + copy * layout.packed_bytes(),
                              copies.table.as<char>() + copy * layout.table_bytes(), u.data(),
                              z.data(), arranged.data());
    });
    std::printf("  %dx%d%s %.2f", config.warps,
                (config.grid + device.multiprocessors() - 1) / device.multiprocessors(),
                config.uses_sums         ? "s"
                : config.uses_warpgroups ? "w"
                                         : "",
                timing.median_seconds * 1e6);
  }
  std::printf("\n");
  std::fflush(stdout);
}

void MeasureDecode(CudaDevice& device, const LutCudaLayout& layout, const Copies& copies) {
  const uint64_t bytes = 2 * layout.out_features * layout.in_features;
  const Buffer w = Checked(device.Allocate(bytes));
  std::printf("  decode, fill %.2f:", 1e6 * TimeRotation(device, 1, [&](int) {
                                              return device.Fill(w.data(), 1, bytes);
                                            }).median_seconds);
  for (const int blocks : {1, 2, 3, 4, 6}) {
    const RotationTiming timing = TimeRotation(device, copies.count, [&](int copy) {
      return LaunchLutDecode(device, layout,
                             copies.packed.as<char>() + copy * layout.packed_bytes(),
                             copies.table.data(), DType::kF16, w.data(), blocks);
    });
    std::printf("  %d blocks %.2f", blocks, timing.median_seconds * 1e6);
  }
  std::printf("\n");
}

void Run(int bits, const std::vector<Shape>& shapes, const std::vector<int64_t>& batches,
         int64_t block) {
  const auto device = Checked(CudaDevice::Open(0));
  for (const Shape shape : shapes) {
    const LutCudaLayout layout = LutCudaLayoutOf({.bits = bits, .block = block}, shape);
    const int count = ColdCopies(layout.packed_bytes());
    const Copies copies = {RandomHalves(*device, count * layout.packed_bytes()),
                           RandomHalves(*device, count * layout.table_bytes()), count};
    for (const int64_t batch : batches) Measure(*device, {layout, batch}, copies);
    MeasureDecode(*device, layout, copies);
  }
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: lut_cuda_speed BITS SHAPES BATCHES [BLOCK]\n");
    return 2;
  }
  qtipd::Run(std::atoi(argv[1]), qtipd::ParseShapes(argv[2]), qtipd::ParseNumbers(argv[3]),
             argc > 4 ? std::atoi(argv[4]) : 64);
  return 0;
}
