// Prints the speed of a format's fused multiply on this CPU: under every instruction set, in turn
// with OpenBLAS and a stream read of as many bytes, because the memory bandwidth and the clock of a
// shared host drift. Every call reads another copy of the weights; all copies together are larger
// than 256 MB. Weights are normal numbers, quantized here.
//   format_cpu_speed FORMAT [size] [threads] [batch] [rounds] [OPTION=VALUE ...]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "hwy/targets.h"
#include "kernels/api/builtin.h"
#include "kernels/api/random.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/openblas_dense.h"

namespace qtipd {
namespace {

constexpr uint64_t kRotatedBytes = uint64_t{300} << 20;
// OpenBLAS's threads go on polling for 2^26 cycles after a call, on the cores of the next case.
constexpr auto kBlasRest = std::chrono::milliseconds(40);

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Setting {
  std::string format;
  int64_t size = 8192;
  int64_t batch = 1;
  int rounds = 100;
  std::map<std::string, OptionValue> options = {};
};

// Something to be timed, and what it took: a sample a round.
struct Case {
  std::string name;
  double bytes = 0;     // that a call reads
  int64_t targets = 0;  // instruction sets to choose among, 0: all
  int copies = 1;
  bool rests_after = false;
  std::function<void(int copy)> call;
  std::vector<double> seconds = {};
};

template <typename T>
T Checked(absl::StatusOr<T> value) {
  if (value.ok()) return std::move(value).value();
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::exit(1);
}

void Check(const absl::Status& status) {
  if (!status.ok()) Checked(absl::StatusOr<int>(status));
}

void UseTargets(int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

// One call untimed, so that threads are awake and caches hold what the case before did not leave.
void TakeSample(Case& timed, int round) {
  UseTargets(timed.targets);
  timed.call(2 * round % timed.copies);
  const double start = Now();
  timed.call((2 * round + 1) % timed.copies);
  timed.seconds.push_back(Now() - start);
  UseTargets(0);
  if (timed.rests_after) std::this_thread::sleep_for(kBlasRest);
}

void Print(Case& timed, double weights) {
  std::ranges::sort(timed.seconds);
  const double median = timed.seconds[timed.seconds.size() / 2];
  std::printf("%-20s median %9.1f us  least %9.1f us  %6.2f GB/s  %6.2f Gweights/s\n",
              timed.name.c_str(), median * 1e6, timed.seconds.front() * 1e6,
              timed.bytes / median * 1e-9, weights / median * 1e-9);
}

std::unique_ptr<ResidentWeights> LoadNormal(CpuDevice& device, const Registry& registry,
                                            const Setting& setting) {
  const WeightFormat* format = Checked(registry.FindFormat(setting.format));
  const FormatBackend* backend = Checked(registry.FindBackend(setting.format, "cpu"));
  const Shape shape = {setting.size, setting.size};
  const Options options = Checked(CheckOptions(format->schema(), setting.options));
  Check(format->CheckShape(options, shape));
  std::vector<float> weights(setting.size * setting.size);
  FillNormal(1, RandomStream::kWeights, 0, weights);
  NoProgress progress;
  QuantizeReport report;
  const PackedLayer layer = Checked(backend->Quantize(
      device, {.shape = shape, .weights = weights, .hessian = {}, .options = options, .seed = 1},
      progress, report));
  return Checked(backend->Load(device, layer));
}

Case StreamCase(CpuDevice& device, const Buffer& memory, uint64_t bytes) {
  const int64_t lines = static_cast<int64_t>(bytes / 64);
  return {.name = "stream read",
          .bytes = static_cast<double>(lines * 64),
          .copies = static_cast<int>(memory.bytes() / bytes),
          .call = [&device, &memory, lines](int copy) {
            device.pool().ParallelFor(lines, [&](int, int64_t begin, int64_t end) {
              const uint64_t* words = memory.as<uint64_t>() + copy * lines * 8;
              const uint64_t sum = std::reduce(words + begin * 8, words + end * 8);
              asm volatile("" : : "r"(sum));
            });
          }};
}

void Measure(CpuDevice& device, const Registry& registry, const Setting& setting) {
  const int64_t size = setting.size;
  std::vector<float> x(setting.batch * size), y(setting.batch * size);
  FillNormal(2, RandomStream::kActivations, 0, x);
  std::unique_ptr<ResidentWeights> weights = LoadNormal(device, registry, setting);
  const uint64_t bytes = weights->multiply_bytes();
  weights = Checked(weights->Replicate(static_cast<int>(kRotatedBytes / bytes + 1)));
  const uint64_t dense_bytes = sizeof(float) * static_cast<uint64_t>(size * size);
  const Buffer memory = Checked(device.Allocate(std::max(kRotatedBytes + bytes, 2 * dense_bytes)));
  std::fill_n(memory.as<float>(), memory.bytes() / sizeof(float), 0.1F);
  const std::unique_ptr<DenseMultiply> dense =
      Checked(device.PrepareDense({.out_features = size,
                                   .in_features = size,
                                   .batch = setting.batch,
                                   .output_dtype = DType::kF32}));
  std::vector<Case> cases = {StreamCase(device, memory, bytes)};
  cases.push_back({.name = "dense",
                   .bytes = static_cast<double>(dense_bytes),
                   .copies = static_cast<int>(memory.bytes() / dense_bytes),
                   .rests_after = true,
                   .call = [&](int copy) {
                     Check(dense->Run(memory.as<float>() + copy * size * size, x.data(), y.data()));
                   }});
  for (int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1) {
    cases.push_back({.name = std::string("fused ") + hwy::TargetName(left & -left),
                     .bytes = static_cast<double>(bytes),
                     .targets = left,
                     .copies = weights->copies(),
                     .call = [&](int copy) {
                       Check(weights->Multiply(copy, setting.batch, x.data(), y.data()));
                     }});
  }
  for (int round = 0; round < setting.rounds; ++round) {
    for (Case& timed : cases) TakeSample(timed, round);
  }
  for (Case& timed : cases) Print(timed, static_cast<double>(size * size));
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "format_cpu_speed FORMAT [size] [threads] [batch] [rounds] "
                 "[OPTION=VALUE ...]\n");
    return 2;
  }
  qtipd::Setting setting{.format = argv[1]};
  if (argc > 2) setting.size = std::atoll(argv[2]);
  if (argc > 4) setting.batch = std::atoll(argv[4]);
  if (argc > 5) setting.rounds = std::atoi(argv[5]);
  for (int i = 6; i < argc; ++i) {
    const std::string option = argv[i];
    const size_t equals = option.find('=');
    if (equals == std::string::npos) {
      std::fprintf(stderr, "%s: not OPTION=VALUE\n", argv[i]);
      return 2;
    }
    setting.options[option.substr(0, equals)] = option.substr(equals + 1);
  }
  qtipd::CpuDevice device({.threads = argc > 3 ? std::atoi(argv[3]) : 0, .read_memory = {}});
  qtipd::SetOpenBlasThreads(device.pool().threads());
  qtipd::Registry registry;
  qtipd::RegisterBuiltinFormats(registry);
  std::printf("%s, %d threads, %s %lldx%lld, batch %lld\n", device.info().name.c_str(),
              device.info().compute_units, setting.format.c_str(),
              static_cast<long long>(setting.size), static_cast<long long>(setting.size),
              static_cast<long long>(setting.batch));
  qtipd::Measure(device, registry, setting);
}
