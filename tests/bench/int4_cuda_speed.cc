// Prints what the configurations of int4's fused kernel take on a GPU, beside a plain read of as
// many bytes:
//
//   int4_cuda_speed SHAPES BATCHES [GROUP_SIZE]     int4_cuda_speed 4096x4096,28672x8192 1,16 128
//
// Symmetric layers of random bits. Copies rotate, see cuda_rotation.h. A line has microseconds of
// every variant, the order and meaning of which the first line says, and the configuration of the
// first; then what decoding takes.
#include <cmath>
#include <memory>

#include "kernels/api/random.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/int4/int4_cuda_decode.h"
#include "kernels/formats/int4/int4_cuda_fused.h"
#include "kernels/formats/int4/int4_cuda_warpgroup.h"
#include "tests/bench/cuda_rotation.h"

namespace qtipd {
namespace {

struct Variant {
  const char* name;
  Int4FusedTuning tuning;
};

const Variant kVariants[] = {
    {"shipped", {}},
    {"warps", {.uses_warpgroups = false}},
    {"slots3", {.most_slots = 3}},
    {"slots2", {.most_slots = 2, .least_slots = 2}},
    {"slots8", {.most_slots = 8}},
    {"async", {.uses_bulk = false}},
    {"one_block", {.blocks_a_processor = 1}},
    {"chunked", {.keeps_activations = false}},
    {"chunked16", {.keeps_activations = false, .chunked_warps = 16}},
};

class Bench {
 public:
  Bench(CudaDevice& device, int64_t group_size)
      : device_(device),
        spec_{.group_size = group_size},
        ceiling_(Checked(device.MeasureCeiling([] { return false; }))) {}

  void Run(const std::vector<Shape>& shapes, const std::vector<int64_t>& batches) {
    std::printf("%s, %.0f MHz:", device_.info().name.c_str(), ceiling_.clock_hertz * 1e-6);
    for (const Variant& variant : kVariants) std::printf(" %s", variant.name);
    std::printf("\n");
    for (const Shape shape : shapes) {
      const Int4CudaLayout layout(shape, spec_);
      const int copies = ColdCopies(layout.bytes());
      const Buffer packed = RandomUnits(layout.bytes() * copies);
      for (const int64_t batch : batches) {
        Line({.shape = shape, .layout = layout, .batch = batch}, packed, copies);
      }
      Decode(shape, layout, packed, copies);
    }
  }

 private:
  // Any bits are legal codes; scales become what they may, also infinite.
  Buffer RandomUnits(int64_t bytes) {
    std::vector<uint64_t> words(bytes / sizeof(uint64_t));
    for (size_t i = 0; i < words.size(); ++i) words[i] = (i + 1) * 0x9E3779B97F4A7C15;
    Buffer packed = Checked(device_.Allocate(bytes));
    Check(device_.CopyToDevice(packed.data(), words.data(), bytes));
    return packed;
  }

  void Line(const Int4FusedProblem& problem, const Buffer& packed, int copies) {
    const auto [out, in] = problem.shape;
    const Buffer u = Checked(device_.Allocate(2 * problem.batch * in));
    const Buffer z = Checked(device_.Allocate(4 * problem.batch * out));
    const Buffer arranged = Checked(device_.Allocate(Int4ArrangedBytes(problem.layout.units)));
    Check(device_.Fill(u.data(), 0x3A, u.bytes()));
    std::printf("%lldx%lld b%-2lld read %6.2f:", static_cast<long long>(out),
                static_cast<long long>(in), static_cast<long long>(problem.batch),
                ReadSeconds(ceiling_, problem.layout.read_bytes(problem.shape)) * 1e6);
    for (const Variant& variant : kVariants) {
      const RotationTiming timing = TimeRotation(device_, copies, [&](int copy) {
        return LaunchInt4FusedAs(device_, device_.limits(), variant.tuning, problem,
                                 packed.as<char>() + copy * problem.layout.bytes(), u.data(),
                                 DType::kF16, z.data(), arranged.data());
      });
      std::printf(" %6.2f", timing.median_seconds * 1e6);
    }
    std::printf("  %s\n", ChooseInt4FusedConfig(problem, device_.limits()).ToString().c_str());
    std::fflush(stdout);
  }

  // Decoding by so many blocks of a multiprocessor, beside writing as many bytes alone.
  void Decode(Shape shape, const Int4CudaLayout& layout, const Buffer& packed, int copies) {
    const Buffer w = Checked(device_.Allocate(2 * shape.out_features * shape.in_features));
    const RotationTiming fill =
        TimeRotation(device_, copies, [&](int) { return device_.Fill(w.data(), 0x3A, w.bytes()); });
    std::printf("  decode, fill %.2f:", fill.median_seconds * 1e6);
    for (const int blocks : {1, 2, 3, 4, 6}) {
      const RotationTiming timing = TimeRotation(device_, copies, [&](int copy) {
        return LaunchInt4Decode(device_, shape, layout, packed.as<char>() + copy * layout.bytes(),
                                DType::kF16, w.data(), blocks);
      });
      std::printf("  %d blocks %.2f", blocks, timing.median_seconds * 1e6);
    }
    std::printf("\n");
  }

  CudaDevice& device_;
  const Int4Spec spec_;
  const DeviceCeiling ceiling_;
};

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: int4_cuda_speed SHAPES BATCHES [GROUP_SIZE]\n");
    return 2;
  }
  const auto device = qtipd::Checked(qtipd::CudaDevice::Open(0));
  qtipd::Bench(*device, argc > 3 ? std::atoll(argv[3]) : 128)
      .Run(qtipd::ParseShapes(argv[1]), qtipd::ParseNumbers(argv[2]));
  return 0;
}
