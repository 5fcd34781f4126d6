// Prints the speed of the fused QTIP kernels on this CPU: every code and rate under every
// instruction set, in turn with OpenBLAS sgemv and a stream read, because the memory bandwidth and
// the clock of a shared host drift. Every call reads another copy of the weights; all copies
// together are larger than 256 MB. The clock is that of a chain of additions timed after each call.
//   qtip_cpu_speed [size] [threads] [batch] [rounds] [CODE or all] [INSTRUCTION SET or all]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "hwy/targets.h"
#include "kernels/api/random.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/formats/qtip/qtip_cpu_fixed.h"
#include "kernels/formats/qtip/qtip_cpu_kernel.h"
#include "kernels/formats/qtip/qtip_cpu_layout.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

constexpr int64_t kRotatedBytes = int64_t{300} << 20;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Cycles a second, from additions that wait for each other, one a cycle: about 50 us.
double ClockHertz() {
  constexpr uint64_t kAdditions = 200000;
  uint64_t left = kAdditions;
  const double start = Now();
  while (left != 0) {
    --left;
    asm volatile("" : "+r"(left));
  }
  return kAdditions / (Now() - start);
}

struct Setting {
  int64_t size = 4096;
  int64_t batch = 1;
  int rounds = 100;
  std::string code = "all";
  std::string target = "all";
  std::vector<float> x;
  std::vector<float> arranged;
  std::vector<int8_t> bytes;
  std::vector<QtipFixedActivations> rounded;
  std::vector<float> y;
};

// Something to be timed, and what it took: a sample a round.
struct Case {
  std::string name;
  int64_t bytes = 0;  // of one copy
  bool is_kernel = true;
  int64_t targets = 0;  // instruction sets to choose among, 0: all
  std::function<void(int64_t offset)> call;
  std::vector<double> seconds = {};
  std::vector<double> hertz = {};
};

void UseTargets(int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

void TakeSample(Case& timed, int round) {
  const int64_t stride = (timed.bytes + kQtipCpuPadding + 63) / 64 * 64;
  const int64_t copies = kRotatedBytes / stride;
  UseTargets(timed.targets);
  const double start = Now();
  timed.call(round % copies * stride);
  timed.seconds.push_back(Now() - start);
  timed.hertz.push_back(ClockHertz());
  UseTargets(0);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// The clock is the median: a sample of it can be cut short by other work, but not the whole series.
void Print(const Case& timed, const Setting& setting, int threads) {
  const double least = *std::ranges::min_element(timed.seconds);
  const double median = Median(timed.seconds);
  const double hertz = Median(timed.hertz);
  std::printf("%-22s median %8.1f us  least %8.1f us  %.2f GHz", timed.name.c_str(), median * 1e6,
              least * 1e6, hertz * 1e-9);
  if (timed.is_kernel) {
    const double weights = static_cast<double>(setting.size * setting.size);
    const double per_second = weights / (hertz * threads);
    std::printf("  %6.1f Gweights/s  weights/cycle/core %5.2f, at best %5.2f",
                weights / median * 1e-9, per_second / median, per_second / least);
  } else {
    std::printf("  %6.1f GB/s", static_cast<double>(timed.bytes) / median * 1e-9);
  }
  std::printf("\n");
}

// What the kernels of one code read beside weights and activations.
struct Code {
  explicit Code(const QtipCodeSpec& spec) : spec(spec), windows(MakeQtipPlainWindows(spec)) {
    const std::vector<uint16_t> tlut = QtipDefaultTable(spec);
    if (QtipHasKernelLayout(spec)) FillPairTable(tlut, *pairs);
    table = MakeQtipTable(spec, tlut);
  }
  QtipCodeSpec spec;
  QtipPlainWindows windows;
  std::unique_ptr<PairTable> pairs = std::make_unique<PairTable>();
  QtipTable table;
};

Case KernelCase(CpuDevice& device, Setting& setting, const Buffer& weights,
                const std::shared_ptr<Code>& code, int64_t targets) {
  const auto call = [&device, &setting, &weights, code](int64_t offset) {
    const float* x = QtipCpuArrange(code->spec, setting.x.data(), setting.batch, setting.size,
                                    setting.arranged.data());
    device.pool().ParallelFor(setting.size / 16, [&](int, int64_t begin, int64_t end) {
      QtipCpuMultiplyRows({.packed = weights.as<uint8_t>() + offset,
                           .spec = code->spec,
                           .pairs = code->pairs.get(),
                           .windows = &code->windows,
                           .table = code->table.weights.data(),
                           .in_features = setting.size,
                           .begin = begin,
                           .end = end},
                          x, setting.batch, setting.size, setting.y.data());
    });
  };
  return {.name = std::string(QtipCodeInfoOf(code->spec.code).name) + " K=" +
                  std::to_string(code->spec.bits) + " " + hwy::TargetName(targets & -targets),
          .bytes = setting.size * setting.size / 8 * code->spec.bits,
          .targets = targets,
          .call = call};
}

// `hyb` in integers, activations rounded to 16 bits: with the default table and with one on a grid.
Case FixedCase(CpuDevice& device, Setting& setting, const Buffer& weights, int bits, bool is_grid) {
  auto table = std::make_shared<QtipFixedTable>();
  const QtipCodeSpec spec = {.bits = bits};
  FillQtipFixedTable(is_grid ? QtipInt8Table() : QtipDefaultTable(spec), *table);
  const auto call = [&device, &setting, &weights, table, spec](int64_t offset) {
    std::vector<QtipFixedActivations>& rounded = setting.rounded;
    for (int64_t b = 0; b < setting.batch; ++b) {
      rounded[b].bytes = setting.bytes.data() + 2 * b * setting.size;
      QtipCpuRoundActivations(setting.x.data() + b * setting.size, setting.size, rounded[b]);
    }
    device.pool().ParallelFor(setting.size / 16, [&](int, int64_t begin, int64_t end) {
      QtipCpuMultiplyFixed({.packed = weights.as<uint8_t>() + offset,
                            .spec = spec,
                            .in_features = setting.size,
                            .begin = begin,
                            .end = end},
                           *table, rounded, setting.size, setting.y.data());
    });
  };
  return {.name = (is_grid ? "hyb W8A16 K=" : "hyb W16A16 K=") + std::to_string(bits),
          .bytes = setting.size * setting.size / 8 * bits,
          .call = call};
}

Case StreamCase(CpuDevice& device, Setting& setting, const Buffer& weights) {
  const int64_t bytes = setting.size * setting.size / 4;
  return {.name = "stream read, 2 bits",
          .bytes = bytes,
          .is_kernel = false,
          .call = [&device, &weights, bytes](int64_t offset) {
            device.pool().ParallelFor(bytes / 64, [&](int, int64_t begin, int64_t end) {
              const auto* words = reinterpret_cast<const uint64_t*>(weights.as<uint8_t>() + offset);
              const uint64_t sum = std::reduce(words + begin * 8, words + end * 8);
              asm volatile("" : : "r"(sum));
            });
          }};
}

Case DenseCase(Setting& setting, const Buffer& weights, DenseMultiply& dense) {
  return {
      .name = "dense", .bytes = setting.size * setting.size * 4, .call = [&](int64_t offset) {
        if (!dense.Run(weights.as<uint8_t>() + offset, setting.x.data(), setting.y.data()).ok()) {
          std::abort();
        }
      }};
}

std::vector<QtipCodeSpec> Specs(const Setting& setting) {
  std::vector<QtipCodeSpec> specs;
  for (const QtipCodeInfo& info : QtipCodes()) {
    if (setting.code != "all" && setting.code != info.name) continue;
    for (const int bits : {2, 3, 4}) {
      if (bits > 2 && info.code != QtipCode::kHyb && info.code != QtipCode::k1Mad) continue;
      specs.push_back({info.code, bits, 16, info.default_vector_dim,
                       info.table_bits < 0 ? 16 : info.table_bits});
    }
  }
  return specs;
}

// An instruction set and those below it, as a processor has them.
std::vector<int64_t> Targets(const Setting& setting) {
  std::vector<int64_t> targets;
  for (int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1) {
    if (setting.target == "all" || setting.target == hwy::TargetName(left & -left)) {
      targets.push_back(left);
    }
  }
  return targets;
}

void Measure(CpuDevice& device, Setting& setting) {
  const int64_t margin = setting.size * setting.size * 4;
  const Buffer weights = device.Allocate(kRotatedBytes + kQtipCpuPadding).value();
  for (int64_t i = 0; i < kRotatedBytes / 8; ++i) {
    weights.as<uint64_t>()[i] = RandomBits(1, RandomStream::kTest, i % 65536);
  }
  const Buffer floats = device.Allocate(kRotatedBytes + margin).value();
  std::fill_n(floats.as<float>(), (kRotatedBytes + margin) / 4, 0.1f);
  auto dense = device
                   .PrepareDense({.out_features = setting.size,
                                  .in_features = setting.size,
                                  .batch = setting.batch,
                                  .output_dtype = DType::kF32})
                   .value();
  std::vector<Case> cases;
  cases.push_back(StreamCase(device, setting, weights));
  cases.push_back(DenseCase(setting, floats, *dense));
  for (const QtipCodeSpec& spec : Specs(setting)) {
    const auto code = std::make_shared<Code>(spec);
    for (const int64_t targets : Targets(setting)) {
      cases.push_back(KernelCase(device, setting, weights, code, targets));
    }
  }
  if (QtipCpuHasFixedKernel({}) && (setting.code == "all" || setting.code == "hyb")) {
    for (const int bits : {2, 3, 4}) {
      cases.push_back(FixedCase(device, setting, weights, bits, false));
      cases.push_back(FixedCase(device, setting, weights, bits, true));
    }
  }
  for (int round = 0; round < setting.rounds; ++round) {
    for (Case& timed : cases) TakeSample(timed, round);
  }
  for (const Case& timed : cases) Print(timed, setting, device.pool().threads());
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  qtipd::Setting setting;
  if (argc > 1) setting.size = std::atoll(argv[1]);
  if (argc > 3) setting.batch = std::atoll(argv[3]);
  if (argc > 4) setting.rounds = std::atoi(argv[4]);
  if (argc > 5) setting.code = argv[5];
  if (argc > 6) setting.target = argv[6];
  qtipd::CpuDevice device({.threads = argc > 2 ? std::atoi(argv[2]) : 0, .read_memory = {}});
  setting.x.resize(setting.batch * setting.size);
  setting.arranged.resize(setting.x.size());
  setting.bytes.resize(2 * setting.x.size());
  setting.rounded.resize(setting.batch);
  setting.y.resize(setting.batch * setting.size);
  qtipd::FillNormal(2, qtipd::RandomStream::kActivations, 0, setting.x);
  std::printf("%s, %d threads, %lldx%lld, batch %lld\n", device.info().name.c_str(),
              device.info().compute_units, static_cast<long long>(setting.size),
              static_cast<long long>(setting.size), static_cast<long long>(setting.batch));
  qtipd::Measure(device, setting);
}
