// Prints the speed of a format on a GPU: its fused multiply beside a plain read of as many bytes
// and the dense FP16 product, and its decoding, all in one run.
//
//   format_cuda_speed MODULE FORMAT SHAPES BATCHES [OPTION=VALUE ...]
//   format_cuda_speed libqtipd_cuda.so int4 4096x4096,28672x8192 1,16 group_size=64
//
// Weights are normal numbers, quantized on the host. Copies rotate, see cuda_rotation.h. The read
// floor is that of the device's own curve (DeviceCeiling), cold, launch included. A line is
//   SHAPE bB  fused median (least to most) us  read floor us  share of it  GB/s  dense us  speed-up
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <thread>

#include "kernels/api/backend.h"
#include "kernels/api/builtin.h"
#include "kernels/api/random.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/thread_pool.h"
#include "tests/bench/cuda_rotation.h"

namespace qtipd {
namespace {

struct Setting {
  std::string format;
  std::vector<Shape> shapes;
  std::vector<int64_t> batches;
  std::map<std::string, OptionValue> options = {};
};

class Bench {
 public:
  Bench(Device& device, const Registry& registry, const Setting& setting)
      : device_(device),
        registry_(registry),
        setting_(setting),
        ceiling_(Checked(device.MeasureCeiling([] { return false; }))) {}

  void Run() {
    std::printf("%s, %.0f MHz, empty launch %.2f us\n", device_.info().name.c_str(),
                ceiling_.clock_hertz * 1e-6, ceiling_.overlapped_launch_seconds * 1e6);
    for (const Shape shape : setting_.shapes) {
      const auto one = Load(shape);
      const auto weights = Checked(one->Replicate(ColdCopies(one->multiply_bytes())));
      for (const int64_t batch : setting_.batches) Multiply(*weights, batch);
      Decode(*weights);
      for (const int64_t batch : setting_.batches) {
        std::printf("  batch %lld: %s\n", static_cast<long long>(batch),
                    weights->multiply_configuration(batch).c_str());
      }
      std::fflush(stdout);
    }
  }

 private:
  std::unique_ptr<ResidentWeights> Load(Shape shape) {
    const WeightFormat* format = Checked(registry_.FindFormat(setting_.format));
    const Options options = Checked(CheckOptions(format->schema(), setting_.options));
    Check(format->CheckShape(options, shape));
    std::vector<float> normal(shape.out_features * shape.in_features);
    host_.pool().ParallelFor(shape.out_features, [&](int, int64_t begin, int64_t end) {
      const int64_t first = begin * shape.in_features;
      FillNormal(1, RandomStream::kWeights, first,
                 std::span(normal).subspan(first, (end - begin) * shape.in_features));
    });
    NoProgress progress;
    QuantizeReport report;
    const FormatBackend* encoder = Checked(registry_.FindBackend(setting_.format, "cpu"));
    const PackedLayer layer = Checked(encoder->Quantize(
        host_, {.shape = shape, .weights = normal, .hessian = {}, .options = options, .seed = 1},
        progress, report));
    const FormatBackend* backend =
        Checked(registry_.FindBackend(setting_.format, device_.info().backend));
    return Checked(backend->Load(device_, layer));
  }

  // Of normal numbers, and the same as long as the shape is.
  const Buffer& Activations(int64_t count) {
    if (activations_.bytes() < 2 * static_cast<size_t>(count)) {
      std::vector<float> normal(count);
      FillNormal(2, RandomStream::kActivations, 0, normal);
      const auto halves = EncodeFloats(normal, DType::kF16);
      activations_ = Checked(device_.Allocate(halves.size()));
      Check(device_.CopyToDevice(activations_.data(), halves.data(), halves.size()));
    }
    return activations_;
  }

  void Multiply(ResidentWeights& weights, int64_t batch) {
    const Shape shape = weights.shape();
    const RotationTiming dense = Dense(shape, batch);
    std::printf("%lldx%lld b%-2lld ", static_cast<long long>(shape.out_features),
                static_cast<long long>(shape.in_features), static_cast<long long>(batch));
    if (batch > weights.max_fused_batch()) {
      std::printf("no fused kernel, dense %.2f us\n", dense.median_seconds * 1e6);
      return;
    }
    const Buffer& u = Activations(batch * shape.in_features);
    const Buffer z =
        Checked(device_.Allocate(batch * shape.out_features * DTypeSize(weights.inner_dtype())));
    const RotationTiming fused = TimeRotation(device_, weights.copies(), [&](int copy) {
      return weights.Multiply(copy, batch, u.data(), z.data());
    });
    const auto bytes = static_cast<double>(weights.multiply_bytes());
    const double read = ReadSeconds(ceiling_, weights.multiply_bytes());
    std::printf(
        "fused %7.2f (%.2f to %.2f) us  read %6.2f us %3.0f %%  %5.0f GB/s  dense %6.2f us "
        "%.2fx\n",
        fused.median_seconds * 1e6, fused.least_seconds * 1e6, fused.most_seconds * 1e6, read * 1e6,
        read / fused.median_seconds * 100, bytes / fused.median_seconds * 1e-9,
        dense.median_seconds * 1e6, dense.median_seconds / fused.median_seconds);
  }

  // The best dense product of FP16 weights; random bits of magnitudes 0.125 to 2.
  RotationTiming Dense(Shape shape, int64_t batch) {
    const uint64_t bytes = 2 * shape.out_features * shape.in_features;
    const int copies = ColdCopies(bytes);
    if (dense_.bytes() < copies * bytes) {
      dense_.Reset();
      dense_ = Checked(device_.Allocate(copies * bytes));
      std::vector<uint16_t> halves(dense_.bytes() / 2);
      for (size_t i = 0; i < halves.size(); ++i) {
        const auto bits = static_cast<uint16_t>(i * 40503 >> 7);
        halves[i] = static_cast<uint16_t>((bits & 0x8000) | (0x3000 + (bits & 0x0FFF)));
      }
      Check(device_.CopyToDevice(dense_.data(), halves.data(), dense_.bytes()));
    }
    const auto dense = Checked(device_.PrepareDense({.out_features = shape.out_features,
                                                     .in_features = shape.in_features,
                                                     .batch = batch,
                                                     .output_dtype = DType::kF16}));
    const Buffer& x = Activations(batch * shape.in_features);
    const Buffer y = Checked(device_.Allocate(2 * batch * shape.out_features));
    return TimeRotation(device_, copies, [&](int copy) {
      return dense->Run(dense_.as<char>() + copy * bytes, x.data(), y.data());
    });
  }

  void Decode(ResidentWeights& weights) {
    const Shape shape = weights.shape();
    const uint64_t bytes = 2 * shape.out_features * shape.in_features;
    const Buffer w = Checked(device_.Allocate(bytes));
    const RotationTiming decode = TimeRotation(
        device_, weights.copies(), [&](int copy) { return weights.Decode(copy, w.data()); });
    const RotationTiming fill =
        TimeRotation(device_, 1, [&](int) { return device_.Fill(w.data(), 0x3A, bytes); });
    // What it reads and writes, beside what a copy of the device's curve does.
    const double moved = static_cast<double>(bytes + weights.multiply_bytes());
    std::printf(
        "  decode %.2f us, filling as many bytes %.2f us; moves %.0f GB/s, a copy %.0f GB/s\n",
        decode.median_seconds * 1e6, fill.median_seconds * 1e6,
        moved / decode.median_seconds * 1e-9, CopyRate() * 1e-9);
  }

  double CopyRate() const {
    if (ceiling_.copy.empty()) return 0;
    const BandwidthPoint& last = ceiling_.copy.back();
    return static_cast<double>(last.bytes) / last.seconds;
  }

  Device& device_;
  const Registry& registry_;
  const Setting& setting_;
  const DeviceCeiling ceiling_;
  CpuDevice host_{{.threads = 0, .read_memory = {}}};
  Buffer activations_;
  Buffer dense_;
};

Setting ParseSetting(int argc, char** argv) {
  Setting setting{
      .format = argv[2], .shapes = ParseShapes(argv[3]), .batches = ParseNumbers(argv[4])};
  for (int i = 5; i < argc; ++i) {
    const char* equals = std::strchr(argv[i], '=');
    if (equals == nullptr) {
      Check(absl::InvalidArgumentError(std::string(argv[i]) + ": not OPTION=VALUE"));
    }
    setting.options[std::string(argv[i], equals - argv[i])] = std::string(equals + 1);
  }
  return setting;
}

void Main(int argc, char** argv) {
  const Setting setting = ParseSetting(argc, argv);
  const auto module = Checked(OpenBackendModule(argv[1]));
  const auto device = Checked(module->OpenDevice(0));
  Registry registry;
  RegisterBuiltinFormats(registry);
  module->Register(registry);
  Bench(*device, registry, setting).Run();
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr,
                 "usage: format_cuda_speed MODULE FORMAT SHAPES BATCHES [OPTION=VALUE ...]\n");
    return 2;
  }
  qtipd::Main(argc, argv);
  return 0;
}
