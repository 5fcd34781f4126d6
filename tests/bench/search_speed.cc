// Prints how long the encoder's search takes on this CPU, without the rest of quantizing.
//
//   search_speed THREADS TILES CODE:BITS...
//
// With QTIPD_BENCH_AVX2 set, no instructions beyond AVX2 are used.
// Samples from N(0, 1) at 0.9 of the table's rms. Time is wall clock times threads, a tile; the
// second of two runs. On a host that other work shares, compare only what one call prints.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "hwy/highway.h"
#include "kernels/api/builtin.h"
#include "kernels/api/random.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "kernels/formats/qtip/qtip_tile_search_simd.h"
#include "kernels/formats/qtip/qtip_viterbi.h"

namespace qtipd {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

absl::Status Measure(const std::string& name, int threads, int64_t tiles) {
  const size_t colon = name.find(':');
  if (colon == std::string::npos) return absl::InvalidArgumentError("allowed: CODE:BITS");
  Registry registry;
  RegisterBuiltinFormats(registry);
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format, registry.FindFormat("qtip"));
  QTIPD_ASSIGN_OR_RETURN(
      const Options options,
      CheckOptions(format->schema(), {{"code", name.substr(0, colon)},
                                      {"bits", int64_t{std::atoi(name.c_str() + colon + 1)}}}));
  QTIPD_ASSIGN_OR_RETURN(const QtipCodeSpec spec, QtipSpecOf(options));
  const std::vector<uint16_t> tlut = QtipDefaultTable(spec);
  const QtipTable table = MakeQtipTable(spec, tlut);
  std::vector<float> samples(tiles * kQtipTileWeights);
  FillNormal(1, RandomStream::kTest, 0, samples);
  const double rms = table.Rms();
  for (float& sample : samples) sample *= static_cast<float>(rms / 0.9);
  std::vector<uint16_t> states(tiles * spec.steps());
  ThreadPool pool(threads);
  QtipEncoder encoder(spec, tlut);
  double seconds = 0;
  for (int run = 0; run < 2; ++run) {
    const double start = Seconds();
    encoder.Encode(pool, samples, states, [](int64_t) { return true; });
    seconds = Seconds() - start;
  }
  double cost = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    cost += QtipPathCost(std::span(samples).subspan(i * kQtipTileWeights, kQtipTileWeights),
                         std::span(states).subspan(i * spec.steps(), spec.steps()), table);
  }
  std::printf("%-12s %d threads  %.3f ms a tile  cost a tile %.5f  fp32 tiles %ld\n", name.c_str(),
              threads, seconds * 1e3 * threads / static_cast<double>(tiles),
              cost / static_cast<double>(tiles), static_cast<long>(encoder.wide_tiles() / 2));
  return absl::OkStatus();
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: search_speed THREADS TILES CODE:BITS...\n");
    return 2;
  }
  if (std::getenv("QTIPD_BENCH_AVX2") != nullptr) {
    hwy::DisableTargets(HWY_AVX2 - 1);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  std::printf("instruction set of hyb: %s\n", qtipd::QtipViterbiTarget());
  for (int i = 3; i < argc; ++i) {
    const absl::Status status = qtipd::Measure(argv[i], std::atoi(argv[1]), std::atoll(argv[2]));
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      return 1;
    }
  }
}
