// Prints the speed of the fused QTIP kernels on this CPU beside OpenBLAS sgemv and a stream read of
// the same bytes, measured in turn in one process, because memory bandwidth of a shared host
// drifts. Every call reads another copy of the weights; all copies together are larger than 256 MB.
//   qtip_cpu_speed [size] [threads] [batch]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/api/random.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/formats/qtip/qtip_cpu_kernel.h"
#include "kernels/formats/qtip/qtip_cpu_layout.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

constexpr int64_t kRotatedBytes = int64_t{300} << 20;

// Seconds of one call. On a host that other work shares only the least is the program's own.
struct Seconds {
  double least = 0;
  double median = 0;
};

Seconds Measure(const std::function<void(int)>& call, int copies, int calls) {
  std::vector<double> seconds;
  for (int i = 0; i < calls + copies; ++i) {
    const auto start = std::chrono::steady_clock::now();
    call(i % copies);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    if (i >= copies) seconds.push_back(elapsed.count());
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds.front(), seconds[seconds.size() / 2]};
}

// Copies of random bytes; as floats they would be NaN, so fp32 weights are filled apart.
std::vector<Buffer> RandomCopies(CpuDevice& device, int64_t bytes, bool is_float) {
  std::vector<Buffer> copies;
  for (int64_t total = 0; total < kRotatedBytes; total += bytes) {
    copies.push_back(device.Allocate(bytes).value());
    auto* words = copies.back().as<uint64_t>();
    for (int64_t i = 0; i < bytes / 8; ++i) {
      words[i] = is_float ? 0x3DCCCCCD3DCCCCCDu : RandomBits(1, RandomStream::kTest, i % 65536);
    }
  }
  return copies;
}

struct Setting {
  int64_t size = 4096;
  int64_t batch = 1;
  std::vector<float> x;
  std::vector<float> y;
};

Seconds DenseSeconds(CpuDevice& device, Setting& setting) {
  auto dense = device
                   .PrepareDense({.out_features = setting.size,
                                  .in_features = setting.size,
                                  .batch = setting.batch,
                                  .output_dtype = DType::kF32})
                   .value();
  const std::vector<Buffer> copies = RandomCopies(device, setting.size * setting.size * 4, true);
  return Measure(
      [&](int copy) {
        if (!dense->Run(copies[copy].data(), setting.x.data(), setting.y.data()).ok()) std::abort();
      },
      static_cast<int>(copies.size()), 60);
}

Seconds StreamSeconds(CpuDevice& device, const std::vector<Buffer>& copies, int64_t bytes) {
  std::vector<uint64_t> sums(64 * 8);
  return Measure(
      [&](int copy) {
        device.pool().ParallelFor(bytes / 64, [&](int worker, int64_t begin, int64_t end) {
          const uint64_t* words = copies[copy].as<uint64_t>();
          sums[worker * 8] ^= std::reduce(words + begin * 8, words + end * 8);
        });
      },
      static_cast<int>(copies.size()), 100);
}

void Report(CpuDevice& device, Setting& setting, const QtipCodeSpec& spec) {
  const int bits = spec.bits;
  const int64_t bytes = setting.size * setting.size / 8 * bits;
  const std::vector<Buffer> copies = RandomCopies(device, bytes + kQtipCpuPadding, false);
  const std::vector<uint16_t> tlut = QtipDefaultTable(spec);
  auto pairs = std::make_unique<PairTable>();
  if (QtipHasKernelLayout(spec)) FillPairTable(tlut, *pairs);
  const QtipTable table = MakeQtipTable(spec, tlut);
  const QtipPlainWindows windows = MakeQtipPlainWindows(spec);
  const Seconds dense = DenseSeconds(device, setting);
  const Seconds stream = StreamSeconds(device, copies, bytes);
  const Seconds fused = Measure(
      [&](int copy) {
        device.pool().ParallelFor(setting.size / 16, [&](int, int64_t begin, int64_t end) {
          QtipCpuMultiplyRows({.packed = copies[copy].as<uint8_t>(),
                               .spec = spec,
                               .pairs = pairs.get(),
                               .windows = &windows,
                               .table = table.weights.data(),
                               .in_features = setting.size,
                               .begin = begin,
                               .end = end},
                              setting.x.data(), setting.batch, setting.size, setting.y.data());
        });
      },
      static_cast<int>(copies.size()), 300);
  const double weights = static_cast<double>(setting.size * setting.size);
  const auto print = [&](const char* what, double Seconds::*pick) {
    std::printf(
        "%-8s K=%d %-7s fused %8.1f us %6.1f Gweights/s   dense %8.1f us %5.1f Gweights/s   "
        "ratio %5.2f   stream read %7.1f us\n",
        std::string(QtipCodeInfoOf(spec.code).name).c_str(), bits, what, fused.*pick * 1e6,
        weights / (fused.*pick) * 1e-9, dense.*pick * 1e6, weights / (dense.*pick) * 1e-9,
        dense.*pick / (fused.*pick), stream.*pick * 1e6);
  };
  print("median", &Seconds::median);
  print("least", &Seconds::least);
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  qtipd::Setting setting;
  if (argc > 1) setting.size = std::atoll(argv[1]);
  if (argc > 3) setting.batch = std::atoll(argv[3]);
  qtipd::CpuDevice device({.threads = argc > 2 ? std::atoi(argv[2]) : 0, .read_memory = {}});
  setting.x.resize(setting.batch * setting.size);
  setting.y.resize(setting.batch * setting.size);
  qtipd::FillNormal(2, qtipd::RandomStream::kActivations, 0, setting.x);
  std::printf("%s, %d threads, %s\n", device.info().name.c_str(), device.info().compute_units,
              device.info().properties.at("instruction_set").c_str());
  for (const int bits : {2, 3, 4}) qtipd::Report(device, setting, {.bits = bits});
  for (const qtipd::QtipCodeInfo& info : qtipd::QtipCodes()) {
    if (info.code == qtipd::QtipCode::kHyb) continue;
    qtipd::Report(
        device, setting,
        {info.code, 2, 16, info.default_vector_dim, info.table_bits < 0 ? 16 : info.table_bits});
  }
}
